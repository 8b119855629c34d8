"""The queue of the embedded transport: bounded, in order, one thread, started when first needed."""

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from rustrak_core.embed import Recorder


class Taker:
    """Takes what is handed over; it can be held up."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.threads: set[str] = set()
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def __call__(self, batch: Sequence[int]) -> None:
        self.entered.set()
        assert self.open.wait(30)
        self.taken += batch
        self.threads.add(threading.current_thread().name)


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.fixture
def make(taker: Taker) -> Iterator[Callable[..., Recorder[int]]]:
    made: list[Recorder[int]] = []

    def build(hand_over: Callable[[Sequence[int]], None] = taker, **limits: int) -> Recorder[int]:
        bounds = {"max_entries": 1000, "max_bytes": 1_000_000} | limits
        made.append(Recorder(hand_over, name="test.recorder", **bounds))
        return made[-1]

    yield build
    taker.open.set()
    for recorder in made:
        recorder.flush(30)
        recorder.stop()
    for thread in threading.enumerate():
        if thread.name == "test.recorder":
            thread.join(30)


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_in_order_from_a_thread_of_its_own(make: Callable[..., Recorder[int]], taker: Taker) -> None:
    """Entries come in the order in which they were put in; the thread starts with the first."""
    recorder = make()
    assert "test.recorder" not in names()
    assert all(recorder.put(number, 1) for number in range(500))
    assert recorder.flush(30) == 0
    assert taker.taken == list(range(500))
    assert taker.threads == {"test.recorder"}


def test_bounded_in_count(make: Callable[..., Recorder[int]], taker: Taker) -> None:
    """What is over the count is refused at once, that under way included; room comes back."""
    recorder = make(max_entries=3)
    taker.open.clear()
    assert [recorder.put(number, 1) for number in range(5)] == [True, True, True, False, False]
    full = recorder.is_full
    taker.open.set()
    assert recorder.flush(30) == 0
    assert (full, recorder.is_full) == (True, False)
    assert recorder.put(9, 1)


def test_bounded_in_bytes(make: Callable[..., Recorder[int]], taker: Taker) -> None:
    """What is over the bytes is refused at once; a small one may still fit."""
    recorder = make(max_bytes=100)
    taker.open.clear()
    assert [recorder.put(number, size) for number, size in enumerate((60, 50, 40, 1))] == [True, False, True, False]
    taker.open.set()
    assert recorder.flush(30) == 0
    assert recorder.put(0, 101) is False
    assert recorder.put(0, 100) is True


def test_flush_gives_up_in_time(make: Callable[..., Recorder[int]], taker: Taker) -> None:
    """A flush says how many are left when its time is over."""
    recorder = make()
    taker.open.clear()
    recorder.put(1, 1)
    assert taker.entered.wait(30)
    recorder.put(2, 1)
    assert recorder.flush(0.01) == 2


def test_the_thread_ends_and_starts_again(make: Callable[..., Recorder[int]], taker: Taker) -> None:
    """`stop` lets the thread end once the queue is empty; a later entry starts another."""
    recorder = make()
    recorder.put(1, 1)
    recorder.stop()
    for thread in threading.enumerate():
        if thread.name == "test.recorder":
            thread.join(30)
    assert taker.taken == [1]
    assert recorder.put(2, 1)
    assert recorder.flush(30) == 0
    assert taker.taken == [1, 2]


def test_a_taker_that_raises(make: Callable[..., Recorder[int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch whose handing over fails is gone, and the next one comes all the same."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    taken: list[int] = []

    def fail_at_first(batch: Sequence[int]) -> None:
        taken.extend(batch)
        if len(taken) == 1:
            raise RuntimeError

    recorder = make(fail_at_first)
    recorder.put(1, 1)
    assert recorder.flush(30) == 0
    recorder.put(2, 1)
    assert recorder.flush(30) == 0
    assert taken == [1, 2]


def test_at_shutdown_no_thread_starts(
    make: Callable[..., Recorder[int]], taker: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the interpreter starts no thread any more, `flush` hands over in the caller's."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    recorder = make()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert recorder.put(1, 1)
        assert recorder.flush(30) == 0
    assert taker.taken == [1]
    assert taker.threads == {threading.current_thread().name}


def test_flushing_from_within(make: Callable[..., Recorder[int]]) -> None:
    """Whoever flushes while handing over gets an answer at once, instead of waiting for itself."""
    left: list[int] = []
    recorder: Recorder[int] = make(lambda _: left.append(recorder.flush(30)))
    recorder.put(1, 1)
    assert recorder.flush(30) == 0
    assert left == [1]
