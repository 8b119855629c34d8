"""Reading one lane: where its readable part ends, batches out of it, and its removal once it is done with."""

import contextlib
import logging
import os
import shutil
from collections.abc import Callable
from itertools import pairwise, zip_longest

import attrs

from rustrak_core.accepted import Accepted, SpoolAdvance, SpoolPosition
from rustrak_core.errors import SpoolUnavailableError
from rustrak_core.ports import SpooledBatch
from rustrak_storage.spool import files
from rustrak_storage.spool.attempt import AttemptNote
from rustrak_storage.spool.damaged import DamagedFolder
from rustrak_storage.spool.lane import EventTally, Lane, SyncedMark
from rustrak_storage.spool.record import FORMAT_VERSION, SEGMENT_HEAD_BYTES, decode
from rustrak_storage.spool.salvage import salvaged
from rustrak_storage.spool.scan import Found, Window, scan

_logger = logging.getLogger("rustrak.spool")

_READ_AHEAD = 96 * 1024
"""Under what the C library asks the system for anew each time, and then has to have filled with zeros."""

_PROBE_S = 1.0
_NO_WRITER = (2**62, 0)


@attrs.define
class _Batch:
    """A batch that grows."""

    max_events: int
    max_bytes: int
    accepted: list[Accepted] = attrs.field(factory=list)
    events: int = 0
    bytes: int = 0
    damaged: int = 0
    unknown: int = 0
    end: int | None = None

    def has_room_for(self, found: Found) -> bool:
        size = found.stop - found.start
        return self.end is None or (
            self.events < self.max_events
            and len(self.accepted) < self.max_events
            and self.bytes + size <= self.max_bytes
        )

    def take(self, found: Found, accepted: Accepted) -> None:
        self.end = found.stop
        self.bytes += found.stop - found.start
        self.accepted.append(accepted)
        self.events += len(accepted.events)

    def take_damaged(self, found: Found) -> None:
        known = None if found.head is None else salvaged(found.head, found.body)
        self.take(found, known or Accepted())
        self.damaged += 1
        self.unknown += known is None


class LaneReader:
    """Reads a lane that it holds the reader's lock of.

    How far it may read is the *horizon*: while the lane has a writer, what that one has synced; without one, all there
    is, since whole records behind the mark of a writer that died are as good as any (their clients got no answer).
    Whether there is a writer is found out by trying its lock, and that is held while reading without a horizon.

    Attributes:
        removed: The lane is gone; close this.
    """

    def __init__(self, lane: Lane, lock: int, *, damaged: DamagedFolder, monotonic: Callable[[], float]) -> None:
        self.removed = False
        self._lane = lane
        self._lock = lock
        self._damaged = damaged
        self._monotonic = monotonic
        self._synced: SyncedMark | None = None
        self._fd: int | None = None
        self._fd_segment = 0
        self._forgotten: SpoolPosition | None = None
        self._nothing_at: tuple[SpoolPosition | None, tuple[int, int]] | None = None
        self._probe_at = float("-inf")
        self._attempt: AttemptNote | None = None
        self._tally = EventTally(lane)
        self._read: tuple[SpoolPosition, int] | None = None

    def read(self, after: SpoolPosition | None, *, max_events: int, max_bytes: int) -> SpooledBatch | None:
        """Return the next batch behind *after*, or None; see `DirectorySpoolReader.read`."""
        written = self._tally.written
        horizon = self._horizon()
        batch = None
        if (after, horizon) != self._nothing_at:
            batch = self._read_within(horizon, after, max_events, max_bytes)
            self._nothing_at = (after, horizon) if batch is None else None
        if batch is None and self._monotonic() >= self._probe_at:
            self._probe_at = self._monotonic() + _PROBE_S
            batch = self._read_without_writer(after, max_events, max_bytes)
            if batch is not None:
                self._probe_at = float("-inf")
        if batch is None:
            self._tally.settle(written)
        else:
            self._read = batch.advance.end, sum(len(each.events) for each in batch.accepted)
        return batch

    def forget(self, upto: SpoolPosition) -> None:
        """Unlink the segments before *upto*, and its own if it is sealed and done; the newest always stays.

        With the newest, a writer that takes the lane knows which numbers were used.
        """
        self._forgotten = upto
        if self._read is not None and self._read[0] == upto:
            self._tally.record(self._read[1])
            self._read = None
        numbers = self._lane.segments()
        for number, later in pairwise(numbers):
            if number > upto.segment:
                break
            sealed = number < self._horizon()[0]
            if number < upto.segment or (sealed and upto.offset >= self._lane.good_length(number, later)):
                self._lane.segment_path(number).unlink(missing_ok=True)
        self._lane.write_done(upto)

    def attempt(self) -> AttemptNote:
        """Return the note of what is being tried."""
        if self._attempt is None:
            self._attempt = AttemptNote(self._lane.path)
        return self._attempt

    def close(self) -> None:
        """Release files and the lock."""
        self._close_segment()
        self._tally.close()
        if self._attempt is not None:
            self._attempt.close()
        if self._synced is not None:
            self._synced.close()
            self._synced = None
        os.close(self._lock)

    def _horizon(self) -> tuple[int, int]:
        if self._synced is None:
            try:
                self._synced = SyncedMark(self._lane, create=False)
            except FileNotFoundError:
                return (0, 0)
        return self._synced.get()

    def _read_without_writer(self, after: SpoolPosition | None, max_events: int, max_bytes: int) -> SpooledBatch | None:
        writer_lock = files.lock_file(self._lane.writer_lock)
        if writer_lock is None:
            return None
        try:
            batch = self._read_within(_NO_WRITER, after, max_events, max_bytes)
            if batch is None and self._is_finished(after):
                self._remove()
            return batch
        finally:
            os.close(writer_lock)

    def _is_finished(self, after: SpoolPosition | None) -> bool:
        return after == self._forgotten if after is not None else True

    def _remove(self) -> None:
        # Renamed first, so that it is gone as one; a writer that waits for the lock finds that its file is elsewhere.
        gone = self._lane.path.with_name(f".gone-{self._lane.name}")
        self._lane.path.rename(gone)
        self.removed = True
        # Else a power cut may leave the lane under its name, but empty: a writer would begin its numbers again, behind
        # the store's position, and what it accepts would be skipped.
        files.sync_directory(gone.parent)
        shutil.rmtree(gone, ignore_errors=True)

    def _read_within(
        self, horizon: tuple[int, int], after: SpoolPosition | None, max_events: int, max_bytes: int
    ) -> SpooledBatch | None:
        numbers = self._lane.segments()
        if after is not None and not self._is_from_elsewhere(after, numbers):
            numbers = [number for number in numbers if number >= after.segment]
        for number, later in zip_longest(numbers, numbers[1:]):
            if number > horizon[0]:
                break
            start = after.offset if after is not None and number == after.segment else 0
            batch = _Batch(max_events, max_bytes)
            self._read_segment(number, max(start, SEGMENT_HEAD_BYTES), self._end(horizon, number, later), batch)
            if batch.end is not None:
                end = SpoolPosition(lane=self._lane.name, segment=number, offset=batch.end)
                advance = SpoolAdvance(start=after, end=end)
                return SpooledBatch(
                    accepted=batch.accepted, advance=advance, damaged=batch.damaged, unknown=batch.unknown
                )
        return None

    def _is_from_elsewhere(self, after: SpoolPosition, numbers: list[int]) -> bool:
        """Return whether a position lies beyond all that there is, as where the folder is older than the database.

        Then all is read: an event that was recorded already is a duplicate, while one that is skipped would be lost.
        """
        if not numbers or after.segment <= max(numbers[-1], self._horizon()[0]):
            return False
        _logger.warning("position_ahead lane=%s segment=%d newest=%d", after.lane, after.segment, numbers[-1])
        return True

    def _end(self, horizon: tuple[int, int], number: int, later: int | None) -> int:
        try:
            end = self._lane.good_length(number, later)
        except FileNotFoundError:
            return 0
        return end if number < horizon[0] else min(end, horizon[1])

    def _read_segment(self, number: int, start: int, end: int, batch: _Batch) -> None:
        if start >= end:
            return
        window = Window(self._open_segment(number), end, read_ahead=min(_READ_AHEAD, batch.max_bytes))
        for found in scan(window, self._lane.mark, start):
            if not batch.has_room_for(found):
                return
            accepted = None
            if found.head is not None and found.is_whole:
                with contextlib.suppress(ValueError):
                    accepted = decode(found.head, found.body)
            if accepted is not None:
                batch.take(found, accepted)
            else:
                self._damaged.keep(self._lane.name, number, found, window)
                batch.take_damaged(found)

    def _open_segment(self, number: int) -> int:
        if self._fd is not None and self._fd_segment == number:
            return self._fd
        self._close_segment()
        head = self._lane.head(number)
        if head is not None and head.version > FORMAT_VERSION:
            message = f"a newer Rustrak wrote lane {self._lane.name}; let that version digest it, or upgrade this one"
            raise SpoolUnavailableError(message)
        self._fd = os.open(self._lane.segment_path(number), os.O_RDONLY | os.O_CLOEXEC)
        self._fd_segment = number
        return self._fd

    def _close_segment(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
