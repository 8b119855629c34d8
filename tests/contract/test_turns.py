"""Turns at writing to a SQLite file: who waits stands in a door; nobody who stays in it for ever stops the others."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from rustrak_core.errors import StoreUnavailableError
from rustrak_storage.factory import open_store
from rustrak_storage.sql import sqlite
from rustrak_storage.sql.turns import begin_writing
from rustrak_storage.testing.values import create_project


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "turns.db"


@pytest.fixture
def connections(path: Path) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """Two connections to one file, as of two processes: neither knows of the other."""
    first, second = (sqlite3.connect(path, isolation_level=None, check_same_thread=False) for _ in range(2))
    first.execute("PRAGMA journal_mode = WAL")
    first.execute("CREATE TABLE t (x)")
    yield first, second
    first.close()
    second.close()


@contextmanager
def in_the_door(path: Path) -> Iterator[None]:
    """Stand in the door of a file, as a process that waits for its turn."""
    file = os.open(f"{path}-wal", os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)


def is_free(path: Path) -> bool:
    try:
        with in_the_door(path):
            return True
    except BlockingIOError:
        return False


def test_the_next_one_stands_in_the_door(
    path: Path, connections: tuple[sqlite3.Connection, sqlite3.Connection]
) -> None:
    """Whoever waits for a writer stands in the door until that one has ended, and leaves it to the next one then."""
    first, second = connections
    begin_writing(first, f"{path}-wal", within_s=10)
    assert is_free(path)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(begin_writing, second, f"{path}-wal", within_s=30)
        while is_free(path):
            assert not waiting.done()
            time.sleep(0.001)
        first.execute("COMMIT")
        waiting.result(20)
    assert is_free(path)
    assert second.in_transaction


def test_nobody_who_stays_in_the_door_stops_others(
    path: Path, connections: tuple[sqlite3.Connection, sqlite3.Connection]
) -> None:
    """A process that was stopped in the door holds others up for a moment, not for as long as a writer would."""
    first, _second = connections
    with in_the_door(path):
        started = time.monotonic()
        begin_writing(first, f"{path}-wal", within_s=120)
        assert time.monotonic() - started < 60
    assert first.in_transaction


def test_without_a_door(path: Path, connections: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    """Where there is no log to lock, SQLite alone decides."""
    first, _second = connections
    begin_writing(first, f"{path}-none", within_s=1)
    assert first.in_transaction
    assert not Path(f"{path}-none").exists()


def test_a_writer_that_never_ends(path: Path, connections: tuple[sqlite3.Connection, sqlite3.Connection]) -> None:
    """Who waited in vain is told so, leaves the door, and its connection waits for others as before."""
    first, second = connections
    second.execute("PRAGMA busy_timeout = 5000")
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        begin_writing(second, f"{path}-wal", within_s=0.2)
    assert is_free(path)
    assert second.execute("PRAGMA busy_timeout").fetchone() == (200,)


def test_a_link_leads_to_the_same_door(sqlite_url: str, tmp_path: Path) -> None:
    """A store that was opened by a symbolic link waits with those that name its file."""
    path, link = Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    store = open_store(f"sqlite:///{link}")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(create_project, store, "x")
        while is_free(path):
            assert not waiting.done()
            time.sleep(0.001)
        writer.execute("COMMIT")
        assert waiting.result(20).name == "x"
    writer.close()
    store.close()


def test_what_the_store_says_of_it(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that another process kept from writing says that it did."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.2)
    store = open_store(sqlite_url)
    writer = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailableError, match="another process is writing to the SQLite file") as caught:
        create_project(store, "x")
    assert "BEGIN" not in str(caught.value)
    writer.execute("COMMIT")
    assert create_project(store, "x").name == "x"
    writer.close()
    store.close()
