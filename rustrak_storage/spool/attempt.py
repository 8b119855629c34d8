"""What is being tried on a lane, in memory that outlives the process, so that a crash can be blamed on someone."""

import mmap
import os
from pathlib import Path

from rustrak_core.accepted import SpoolPosition
from rustrak_core.ports import Attempt, Stage, Tried

_SIZE = 64
_STAGE, _SEGMENT, _OFFSET, _RECORDS, _INDEX, _TRIES, _POISONS, _KNOWN = range(8)


class AttemptNote(Attempt):
    """See `rustrak_core.ports.Attempt`: a mapped file, so that a note is a store to memory and no system call.

    The kernel keeps what a process stored there, whatever ends it. After a power cut the note may be an old one, which
    is told by its position. Where the file cannot be made, as on a full disk, the note lives as long as the process.
    """

    def __init__(self, lane: Path) -> None:
        self._lane = lane.name
        self._map = _mapped(lane / "attempt")
        self._view = memoryview(self._map).cast("Q")

    def last(self) -> Tried | None:
        """See `rustrak_core.ports.Attempt.last`."""
        view = self._view
        if not view[_KNOWN] or view[_STAGE] not in set(Stage):
            return None
        start = None
        if view[_SEGMENT]:
            start = SpoolPosition(lane=self._lane, segment=view[_SEGMENT], offset=view[_OFFSET])
        return Tried(
            start=start,
            stage=Stage(view[_STAGE]),
            records=view[_RECORDS],
            index=view[_INDEX],
            tries=view[_TRIES],
            poisons=view[_POISONS],
        )

    def begin(self, start: SpoolPosition | None, *, records: int, tries: int, poisons: int = 0) -> None:
        """See `rustrak_core.ports.Attempt.begin`."""
        view = self._view
        view[_STAGE] = Stage.RESTING  # while it is written, it blames nobody
        view[_SEGMENT], view[_OFFSET] = (0, 0) if start is None else (start.segment, start.offset)
        view[_RECORDS], view[_INDEX], view[_TRIES], view[_POISONS] = records, 0, tries, poisons
        view[_KNOWN] = 1
        view[_STAGE] = Stage.DIGESTING

    def reach(self, index: int) -> None:
        """See `rustrak_core.ports.Attempt.reach`."""
        self._view[_INDEX] = index

    def record(self) -> None:
        """See `rustrak_core.ports.Attempt.record`."""
        self._view[_STAGE] = Stage.RECORDING

    def rest(self, *, tries: int) -> None:
        """See `rustrak_core.ports.Attempt.rest`."""
        self._view[_STAGE] = Stage.RESTING
        self._view[_TRIES] = tries

    def close(self) -> None:
        """Release the memory; the note stays."""
        self._view.release()
        self._map.close()


def _mapped(path: Path) -> mmap.mmap:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size < _SIZE:
                os.pwrite(fd, bytes(_SIZE), 0)  # allocated now: a page that cannot be would kill the process later
            return mmap.mmap(fd, _SIZE)
        finally:
            os.close(fd)
    except OSError:
        return mmap.mmap(-1, _SIZE)
