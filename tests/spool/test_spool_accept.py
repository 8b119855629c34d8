"""Accepting: durable, shared among threads and processes, bounded, and honest about what it cannot keep."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from rustrak_core.accepted import SpoolPosition
from rustrak_core.errors import ConfigurationError, OverloadError, SpoolUnavailableError
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader, files
from tests.spool.helpers import (
    FREE_BYTES,
    NOW,
    TODAY,
    ManualClock,
    accepted,
    bringing,
    count,
    drain,
    event,
    failure,
    numbers,
    segments,
)


def test_what_is_accepted_is_read_in_order(spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
    """Records come back equal, in the order of acceptance, with the counts of their request."""
    requests = [accepted(1), bringing(event(2), event(3, project=9), counts=[count(4)]), accepted(4, size=0)]
    for request in requests:
        spool.accept(request)
    assert drain(reader) == requests


def test_accepting_returns_after_the_sync(
    spool: DirectorySpool, monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    """When it returns, the bytes were written before a sync that is over."""
    at_sync: list[int] = []
    sync = files.sync

    def noted(fd: int) -> None:
        sync(fd)
        at_sync.append(segments(directory)[-1].stat().st_size)

    monkeypatch.setattr(files, "sync", noted)
    for number in range(3):
        spool.accept(accepted(number))
        assert at_sync[number] == segments(directory)[-1].stat().st_size
    assert len(at_sync) == 3


def test_threads_share_a_sync(
    spool: DirectorySpool, reader: DirectorySpoolReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives during one sync goes to disk with the next, in one."""
    syncs = 0
    begun, going_on = threading.Event(), threading.Event()
    sync = files.sync

    def slow(fd: int) -> None:
        nonlocal syncs
        syncs += 1
        begun.set()
        assert going_on.wait(10)
        sync(fd)

    monkeypatch.setattr(files, "sync", slow)
    with ThreadPoolExecutor(33) as pool:
        first = pool.submit(spool.accept, accepted(0))
        assert begun.wait(10)
        rest = [pool.submit(spool.accept, accepted(number)) for number in range(1, 33)]
        while len(spool._group._waiting) < 32:
            pass
        assert not any(each.done() for each in [first, *rest])
        going_on.set()
        for each in [first, *rest]:
            each.result(10)
    assert syncs == 2
    assert sorted(numbers(drain(reader))) == list(range(33))


def test_32_threads(spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
    """Nothing is lost or doubled among threads that accept at once, over many segments, while a reader reads."""
    spool._writer._segment_bytes = 20_000
    done = threading.Event()
    found: list[int] = []

    def accept_some(thread: int) -> None:
        for number in range(30):
            spool.accept(accepted(thread * 1000 + number))

    def read_on() -> None:
        (lane,), position, last = reader.lanes(), None, False
        while not last:
            last = done.is_set()
            while batch := reader.read(lane, after=position, max_events=50, max_bytes=1 << 16):
                found.extend(numbers(list(batch.accepted)))
                position = batch.advance.end
                reader.forget(position)

    with ThreadPoolExecutor(33) as pool:
        reading = pool.submit(read_on)
        for each in [pool.submit(accept_some, thread) for thread in range(32)]:
            each.result(60)
        done.set()
        reading.result(60)
    assert sorted(found) == sorted(thread * 1000 + number for thread in range(32) for number in range(30))
    for thread in range(32):
        mine = [number for number in found if number // 1000 == thread]
        assert mine == sorted(mine)


def test_leading_is_handed_over(spool: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that leads answers its own client after a while, though others keep coming."""
    monkeypatch.setattr("rustrak_storage.spool.group._LEADS_FOR_S", 0.0)
    with ThreadPoolExecutor(16) as pool:
        for each in [pool.submit(spool.accept, accepted(number)) for number in range(200)]:
            each.result(30)


class TestCounts:
    """Requests that bring only counts do not sync; they are written with the next group, or by flush."""

    def test_they_wait_for_an_event(self, spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
        """They go to disk, added up, with the next event."""
        for _ in range(3):
            spool.accept(bringing(counts=[count(2), count(1, category="attachment")]))
        assert drain(reader) == []
        spool.accept(accepted(1))
        assert drain(reader) == [accepted(1), bringing(counts=[count(6), count(3, category="attachment")])]

    def test_flush(self, spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
        """Flushing writes them once."""
        spool.flush()
        spool.accept(bringing(counts=[count()]))
        spool.flush()
        spool.flush()
        assert drain(reader) == [bringing(counts=[count()])]

    def test_a_second_at_most(self, spool: DirectorySpool, reader: DirectorySpoolReader, clock: ManualClock) -> None:
        """Without any flush, the first that comes after a second writes them."""
        spool.accept(bringing(counts=[count()]))
        clock.now += 1.0
        spool.accept(bringing(counts=[count()]))
        assert drain(reader) == [bringing(counts=[count(2)])]

    def test_they_are_bounded(self, spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
        """However many differ, they do not pile up in memory."""
        for number in range(10_000):
            spool.accept(bringing(counts=[count(reason=str(number))]))
        (found,) = drain(reader)
        assert len(found.counts) == 10_000

    def test_closing_writes_them(self, spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
        """Closing loses none."""
        spool.accept(bringing(counts=[count()]))
        spool.close()
        assert drain(reader) == [bringing(counts=[count()])]

    def test_nothing_at_all(self, spool: DirectorySpool, directory: Path) -> None:
        """A request that brought nothing writes nothing."""
        spool.accept(bringing())
        spool.flush()
        assert segments(directory) == []


class TestRoom:
    """The spool is bounded, and leaves some of the disk to others."""

    def test_full(self, directory: Path, clock: ManualClock) -> None:
        """Over its bound it refuses, says why, and takes again what fits once it was drained."""
        spool = DirectorySpool(directory, max_bytes=40_000, min_free_bytes=FREE_BYTES, monotonic=clock)
        taken = 0
        caught = None
        while caught is None and taken < 100:
            try:
                spool.accept(failure(taken, f"kind {taken}"))
                taken += 1
            except OverloadError as error:
                caught = error
        assert caught is not None
        assert "spool is full" in str(caught)
        assert (caught.reason, caught.retry_after_s) == ("spool_full", 5)
        assert 30 < taken < 40
        with pytest.raises(OverloadError):
            spool.accept(accepted(99, size=1000))
        reader = DirectorySpoolReader(directory, monotonic=clock)
        assert numbers(drain(reader, forget=True)) == list(range(taken))
        clock.now += 0.3
        spool.check()
        spool.accept(accepted(99, size=1000))
        spool.close()
        reader.close()

    def test_other_lanes_count(self, directory: Path, clock: ManualClock) -> None:
        """The bound holds for the folder, whoever fills it."""
        one, other = (
            DirectorySpool(directory, max_bytes=40_000, min_free_bytes=FREE_BYTES, monotonic=clock) for _ in range(2)
        )
        one.accept(accepted(1, size=30_000))
        clock.now += 0.3
        with pytest.raises(OverloadError):
            other.accept(accepted(2, size=30_000))
        one.close()
        other.close()

    def test_disk_floor(self, directory: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the disk has less left than the floor, it refuses; also when asked for its health."""
        spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES, monotonic=clock)
        disk = os.statvfs(directory)
        monkeypatch.setattr(os, "statvfs", lambda _: disk)
        spool._room._min_free_bytes = disk.f_bavail * disk.f_frsize + 1
        calls: list[Callable[[], None]] = [lambda: spool.accept(accepted(1)), spool.check]
        for call in calls:
            with pytest.raises(OverloadError) as caught:
                call()
            assert caught.value.reason == "disk_full"
        spool.close()

    def test_the_disk_is_not_asked_each_time(self, spool: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Looking at folder and disk happens five times a second at most."""
        asked = 0
        statvfs = os.statvfs

        def counted(path: object) -> os.statvfs_result:
            nonlocal asked
            asked += 1
            return statvfs(path)  # type: ignore[arg-type]

        monkeypatch.setattr(os, "statvfs", counted)
        for number in range(10):
            spool.accept(accepted(number))
        assert asked == 1


class TestLanes:
    """Each writer has a lane of its own, and takes one that nobody writes rather than make another."""

    def test_two_writers_two_lanes(self, directory: Path, reader: DirectorySpoolReader) -> None:
        """Writers exclude each other; a reader has both lanes."""
        one, other = (DirectorySpool(directory, min_free_bytes=FREE_BYTES) for _ in range(2))
        assert one.lane != other.lane
        one.accept(accepted(1))
        other.accept(accepted(2))
        assert sorted(numbers(drain(reader))) == [1, 2]
        one.close()
        other.close()

    def test_a_free_lane_is_taken(self, directory: Path) -> None:
        """A restart goes on in the lane that it left, with a new segment."""
        one = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
        one.accept(accepted(1))
        one.close()
        other = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
        assert other.lane == one.lane
        other.accept(accepted(2))
        assert [path.name for path in segments(directory)] == ["000000000001.seg", "000000000002.seg"]
        other.close()

    def test_segment_numbers_are_not_used_again(self, directory: Path, clock: ManualClock) -> None:
        """A lane that was drained goes on counting, since the store holds its position."""
        ends: list[SpoolPosition] = []
        reader = DirectorySpoolReader(directory, monotonic=clock)
        for number in range(3):
            spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
            spool.accept(accepted(number))
            lane, *_ = reader.lanes()
            batch = reader.read(lane, after=ends[-1] if ends else None, max_events=10, max_bytes=1000)
            assert batch is not None
            ends.append(batch.advance.end)
            reader.forget(ends[-1])
            spool.close()
        assert [end.segment for end in ends] == [1, 2, 3]
        assert len(segments(directory)) == 1
        reader.close()


class TestRefusals:
    """What is no spool of ours is left alone, with a text that says what to do."""

    def test_a_file(self, directory: Path) -> None:
        """A file stands where the folder should be."""
        directory.write_text("mine")
        with pytest.raises(ConfigurationError, match="is a file"):
            DirectorySpool(directory)
        assert directory.read_text() == "mine"

    def test_someone_elses_folder(self, directory: Path) -> None:
        """A folder with other files in it is not taken."""
        directory.mkdir()
        (directory / "thesis.txt").write_text("mine")
        for kind in (DirectorySpool, DirectorySpoolReader):
            with pytest.raises(ConfigurationError, match="not a spool"):
                kind(directory)
        assert [path.name for path in directory.iterdir()] == ["thesis.txt"]

    def test_another_version(self, directory: Path) -> None:
        """A spool of another version is named as such."""
        DirectorySpool(directory).close()
        (directory / "FORMAT").write_text("rustrak spool 99\n")
        before = sorted(directory.rglob("*"))
        with pytest.raises(ConfigurationError, match="another version"):
            DirectorySpool(directory)
        assert sorted(directory.rglob("*")) == before

    def test_read_only(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A folder that cannot be written is named."""

        def refuse(*_: object, **__: object) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(ConfigurationError, match=r"Read-only.*writable"):
            DirectorySpool(directory)

    def test_after_closing(self, spool: DirectorySpool) -> None:
        """A closed spool refuses, and closing twice is fine."""
        spool.close()
        spool.close()
        calls: list[Callable[[], None]] = [lambda: spool.accept(accepted(1)), spool.flush, spool.check]
        for call in calls:
            with pytest.raises(SpoolUnavailableError, match="closed"):
                call()

    def test_after_a_fork(self, spool: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
        """A child that inherited a spool is told to open its own."""
        parent = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: parent + 1)
        with pytest.raises(SpoolUnavailableError, match="fork"):
            spool.accept(accepted(1))
        monkeypatch.undo()
        spool.accept(accepted(1))


class TestFigures:
    """How much waits."""

    def test_stats(self, directory: Path, reader: DirectorySpoolReader, clock: ManualClock) -> None:
        """Size, files and age are of what is not recorded yet."""
        times = iter([NOW, NOW + timedelta(seconds=5)])
        spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES, monotonic=clock, clock=lambda: next(times))
        stats = spool.stats()
        assert (stats.size_bytes, stats.segments, stats.oldest_at) == (0, 0, None)
        spool.accept(accepted(1))
        spool.accept(accepted(2))
        whole = spool.stats()
        assert (whole.segments, whole.oldest_at) == (1, NOW)
        (lane,) = reader.lanes()
        first = reader.read(lane, after=None, max_events=1, max_bytes=1000)
        assert first is not None
        reader.forget(first.advance.end)
        half = spool.stats()
        assert (half.size_bytes, half.oldest_at) == (whole.size_bytes // 2, NOW + timedelta(seconds=5))
        second = reader.read(lane, after=first.advance.end, max_events=1, max_bytes=1000)
        assert second is not None
        reader.forget(second.advance.end)
        assert (spool.stats().size_bytes, spool.stats().oldest_at) == (0, None)
        spool.close()

    def test_queued(self, spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
        """Events of one project behind the store's positions, by day of receipt, over all segments."""
        spool._writer._segment_bytes = 500
        for number in range(20):
            spool.accept(accepted(number, project=1 + number % 2, received_at=NOW + timedelta(days=number // 10)))
        spool.accept(bringing(event(98), event(99), counts=[count()]))
        tomorrow = TODAY + timedelta(days=1)
        for _ in range(2):
            assert spool.queued(1, []) == {TODAY: 7, tomorrow: 5}  # type: ignore[arg-type]
            assert spool.queued(2, []) == {TODAY: 5, tomorrow: 5}  # type: ignore[arg-type]
            assert spool.queued(3, []) == {}  # type: ignore[arg-type]
        (lane,) = reader.lanes()
        position, left = None, 22
        while batch := reader.read(lane, after=position, max_events=1, max_bytes=1000):
            position = batch.advance.end
            left -= sum(len(each.events) for each in batch.accepted)
            found = [spool.queued(project, [position]) for project in (1, 2)]  # type: ignore[arg-type]
            assert sum(sum(days.values()) for days in found) == left
            reader.forget(position)
        assert left == 0

    def test_check(self, spool: DirectorySpool) -> None:
        """A spool that works says so."""
        spool.check()
