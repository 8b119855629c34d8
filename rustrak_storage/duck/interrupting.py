"""A Ctrl-C while DuckDB works."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import current_thread, main_thread
from typing import TypeVar

import duckdb

T = TypeVar("T")

_AGAIN_SECONDS = 0.05
"""DuckDB is interrupted so often until the work ends, since nothing happens where it has not begun yet."""


def interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """Return what *work* returns, which lets DuckDB do something with *connection*.

    Python handles signals in the main thread only, and not while that is in DuckDB. So another thread does the work of
    the main one, which waits and has DuckDB interrupted when a signal raises something.

    Raises:
        KeyboardInterrupt: of a Ctrl-C, once the work has ended.
    """
    if current_thread() is not main_thread():
        return work()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        try:
            wait([future])
        except BaseException:
            while not future.done():
                connection.interrupt()
                wait([future], _AGAIN_SECONDS)
            raise
        return future.result()
