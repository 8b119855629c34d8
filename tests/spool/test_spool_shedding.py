"""What goes first where room is short: payloads of repeats, then repeats, then all; a new error goes last."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rustrak_core.accepted import Accepted
from rustrak_core.errors import OverloadError, RustrakError
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader
from tests.spool.helpers import FREE_BYTES, ManualClock, accepted, count, drain, failure


@pytest.fixture
def narrow(directory: Path, clock: ManualClock) -> Iterator[DirectorySpool]:
    """A spool of twenty events, whatever their size."""
    spool = DirectorySpool(directory, max_events=20, min_free_bytes=FREE_BYTES, monotonic=clock)
    yield spool
    spool.close()


def waiting(directory: Path, clock: ManualClock) -> list[tuple[int, bool]]:
    """Return number and "shed" of all events in the spool."""
    reader = DirectorySpoolReader(directory, monotonic=clock)
    found = [(event.event_id.int, event.is_shed) for one in drain(reader) for event in one.events]
    reader.close()
    return sorted(found)


def refused(spool: DirectorySpool, what: Accepted) -> str:
    with pytest.raises(OverloadError) as caught:
        spool.accept(what)
    return caught.value.reason


def test_in_this_order(directory: Path, clock: ManualClock, narrow: DirectorySpool) -> None:
    """Whole up to 80 %; then repeats without payloads; from 95 % on no repeats; new errors up to the very last."""
    for number in range(17):
        narrow.accept(failure(number, "old"))
    narrow.accept(failure(17, "old"))  # the first of its kind since room is short: whole
    narrow.accept(failure(18, "old"))
    assert refused(narrow, failure(19, "old")) == "spool_full"
    narrow.accept(failure(20, "new"))
    assert refused(narrow, failure(21, "newer")) == "spool_full"
    narrow.flush()
    assert waiting(directory, clock) == [*((number, False) for number in range(18)), (18, True), (20, False)]


def test_by_bytes(directory: Path, clock: ManualClock) -> None:
    """Likewise by bytes; without its payload, a repeat takes a fraction."""
    spool = DirectorySpool(directory, max_bytes=100_000, min_free_bytes=FREE_BYTES, monotonic=clock)
    for number in range(16):
        spool.accept(failure(number, "old", size=5000))
    assert not any(is_shed for _, is_shed in waiting(directory, clock))
    spool.accept(failure(50, "old", size=5000))
    taken = 0
    while taken < 100:
        try:
            spool.accept(failure(100 + taken, "old", size=5000))
        except OverloadError:
            break
        taken += 1
    assert 10 < taken < 100  # whole there would have been room for two
    spool.accept(failure(300, "new", size=4000))
    found = dict(waiting(directory, clock))
    assert [found[50], found[300]] == [False, False]
    assert all(found[100 + number] for number in range(taken))
    spool.close()


def test_by_free_disk(directory: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Likewise near the floor of free disk, which is looked at when something is accepted."""
    floor = 100 * 1024**2
    spool = DirectorySpool(directory, min_free_bytes=floor, monotonic=clock)
    disk = os.statvfs(directory)

    def leave(share: float) -> None:
        blocks = int(floor / share) // disk.f_frsize
        facts = [*disk]
        facts[4] = blocks
        monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(facts))
        clock.now += 0.3

    leave(0.5)
    for number in range(3):
        spool.accept(failure(number, "old"))
    leave(0.9)
    for number in range(3, 6):  # the first two of these find out that it is short, and what is lately known
        spool.accept(failure(number, "old"))
    leave(0.97)
    assert refused(spool, failure(6, "old")) == "disk_full"
    spool.accept(failure(7, "new"))
    leave(1.01)
    assert refused(spool, failure(8, "newer")) == "disk_full"
    assert waiting(directory, clock) == [*((number, False) for number in range(5)), (5, True), (7, False)]
    spool.close()


def test_the_express_way_too(directory: Path, clock: ManualClock, narrow: DirectorySpool) -> None:
    """What is submitted, rather than accepted, is shed by the same rule."""
    for number in range(18):
        narrow.accept(failure(number, "old"))
    done = threading.Event()
    failures: list[RustrakError | None] = []

    def settled(failure: RustrakError | None) -> None:
        failures.append(failure)
        done.set()

    narrow.submit(failure(18, "old"), settled)
    narrow.push()
    assert done.wait(30)
    assert failures == [None]
    with pytest.raises(OverloadError):
        narrow.submit(failure(19, "old"), settled)
    assert waiting(directory, clock)[-1] == (18, True)


def test_other_things_go_on_being_counted(narrow: DirectorySpool, clock: ManualClock) -> None:
    """Counts take no room that anybody could want."""
    for number in range(20):
        narrow.accept(failure(number, f"kind {number}"))
    narrow.accept(Accepted(counts=(count(),)))
    narrow.flush()
    clock.now += 1
    narrow.check()


def test_a_write_that_fails_leaves_nothing_known(
    directory: Path, clock: ManualClock, narrow: DirectorySpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error is known once one of it is on disk; what could not be written does not count."""
    for number in range(17):
        narrow.accept(failure(number, "old"))
    with monkeypatch.context() as patch:
        patch.setattr("rustrak_storage.spool.files.sync", _fail)
        with pytest.raises(RustrakError):
            narrow.accept(failure(17, "new"))
    narrow.accept(failure(18, "new"))
    assert dict(waiting(directory, clock))[18] is False


def _fail(_fd: int) -> None:
    raise OSError(5, "Input/output error")


def test_what_is_recorded_makes_room(directory: Path, clock: ManualClock) -> None:
    """The number of waiting events falls as they are recorded, in whichever process either happens."""
    spools = [
        DirectorySpool(directory, max_events=20, min_free_bytes=FREE_BYTES, monotonic=clock, segment_bytes=3000)
        for _ in range(2)
    ]
    reader = DirectorySpoolReader(directory, monotonic=clock)
    for number in range(20):
        spools[number % 2].accept(failure(number, f"kind {number}"))
        clock.now += 0.3
    assert refused(spools[0], failure(20, "kind 20")) == "spool_full"
    (lane, *_) = reader.lanes()
    batch = reader.read(lane, after=None, max_events=3, max_bytes=1 << 20)
    assert batch is not None
    clock.now += 0.3
    assert refused(spools[1], failure(20, "kind 20")) == "spool_full"
    reader.forget(batch.advance.end)
    recorded = len(batch.accepted)
    clock.now += 0.3
    for number in range(recorded):
        spools[1].accept(failure(30 + number, f"kind {number}"))
        clock.now += 0.3
    assert refused(spools[1], failure(50, "kind 50")) == "spool_full"
    for spool in spools:
        spool.close()
    reader.close()


def test_a_number_that_is_off_is_put_right(directory: Path, clock: ManualClock) -> None:
    """Where a process was killed between its work and its note, the number is right again once the lane is empty."""
    spool = DirectorySpool(directory, max_events=20, min_free_bytes=FREE_BYTES, monotonic=clock)
    reader = DirectorySpoolReader(directory, monotonic=clock)
    for number in range(20):
        spool.accept(failure(number, f"kind {number}"))
    (lane,) = reader.lanes()
    batch = reader.read(lane, after=None, max_events=100, max_bytes=1 << 20)
    assert batch is not None
    reader.close()  # recorded, but never noted
    reader = DirectorySpoolReader(directory, monotonic=clock)
    reader.lanes()
    reader.forget(batch.advance.end)
    clock.now += 0.3
    assert refused(spool, accepted(90)) == "spool_full"
    assert reader.read(lane, after=batch.advance.end, max_events=100, max_bytes=1 << 20) is None
    clock.now += 0.3
    for number in range(20):
        spool.accept(failure(100 + number, f"other kind {number}"))
    assert refused(spool, failure(200, "one more")) == "spool_full"
    reader.close()
    spool.close()
