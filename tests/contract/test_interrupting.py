"""A Ctrl-C while a database works: whenever it comes, nothing is at work any more once it is raised."""

import threading
from threading import Event, Thread

import pytest

from rustrak_storage import interrupting
from rustrak_storage.interrupting import interruptible


class Connection:
    """One that works until it is interrupted."""

    def __init__(self) -> None:
        self.told = Event()
        self.begun = Event()
        self.ended = False

    def interrupt(self) -> None:
        self.told.set()

    def work(self) -> str:
        self.begun.set()
        assert self.told.wait(60)
        self.ended = True
        return "done"


def starting(connection: Connection) -> type[Thread]:
    """Return a kind of thread that is interrupted when it works, but nobody has been told yet that it was started."""

    class Starting(Thread):
        def start(self) -> None:
            super().start()
            assert connection.begun.wait(60)
            raise KeyboardInterrupt

    return Starting


def test_while_the_work_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the other thread has begun, but nobody has been told that yet."""
    connection = Connection()
    monkeypatch.setattr(interrupting, "Thread", starting(connection))
    with pytest.raises(KeyboardInterrupt):
        interruptible(connection, connection.work)
    assert connection.ended


def test_before_the_work_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it never is, not even by a thread that starts late."""
    connection = Connection()
    late: list[Thread] = []

    class Late(Thread):
        def start(self) -> None:
            late.append(self)
            raise KeyboardInterrupt

    monkeypatch.setattr(interrupting, "Thread", Late)
    with pytest.raises(KeyboardInterrupt):
        interruptible(connection, connection.work)
    threading.Thread.start(late[0])
    late[0].join(60)
    assert not connection.begun.is_set()


def test_again_by_somebody_who_cannot_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one does not leave the work behind."""
    connection = Connection()
    told = connection.interrupt
    times = 0

    def interrupt() -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise KeyboardInterrupt
        told()

    monkeypatch.setattr(connection, "interrupt", interrupt)
    monkeypatch.setattr(interrupting, "Thread", starting(connection))
    with pytest.raises(KeyboardInterrupt):
        interruptible(connection, connection.work)
    assert connection.ended


def test_what_work_returns_and_raises() -> None:
    """It is who asked that gets it."""
    connection = Connection()
    assert interruptible(connection, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        interruptible(connection, lambda: 1 // 0)
