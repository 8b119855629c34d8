"""Forks: a lock held while a process forks, so that no child inherits a piece of work that nobody will finish.

Without it a child may wait for ever: for a lock whose holder exists in the parent only, or for SQLite, which remembers
in the child that a connection of the parent's is writing.
"""

import os
import threading
import weakref
from typing import Any

WAIT_S = 60.0
"""How long a fork waits for a write to end, before it takes the risk that the child can never write.

A write of a hundred events took 14 s where three other threads never let go of the interpreter: each of its steps has
to win it back.
"""


def hold_while_forking(owner: Any, name: str) -> None:
    """Hold the lock in the attribute *name* of *owner* while this process forks, as long as *owner* lives.

    A child gets a new lock of the same kind.
    """
    if not hasattr(os, "register_at_fork"):  # Windows has no fork
        return
    living = weakref.ref(owner)
    make_lock = threading.RLock if isinstance(getattr(owner, name), type(threading.RLock())) else threading.Lock
    held = threading.local()  # threads may fork at once, each having waited for the others

    def before() -> None:
        found = living()
        held.lock = None if found is None else getattr(found, name)
        if held.lock is not None and not held.lock.acquire(timeout=WAIT_S):
            held.lock = None

    def in_parent() -> None:
        if held.lock is not None:
            held.lock.release()
        held.lock = None

    def in_child() -> None:
        held.lock = None
        found = living()
        if found is not None:
            setattr(found, name, make_lock())

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
