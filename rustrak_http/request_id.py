"""Request ids: each answer bears one, in ``X-Request-Id``, and so does each line in the log about that request.

Whoever stands in front may send one; else it is made here, from a random part that each process has of its own, and a
number that counts up.
"""

import itertools
import os
import re
from contextvars import ContextVar

HEADER = "X-Request-Id"

CURRENT: ContextVar[str] = ContextVar("rustrak_request_id", default="")
"""The id of the request that this thread is at, empty where it is at none."""

_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


class _Maker:
    """Makes ids; a process that was forked makes others than its parent."""

    def __init__(self) -> None:
        self.start()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.start)

    def start(self) -> None:
        self.prefix = os.urandom(6).hex()
        self.numbers = itertools.count(1)


_maker = _Maker()


def request_id(sent: str | None) -> str:
    """Return the id of a request: the one that was *sent* with it, if it is sane, else a new one.

    Sane are up to 64 letters, digits, dots, hyphens and underscores of ASCII.
    """
    if sent and _SANE.fullmatch(sent):
        return sent
    return f"{_maker.prefix}-{next(_maker.numbers):x}"
