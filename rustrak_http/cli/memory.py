"""Memory of the long-lived processes of ``rustrak serve``."""

import contextlib
import ctypes
import gc
import os
from collections.abc import Callable

# glibc's numbers for mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BYTES = 128 * 1024

TRIM_EVERY_S = 20.0
"""How often a process gives freed memory back to the system."""


def settle_memory() -> None:
    """Leave what was loaded at the start out of all further searches for garbage, and search less often.

    Requests and events leave next to no cycles behind, and each full search would walk through every module. What the
    start itself took and left goes back to the system, before children inherit it.
    """
    _use_memory_sparingly()
    gc.collect()
    give_back_memory()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def give_back_memory() -> None:
    """Have the C library return to the system what it keeps of freed memory; a matter of milliseconds.

    Training a dictionary takes some megabytes for a moment, in pieces too small to be returned when they are freed.
    Other C libraries than glibc have no such call.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def aside(work: Callable[[], object]) -> None:
    """Do *work* in a copy of this process, so that what it loads does not stay; whether it failed is not told.

    Call it from a process that has one thread.
    """
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    os.waitpid(pid, 0)


def _use_memory_sparingly() -> None:
    """Have the C library return large blocks to the system when they are freed, and keep all others in one place.

    A batch of events is read and packed in large blocks. glibc learns from the first ones to keep such memory, in
    pieces that nothing else fits into; that was a fifth of a digest worker. And it gives each thread a place of its
    own, of which most stays empty. Other C libraries have no such call, or ignore it.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_ARENA_MAX, 1)
