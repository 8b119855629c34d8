"""What a fork waits for."""

import os
import sqlite3
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from rustrak_storage import forks
from rustrak_storage.forks import CALLS
from rustrak_storage.sql.engine import Database

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")


def fork_and_wait() -> float:
    """Fork a child that ends at once, and return how long the fork took, in seconds."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        os._exit(0)
    took = time.monotonic() - began
    os.waitpid(child, 0)
    return took


def test_a_fork_waits_for_calls(tmp_path: Path) -> None:
    """A fork waits for a call into SQLite that another thread is at, be it only reading."""
    database = Database(make_url(f"sqlite:///{tmp_path}/errors.db"))
    entered = threading.Event()
    ended: list[float] = []

    def pause() -> None:
        entered.set()
        time.sleep(0.5)

    def read() -> None:
        with database.reading() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.create_function("pause", 0, pause)
            connection.execute(text("SELECT pause()")).scalar()
            ended.append(time.monotonic())

    reader = threading.Thread(target=read)
    reader.start()
    assert entered.wait(30)
    took = fork_and_wait()
    reader.join(30)
    database.close()
    assert ended
    assert took > 0.2


def test_a_fork_does_not_wait_for_who_is_between_calls(tmp_path: Path) -> None:
    """A thread that pauses in the midst of reading keeps no fork waiting; nor does the forking thread itself."""
    database = Database(make_url(f"sqlite:///{tmp_path}/errors.db"))
    entered, released = threading.Event(), threading.Event()

    def read() -> None:
        with database.reading() as connection:
            rows = connection.execute(text("SELECT 1 UNION SELECT 2"))
            next(rows)
            entered.set()
            released.wait(30)

    reader = threading.Thread(target=read)
    reader.start()
    assert entered.wait(30)
    with database.reading() as connection:
        rows = connection.execute(text("SELECT 1 UNION SELECT 2"))
        next(rows)
        took = fork_and_wait()
    released.set()
    reader.join(30)
    database.close()
    assert took < forks.WAIT_S / 2


def test_calls_wait_for_a_fork() -> None:
    """While a process forks no call begins; it goes on afterwards."""
    called = threading.Event()
    CALLS._close()
    try:
        thread = threading.Thread(target=CALLS.make, args=(called.set,))
        thread.start()
        assert not called.wait(0.2)
    finally:
        CALLS._open()
    assert called.wait(30)
    thread.join(30)


def test_a_call_within_a_call() -> None:
    """A call that is made within another ends with it, not before."""

    def outer() -> bool:
        CALLS.make(int)
        return threading.get_ident() in CALLS._under_way

    assert CALLS.make(outer)
    assert threading.get_ident() not in CALLS._under_way
