"""The appending end of a lane: what it returns from is on disk, and what it raises on is not there."""

import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from rustrak_storage.spool import files
from rustrak_storage.spool.lane import EventTally, Lane, SyncedMark, lane_names, new_lane_name
from rustrak_storage.spool.record import SEGMENT_HEAD_BYTES, SegmentHead


class LaneWriter:
    """Appends to the segments of a lane that it holds the lock of. One thread at a time.

    It never appends to a segment that it found: after a crash the end of that one may be torn, so it is left as it is
    and a new one begun. A write that fails is undone by truncating; where that fails, or the sync did (after which the
    system may have thrown the data away and say no more about it), the segment is given up, and the next one's head
    tells how much of it is good.
    """

    def __init__(self, lane: Lane, lock: int, *, segment_bytes: int) -> None:
        self.lane = lane
        self._lock = lock
        self._segment_bytes = segment_bytes
        self._synced = SyncedMark(lane, create=True)
        self._tally = EventTally(lane)
        done = lane.read_done()
        self._segment = max([*lane.segments(), self._synced.get()[0], done.segment if done else 0])
        self._synced.set(self._segment + 1, 0)  # all that is there already is sealed
        self._length = 0
        self._previous = (0, 0)
        self._fd: int | None = None

    def append(self, pieces: Sequence[bytes], size: int, events: int = 0) -> None:
        """Append *pieces*, of *size* bytes and so many events together; return when they are on disk.

        Raises:
            OSError: they could not be written, and a reader will not see them.
        """
        if self._fd is None or (self._length > SEGMENT_HEAD_BYTES and self._length + size > self._segment_bytes):
            self._begin_segment()
        assert self._fd is not None  # noqa: S101 - for the type checker
        try:
            files.write_all(self._fd, pieces)
        except BaseException:
            self._undo()
            raise
        try:
            files.sync(self._fd)
        except BaseException:
            self._give_up()
            raise
        self._length += size
        self._synced.set(self._segment, self._length)
        self._tally.write(events)  # last: whoever has read all up to the mark has read all that is noted here

    def close(self) -> None:
        """Close the segment, and give the lane back."""
        self._give_up(truncate=False)
        self._synced.close()
        self._tally.close()
        os.close(self._lock)

    def _begin_segment(self) -> None:
        if self._fd is not None:
            self._give_up(truncate=False)
        self._segment += 1
        path = self.lane.segment_path(self._segment)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            segment, length = self._previous
            files.write_all(fd, [SegmentHead(previous_segment=segment, previous_length=length).pack()])
            os.fsync(fd)
            files.sync_directory(self.lane.path)
        except BaseException:
            os.close(fd)
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        self._fd, self._length = fd, SEGMENT_HEAD_BYTES
        self._synced.set(self._segment, self._length)

    def _undo(self) -> None:
        assert self._fd is not None  # noqa: S101 - for the type checker
        try:
            os.ftruncate(self._fd, self._length)
        except OSError:
            self._give_up(truncate=False)

    def _give_up(self, *, truncate: bool = True) -> None:
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        self._previous = (self._segment, self._length)
        with contextlib.suppress(OSError):
            if truncate:
                os.ftruncate(fd, self._length)
        with contextlib.suppress(OSError):
            os.close(fd)


def take_lane(directory: Path, *, segment_bytes: int) -> LaneWriter:
    """Return a writer of the first lane in *directory* that has none, else of a new one.

    Raises:
        OSError: a lane can neither be taken nor made.
    """
    for name in lane_names(directory):
        lane = Lane(directory / name)
        lock = files.lock_file(lane.writer_lock)
        if lock is not None:
            return _writer(lane, lock, segment_bytes)
    while True:
        lane = Lane(directory / new_lane_name())
        lane.path.mkdir(mode=0o700)
        try:
            files.sync_directory(directory)
            lock = files.lock_file(lane.writer_lock)
            if lock is not None:  # else a reader took it for an old, empty one
                return _writer(lane, lock, segment_bytes)
        except BaseException:  # as on a disk that is full, or has no locks: leave nothing behind
            shutil.rmtree(lane.path, ignore_errors=True)
            raise


def _writer(lane: Lane, lock: int, segment_bytes: int) -> LaneWriter:
    try:
        return LaneWriter(lane, lock, segment_bytes=segment_bytes)
    except BaseException:
        os.close(lock)
        raise
