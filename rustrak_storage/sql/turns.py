"""Turns at writing to a SQLite file, so that whoever writes without a pause keeps no other process out.

SQLite lets in whoever asks while nobody writes, and whoever waits asks ever more seldom, in the end ten times a second:
one that writes transaction after transaction can keep others out until they give up. So a writer first steps into a
door, which is a lock on a file, and stands in it until SQLite has let it in. Whoever has just written finds somebody in
the door, if anybody waits. While one writes, the next stands in the door already.
"""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

try:
    import fcntl
except ImportError:  # as on Windows, where SQLite alone decides
    fcntl = None  # type: ignore[assignment]

_AT_DOOR_S: Final = 0.002
"""Between two looks at the door, for all alike: who has waited longer has no worse chance."""
_PATIENCE_S: Final = 2.0
"""So long others wait for whoever is in the door, and then ask SQLite beside it: it may have been stopped there."""
_SHORTEST_S: Final = 0.0005
_LONGEST_S: Final = 0.01
_PART: Final = 32
"""Whoever stands in the door asks SQLite again after this part of the time that it has waited, so no more is lost."""


def begin_writing(connection: sqlite3.Connection, log: str, *, within_s: float) -> None:
    """Begin a transaction that writes, in turn with other processes.

    Args:
        connection: In no transaction.
        log: The file beside the database that has its newest pages. SQLite takes no lock on it, and its locks on the
            database itself would be gone once this process closed that.
        within_s: How long to wait.

    Raises:
        sqlite3.Error: others wrote all the time, or the database cannot be used.
    """
    started = time.monotonic()
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 0")
    try:
        with _door(log, started + min(within_s, _PATIENCE_S)):
            while True:
                try:
                    cursor.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    waited = time.monotonic() - started
                    if waited > within_s or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                        raise
                    time.sleep(min(max(waited / _PART, _SHORTEST_S), _LONGEST_S))
                else:
                    return
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {int(within_s * 1000)}")
        cursor.close()


@contextmanager
def _door(log: str, deadline: float) -> Iterator[None]:
    """Stand in the door; but not where there is none, or somebody stays in it: that is no reason not to write."""
    try:
        file = os.open(log, os.O_RDONLY)
    except OSError:
        file = None
    if file is None or fcntl is None:
        yield
        return
    try:
        while not _stepped_in(file) and time.monotonic() < deadline:
            time.sleep(_AT_DOOR_S)
        yield
    finally:
        with suppress(OSError):  # closing alone would not do, if a child that was forked meanwhile has it open
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _stepped_in(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without such locks
        return True
    return True
