"""Forks: what is held while a process forks, so that no child inherits a piece of work that nobody will finish.

Without it a child may wait for ever: for a lock whose holder exists in the parent only, be it one of ours or one that
a library written in C holds for a moment, or for SQLite, which remembers in the child that a connection of the parent's
is writing.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

WAIT_S = 60.0
"""How long a fork waits for a write to end, before it takes the risk that the child can never write.

A write of a hundred events took 14 s where three other threads never let go of the interpreter: each of its steps has
to win it back.
"""


class Calls:
    """Calls into a library that is written in C and let go of the interpreter, which a fork waits for.

    SQLite, for one, allocates all its memory under one lock: a child that is forked while another thread is at it, be
    it only reading, could never use SQLite again.
    """

    def __init__(self) -> None:
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._close, after_in_parent=self._open, after_in_child=self._reset)

    def make(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``call(*args, **kwargs)``; while a process forks it waits."""
        me = threading.get_ident()
        if me in self._under_way:  # within a call, as when a collection of garbage closes something
            return call(*args, **kwargs)
        self._under_way.add(me)  # before the look at the door: who closes it does these two in the other order
        while self._is_closed:
            self._under_way.discard(me)
            with self._forking:
                self._under_way.add(me)
        try:
            return call(*args, **kwargs)
        finally:
            self._under_way.discard(me)

    def _close(self) -> None:
        """Let no further call begin, and wait until those under way have ended."""
        self._forking.acquire()
        self._is_closed = True
        until = time.monotonic() + WAIT_S
        while self._under_way - {threading.get_ident()} and time.monotonic() < until:
            time.sleep(0.0002)

    def _open(self) -> None:
        self._is_closed = False
        self._forking.release()

    def _reset(self) -> None:
        self._forking = threading.Lock()
        self._is_closed = False
        self._under_way: set[int] = set()


CALLS = Calls()
"""Those of this process. It comes before all `hold_while_forking`, so that a fork closes it last: whoever holds one of
those locks has calls to make before letting go."""


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
