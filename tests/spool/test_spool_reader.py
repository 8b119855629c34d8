"""Reading: bounded batches, one reader a lane, and lanes that nobody writes any more."""

import fcntl
import shutil
import threading
from pathlib import Path

import pytest

from rustrak_core.accepted import SpoolPosition
from rustrak_core.errors import SpoolUnavailableError
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader, files
from rustrak_storage.spool.writer import take_lane
from tests.spool.helpers import FREE_BYTES, ManualClock, accepted, bringing, count, drain, event, numbers, segments


def test_nothing_yet(spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
    """An empty lane gives nothing, and gives what comes later."""
    assert drain(reader) == []
    spool.accept(accepted(1))
    assert numbers(drain(reader)) == [1]


def test_batches_are_bounded(spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
    """A batch ends before it exceeds its bounds, but holds at least one record."""
    for number in range(10):
        spool.accept(accepted(number, size=1000))
    spool.accept(accepted(10, size=5000))
    spool.accept(bringing(event(11), event(12), event(13)))
    (lane,) = reader.lanes()
    sizes, position = [], None
    while batch := reader.read(lane, after=position, max_events=2, max_bytes=3000):
        sizes.append(len(numbers(list(batch.accepted))))
        position = batch.advance.end
    assert sizes == [2, 2, 2, 2, 2, 1, 3]
    batch = reader.read(lane, after=None, max_events=100, max_bytes=3500)
    assert batch is not None
    assert numbers(list(batch.accepted)) == [0, 1, 2]


def test_counts_are_bounded_too(spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
    """Records without events do not make a batch endless."""
    for _ in range(10):
        spool.accept(bringing(counts=[count()]))
        spool.flush()
    (lane,) = reader.lanes()
    batch = reader.read(lane, after=None, max_events=4, max_bytes=1 << 20)
    assert batch is not None
    assert len(batch.accepted) == 4


def test_reading_again_gives_the_same(spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
    """What was not committed is read again, by this reader or another."""
    for number in range(5):
        spool.accept(accepted(number))
    assert drain(reader) == drain(reader, max_events=2)


def test_a_lane_has_one_reader(
    spool: DirectorySpool, reader: DirectorySpoolReader, directory: Path, clock: ManualClock
) -> None:
    """Readers exclude each other; what one gives back falls to the other."""
    spool.accept(accepted(1))
    assert numbers(drain(reader)) == [1]
    other = DirectorySpoolReader(directory, monotonic=clock)
    assert other.lanes() == []
    with pytest.raises(SpoolUnavailableError, match="not held"):
        other.read(spool.lane, after=None, max_events=1, max_bytes=1)
    reader.close()
    clock.now += 1.5
    assert numbers(drain(other)) == [1]
    other.close()


def test_readers_share_the_lanes(directory: Path, clock: ManualClock) -> None:
    """Each takes its share at once; what nobody takes for some seconds falls to whoever is there."""
    spools = [DirectorySpool(directory, min_free_bytes=FREE_BYTES) for _ in range(3)]
    first, second = (DirectorySpoolReader(directory, readers=2, monotonic=clock) for _ in range(2))
    assert len(first.lanes()) == 2
    assert len(second.lanes()) == 1
    assert {*first.lanes(), *second.lanes()} == {spool.lane for spool in spools}
    first.close()
    clock.now += 1.5
    assert len(second.lanes()) == 2
    clock.now += 4
    assert len(second.lanes()) == 2
    clock.now += 2
    assert len(second.lanes()) == 3
    second.close()
    for spool in spools:
        spool.close()


def test_a_new_lane_is_seen_at_once(spool: DirectorySpool, reader: DirectorySpoolReader, directory: Path) -> None:
    """A lane that comes later is not waited for."""
    assert reader.lanes() == [spool.lane]
    other = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    other.accept(accepted(1))
    assert numbers(drain(reader)) == [1]
    other.close()


def test_only_what_is_synced_is_read(
    spool: DirectorySpool, reader: DirectorySpoolReader, monkeypatch: pytest.MonkeyPatch, clock: ManualClock
) -> None:
    """While the writer lives, a record that is written and not yet on disk is not read: it may yet be refused."""
    spool.accept(accepted(0))
    begun, going_on = threading.Event(), threading.Event()
    sync = files.sync

    def slow(fd: int) -> None:
        begun.set()
        assert going_on.wait(10)
        sync(fd)

    monkeypatch.setattr(files, "sync", slow)
    thread = threading.Thread(target=spool.accept, args=(accepted(1),))
    thread.start()
    assert begun.wait(10)
    clock.now += 10
    assert numbers(drain(reader)) == [0]
    going_on.set()
    thread.join()
    assert numbers(drain(reader)) == [0, 1]


def test_segments_go_once_recorded(spool: DirectorySpool, reader: DirectorySpoolReader, directory: Path) -> None:
    """Forgetting removes whole files that are behind, and nothing that is not."""
    spool._writer._segment_bytes = 1200
    for number in range(20):
        spool.accept(accepted(number, size=400))
    before = segments(directory)
    assert len(before) == 20 // 2
    (lane,) = reader.lanes()
    batch = reader.read(lane, after=None, max_events=1, max_bytes=1)
    assert batch is not None
    reader.forget(batch.advance.end)
    assert segments(directory) == before
    batch = reader.read(lane, after=batch.advance.end, max_events=1, max_bytes=1)
    assert batch is not None
    reader.forget(batch.advance.end)
    assert segments(directory) == before[1:]
    assert numbers(drain(reader, after=batch.advance.end, forget=True)) == list(range(2, 20))
    assert segments(directory) == before[-1:]


class TestOrphans:
    """Lanes whose writer is gone are drained by any reader, and removed."""

    def test_drained_and_removed(self, directory: Path, clock: ManualClock) -> None:
        """After the last record is committed nothing is left of the lane."""
        spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
        spool.accept(accepted(1))
        spool.close()
        reader = DirectorySpoolReader(directory, monotonic=clock)
        assert numbers(drain(reader)) == [1]
        clock.now += 2
        assert numbers(drain(reader)) == [1], "not committed, so not removed"
        assert numbers(drain(reader, forget=True)) == [1]
        clock.now += 2
        lane = spool.lane
        position = reader._lanes[lane]._forgotten
        assert reader.read(lane, after=position, max_events=1, max_bytes=1) is None
        assert reader.lanes() == []
        assert [path.name for path in directory.iterdir()] == ["FORMAT"]
        reader.close()

    def test_a_lane_with_a_writer_stays(
        self, spool: DirectorySpool, reader: DirectorySpoolReader, clock: ManualClock
    ) -> None:
        """However idle, the lane of a live writer is never removed."""
        for number in range(3):
            clock.now += 5
            drain(reader, forget=True)
            spool.accept(accepted(number))
        assert numbers(drain(reader)) == [0, 1, 2]

    def test_a_lane_that_is_removed_cannot_be_taken(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A writer that got hold of a lane's lock file just before the lane was removed goes elsewhere."""
        old = take_lane(directory_made(directory), segment_bytes=1000)
        old.close()
        real = fcntl.flock

        def late(fd: int, how: int) -> None:
            monkeypatch.setattr(fcntl, "flock", real)
            shutil.rmtree(old.lane.path)
            real(fd, how)

        monkeypatch.setattr(fcntl, "flock", late)
        new = take_lane(directory, segment_bytes=1000)
        assert new.lane.name != old.lane.name
        new.close()

    def test_half_a_removal(self, directory: Path) -> None:
        """What a reader that was killed left behind is removed by the next."""
        gone = directory_made(directory) / f".gone-{'0' * 32}"
        gone.mkdir()
        (gone / "000000000001.seg").touch()
        DirectorySpoolReader(directory).close()
        assert not gone.exists()

    def test_a_vanished_folder(self, spool: DirectorySpool, reader: DirectorySpoolReader, directory: Path) -> None:
        """A lane that someone removed by hand is dropped."""
        spool.accept(accepted(1))
        assert reader.lanes() == [spool.lane]
        shutil.rmtree(directory / spool.lane)
        assert reader.lanes() == []


def test_closed(reader: DirectorySpoolReader) -> None:
    """A closed reader says so."""
    reader.close()
    with pytest.raises(SpoolUnavailableError, match="closed"):
        reader.lanes()


def test_a_newer_format_is_left_alone(spool: DirectorySpool, reader: DirectorySpoolReader, directory: Path) -> None:
    """Segments of a newer version are not skipped as damaged; the text says what to do."""
    from rustrak_storage.spool.record import FORMAT_VERSION, SegmentHead

    spool.accept(accepted(1))
    (segment,) = segments(directory)
    with segment.open("r+b") as file:
        file.write(SegmentHead(version=FORMAT_VERSION + 1).pack())
    with pytest.raises(SpoolUnavailableError, match="newer Rustrak"):
        drain(reader)


def test_a_folder_older_than_the_database(
    spool: DirectorySpool, reader: DirectorySpoolReader, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a backup of the spool was restored, and not of the database, nothing new is skipped."""
    spool.accept(accepted(1))
    ahead = SpoolPosition(lane=spool.lane, segment=50, offset=1000)
    batch = reader.read(reader.lanes()[0], after=ahead, max_events=10, max_bytes=10_000)
    assert batch is not None
    assert numbers(list(batch.accepted)) == [1]
    assert batch.advance.start == ahead
    assert "position_ahead" in caplog.text


def directory_made(directory: Path) -> Path:
    files.prepare_directory(directory)
    return directory
