"""A Ctrl-C while a database works."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from threading import Lock, Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

_AGAIN_SECONDS = 0.05
"""DuckDB is interrupted so often until the work ends, since nothing happens where it has not begun yet."""


_heeded = False


def heed_ctrl_c() -> None:
    """Have stores end a statement on Ctrl-C from now on, as commands do.

    Stores of others are left alone: each statement costs the start of a thread, and a host of ours gets none unasked.
    """
    global _heeded  # noqa: PLW0603 - of a process, as signals are
    _heeded = True


class Working(Protocol):
    """A connection that another thread can have give up what it does, as DuckDB's."""

    def interrupt(self) -> None:
        """Have it give up."""
        ...


def interruptible(connection: Working, work: Callable[[], T]) -> T:
    """Return what *work* returns, which lets a database do something with *connection*.

    Python handles signals in the main thread only, and not while that is in DuckDB. So another thread does the work of
    the main one, which waits and has DuckDB interrupted when a signal raises something.

    Raises:
        KeyboardInterrupt: of a Ctrl-C, once the work has ended.
    """
    if current_thread() is not main_thread():
        return work()
    claim, done = Lock(), Future[T]()

    def run() -> None:
        if claim.acquire(blocking=False):
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001 - the main thread's to raise
                done.set_exception(error)

    try:
        Thread(target=run).start()
        wait([done])
    except BaseException:  # perhaps while the thread was started; it does nothing any more if it has not begun
        while not claim.acquire(blocking=False) and not done.done():
            with suppress(KeyboardInterrupt):  # of somebody who cannot wait
                connection.interrupt()
                wait([done], _AGAIN_SECONDS)
        raise
    return done.result()


def interruptible_if_heeded(connection: Working, work: Callable[[], T]) -> T:
    """Return what *work* returns, as `interruptible` does once `heed_ctrl_c` was called."""
    return interruptible(connection, work) if _heeded else work()


def executed(
    connection: "duckdb.DuckDBPyConnection", statement: str, parameters: object = None
) -> list[tuple[Any, ...]]:
    """Have DuckDB execute *statement*, as `interruptible` does, and return its rows."""
    return interruptible(connection, lambda: connection.execute(statement, parameters).fetchall())


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Have a Ctrl-C wait; processes that are started within never hear one, for who waits for them ends them.

    A terminal sends it to all processes of a command.
    """
    from multiprocessing import resource_tracker  # noqa: PLC0415 - each command loads this module

    resource_tracker.ensure_running()  # which whoever starts the first process does, and lets signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
