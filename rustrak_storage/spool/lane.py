"""A lane: the folder of one writer, with its segments, its locks, and two numbers that pass between processes.

* ``NNNNNNNNNNNN.seg``: segments, numbered from 1; a number is never used again within its lane.
* ``writer.lock``, ``reader.lock``: held (flock) by the process that appends, or reads.
* ``synced``: how far the live writer's records are on disk. A reader goes no further while that writer lives, so that a
  record whose write failed, and which was refused, is never recorded.
* ``done``: how far the reader knows the lane to be recorded; a hint for figures, since the store's position decides.
"""

import contextlib
import mmap
import os
import re
import struct
from pathlib import Path

from rustrak_core.accepted import SpoolPosition
from rustrak_storage.spool.record import SEGMENT_HEAD_BYTES, SegmentHead, lane_mark

_TALLY = struct.Struct("=QQ")
_LANE = re.compile(r"[0-9a-f]{32}")
_SEGMENT = re.compile(r"([0-9]{12})\.seg")
_DONE = re.compile(rb"([0-9]{12}) ([0-9]{12})\n")


def lane_names(directory: Path) -> list[str]:
    """Return the names of the lanes in a spool's folder, sorted."""
    return sorted(path.name for path in directory.iterdir() if _LANE.fullmatch(path.name))


def new_lane_name() -> str:
    """Return a name that no lane has or had, on any machine."""
    return os.urandom(16).hex()


class Lane:
    """Names and small files of a lane; it holds nothing open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.mark = lane_mark(path.name)

    @property
    def writer_lock(self) -> Path:
        """The file that the writer locks."""
        return self.path / "writer.lock"

    @property
    def reader_lock(self) -> Path:
        """The file that the reader locks."""
        return self.path / "reader.lock"

    def segment_path(self, number: int) -> Path:
        """Return the file of a segment."""
        return self.path / f"{number:012}.seg"

    def segments(self) -> list[int]:
        """Return the numbers of the segments that there are, in order; none where the lane is gone."""
        try:
            names = [path.name for path in self.path.iterdir()]
        except FileNotFoundError:
            return []
        return sorted(int(match[1]) for name in names if (match := _SEGMENT.fullmatch(name)))

    def head(self, number: int) -> SegmentHead | None:
        """Return the head of a segment; None where it is gone, cut short or damaged."""
        try:
            with self.segment_path(number).open("rb", buffering=0) as file:
                return SegmentHead.unpack(file.read(SEGMENT_HEAD_BYTES) or b"")
        except FileNotFoundError:
            return None

    def good_length(self, number: int, later: int | None) -> int:
        """Return how many bytes of a sealed segment count: all but a refused end that *later*'s head tells of.

        Raises:
            FileNotFoundError: the segment is gone.
        """
        size = self.segment_path(number).stat().st_size
        head = None if later is None else self.head(later)
        return min(size, head.previous_length) if head is not None and head.previous_segment == number else size

    def read_done(self) -> SpoolPosition | None:
        """Return how far the lane is known to be recorded, where a reader has noted it."""
        try:
            match = _DONE.fullmatch((self.path / "done").read_bytes())
        except OSError:
            return None
        return match and SpoolPosition(lane=self.name, segment=int(match[1]), offset=int(match[2]))

    def write_done(self, position: SpoolPosition) -> None:
        """Note that the lane is recorded up to *position*; a note that cannot be written is not worth an error."""
        with contextlib.suppress(OSError):
            fd = os.open(self.path / "done", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, f"{position.segment:012} {position.offset:012}\n".encode(), 0)
            finally:
                os.close(fd)


class EventTally:
    """How many events of a lane were written and how many recorded: memory that its writer and its reader share.

    It is a bound's measure and no ledger. What a process that was killed did not note is made good when the lane is
    empty; after a power cut the file may be an old one, and what had been waiting counts for as much as that says.
    """

    def __init__(self, lane: Lane) -> None:
        self._map = _shared(lane.path / "events", 16)
        self._view = memoryview(self._map).cast("Q")

    @property
    def written(self) -> int:
        """How many were written."""
        return self._view[0]

    def write(self, number: int) -> None:
        """Note that so many more were written. For the writer."""
        self._view[0] += number

    def record(self, number: int) -> None:
        """Note that so many more were recorded. For the reader."""
        self._view[1] += number

    def settle(self, written: int) -> None:
        """Note that all of the first *written* were recorded. For the reader."""
        self._view[1] = written

    def close(self) -> None:
        """Release the memory."""
        self._view.release()
        self._map.close()


def events_waiting(lane: Lane) -> int:
    """Return how many events of a lane wait, about, as its writer and its reader have noted."""
    try:
        with (lane.path / "events").open("rb", buffering=0) as file:
            written, recorded = _TALLY.unpack(file.read(_TALLY.size) or b"")
    except (OSError, struct.error):
        return 0
    return int(max(0, written - recorded))


def _shared(path: Path, size: int) -> mmap.mmap:
    """Return memory that all who map *path* share; if it cannot be mapped, this process's own."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size < size:
                os.pwrite(fd, bytes(size), 0)  # allocated now: a page that cannot be would kill the process later
            return mmap.mmap(fd, size)
        finally:
            os.close(fd)
    except OSError:
        return mmap.mmap(-1, size)


class SyncedMark:
    """How far a lane's records are on disk, in eight bytes of memory that writer and reader share.

    A reader looks at it many times a second and a writer sets it after each group, so it costs no system call. Only a
    live writer's word counts: after a power cut, whatever is found here is ignored.
    """

    def __init__(self, lane: Lane, *, create: bool) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        fd = os.open(lane.path / "synced", flags, 0o600)
        try:
            if os.fstat(fd).st_size < 8:
                if not create:
                    raise FileNotFoundError("no mark yet")
                os.pwrite(fd, bytes(8), 0)  # allocated now: a page that cannot be would kill the process later
            self._map = mmap.mmap(fd, 8)
        finally:
            os.close(fd)
        self._view = memoryview(self._map).cast("Q")

    def get(self) -> tuple[int, int]:
        """Return segment and length: all before is on disk."""
        value = self._view[0]
        return value >> 32, value & 0xFFFFFFFF

    def set(self, segment: int, length: int) -> None:
        """Say that all before *length* bytes of *segment* is on disk: one store, never seen by halves."""
        self._view[0] = segment << 32 | length

    def close(self) -> None:
        """Release the memory."""
        self._view.release()
        self._map.close()
