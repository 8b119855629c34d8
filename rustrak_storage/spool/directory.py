"""The accepting end of a spool: a folder that many processes share, a lane of it for each."""

import errno
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from pathlib import Path

from rustrak_core import ambient
from rustrak_core.accepted import Accepted, AcceptedEvent, SpoolPosition
from rustrak_core.digest import digest
from rustrak_core.digested import Digested
from rustrak_core.errors import ConfigurationError, OverloadError, RustrakError, SpoolUnavailableError
from rustrak_core.ports import EagerIntake, Spool, SpoolStats
from rustrak_core.project import ProjectId
from rustrak_core.times import to_micros
from rustrak_storage.spool import files
from rustrak_storage.spool.counts import CountBuffer
from rustrak_storage.spool.group import GroupCommit
from rustrak_storage.spool.record import EncodedRecord, encode
from rustrak_storage.spool.room import Room, disk_full
from rustrak_storage.spool.shedding import Shedding
from rustrak_storage.spool.survey import Survey
from rustrak_storage.spool.writer import take_lane

_logger = logging.getLogger("rustrak.spool")

MAX_BYTES = 1024**3
MAX_EVENTS = 1_000_000
MIN_FREE_BYTES = 256 * 1024**2
SEGMENT_BYTES = 32 * 1024**2
_MAX_RECORD_BYTES = 512 * 1024**2


class DirectorySpool(Spool, EagerIntake):
    """Keeps what was accepted in files until it is digested. Threads share it; processes share the folder.

    `accept` returns when the record is on disk; those of many threads share one sync. What brings only counts does not
    pay for one: it is kept in memory, and written with the next group, by `flush`, or by the first to come after a
    second. A crash costs at most those counts, never an event; call `flush` each second to hold that second when
    nothing comes.

    Where room is short, an event that repeats one kept lately is kept without its payload, see `shedding`; what little
    is left in the end is for events that repeat none.

    After a fork it refuses to work in the child, since both would write to one lane: open it after forking.

    Args:
        directory: Created if need be.
        max_bytes: How much may wait, over all lanes of the folder.
        max_events: How many events may wait, likewise.
        min_free_bytes: How much of the disk is left free.
        segment_bytes: When a new file is begun; files are removed whole.
        digesting: Tells what an event repeats, and what is kept of one that is shed, so it must go by its project's
            rules, and may not wait: as `rustrak_core.tracker.KnownRules` does. By default no project has rules.

    Raises:
        ConfigurationError: *directory* cannot be used; the text says why, and nothing was touched.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = MAX_BYTES,
        max_events: int = MAX_EVENTS,
        min_free_bytes: int = MIN_FREE_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
        clock: Callable[[], datetime] = ambient.utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        digesting: Callable[[AcceptedEvent], Digested] = digest,
    ) -> None:
        files.prepare_directory(directory)
        try:
            self._writer = take_lane(directory, segment_bytes=max(1, min(segment_bytes, max_bytes // 4)))
        except OSError as error:
            message = (
                f"no lane can be made in the spool folder {directory}: {error.strerror}; "
                "make it writable, on a local file system that has locks (flock) and free space"
            )
            raise ConfigurationError(message) from error
        self._clock = clock
        self._mark = self._writer.lane.mark
        self._room = Room(
            directory, max_bytes=max_bytes, max_events=max_events, min_free_bytes=min_free_bytes, monotonic=monotonic
        )
        self._shedding = Shedding(monotonic=monotonic, digesting=digesting)
        self._survey = Survey(directory)
        self._counts = CountBuffer(monotonic=monotonic)
        self._group = GroupCommit(self._write)
        self._io = threading.Lock()
        self._pid = os.getpid()
        self._closed = False
        self._failing = False

    @property
    def lane(self) -> str:
        """The lane that this spool appends to, 32 hex digits."""
        return self._writer.lane.name

    def accept(self, accepted: Accepted) -> None:
        """Keep *accepted*; return when it would survive a power cut (counts without events: see the class).

        Raises:
            OverloadError: the spool or its disk is full; nothing was kept.
            SpoolUnavailableError: it cannot be written; nothing was kept.
        """
        self._require_usable()
        if not accepted.events:
            if accepted.counts and self._counts.add(accepted.counts):
                self._group.commit(None)
            return
        self._group.commit(self._with_room(accepted))

    def submit(self, accepted: Accepted, settled: Callable[[RustrakError | None], None]) -> None:
        """Keep *accepted*, events and perhaps counts, after the next `push`; see `EagerIntake`.

        Raises:
            OverloadError: the spool or its disk is full; nothing will be kept.
            SpoolUnavailableError: it cannot be written; nothing will be kept.
        """
        self._require_usable()
        self._group.submit(self._with_room(accepted), settled)

    def push(self) -> None:
        """Have written what was submitted, by a thread that is kept for it."""
        self._group.push()

    def flush(self) -> None:
        """Write the counts that are kept in memory; cheap where there are none.

        Raises:
            OverloadError, SpoolUnavailableError: they cannot be written just now, and stay in memory.
        """
        self._require_usable()
        if self._counts:
            self._group.commit(None)

    def stats(self) -> SpoolStats:
        """Return how much waits, over all lanes: bytes and files not yet recorded, as far as the readers have noted."""
        return self._survey.stats()

    def queued(self, project_id: ProjectId, positions: Sequence[SpoolPosition]) -> dict[date, int]:
        """Return how many events of a project wait behind *positions*, by day of receipt in UTC."""
        return self._survey.queued(project_id, positions)

    def waiting(self) -> int:
        """Return how many events wait, over all lanes, as far as the readers have noted."""
        return self._survey.waiting()

    def check(self) -> None:
        """Return if the spool could accept now.

        Raises:
            SpoolUnavailableError: it cannot be written.
            OverloadError: it is full, or the disk nearly is.
        """
        self._require_usable()
        self._room.take(0)
        try:
            os.utime(self._writer.lane.writer_lock)
        except OSError as error:
            raise _unwritable(error) from error
        if self._failing:
            raise SpoolUnavailableError("the last write to the spool failed; see the log for why")

    def close(self) -> None:
        """Write what is pending, and give the lane back. Whoever accepts later is refused."""
        if self._closed or self._pid != os.getpid():
            return
        self._closed = True
        try:
            self._group.commit(None)
        except RustrakError as error:
            _logger.warning("spool_counts_lost lane=%s reason=%s", self.lane, error)
        self._group.close()
        with self._io:
            self._writer.close()
            self._writer_closed = True

    _writer_closed = False

    def _with_room(self, accepted: Accepted) -> EncodedRecord:
        if self._room.is_short and self._room.look():
            return self._with_little_room(accepted)
        record = self._encode(accepted)
        self._room.take(record.size, record.events)
        return record

    def _with_little_room(self, accepted: Accepted) -> EncodedRecord:
        lighter, new, only_repeats = self._shedding.lighten(accepted)
        record = self._encode(lighter)
        self._room.take(record.size, record.events, is_dispensable=only_repeats)
        self._shedding.remember(new)
        return record

    def _encode(self, accepted: Accepted) -> EncodedRecord:
        record = encode(accepted, mark=self._mark, at_micros=to_micros(self._clock()))
        if record.size > _MAX_RECORD_BYTES:
            raise SpoolUnavailableError(f"one request's events are over {_MAX_RECORD_BYTES} bytes; nothing was kept")
        return record

    def _require_usable(self) -> None:
        if self._closed:
            raise SpoolUnavailableError("the spool is closed")
        if self._pid != os.getpid():
            message = "this spool was opened before a fork; open one in each process, after forking"
            raise SpoolUnavailableError(message)

    def _write(self, records: Sequence[EncodedRecord]) -> Callable[[], RustrakError] | None:
        with self._io:
            if self._writer_closed:
                return lambda: SpoolUnavailableError("the spool is closed")
            counts = self._counts.take()
            if counts:
                extra = encode(Accepted(counts=counts), mark=self._mark, at_micros=to_micros(self._clock()))
                records = [*records, extra]
            try:
                if records:
                    pieces = [piece for record in records for piece in record.pieces]
                    size, events = sum(record.size for record in records), sum(record.events for record in records)
                    self._writer.append(pieces, size, events)
            except OSError as error:
                self._counts.put_back(counts)
                self._note_failure(error)
                return functools.partial(_unwritable, error)
            except BaseException:
                self._counts.put_back(counts)
                raise
            self._failing = False
            return None

    def _note_failure(self, error: OSError) -> None:
        self._shedding.forget()
        if not self._failing:
            _logger.error("spool_write_failed lane=%s errno=%s reason=%s", self.lane, error.errno, error.strerror)
        self._failing = True


def _unwritable(error: OSError) -> OverloadError | SpoolUnavailableError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(error.strerror or "no space")
    return SpoolUnavailableError(f"the spool cannot be written: {error.strerror}; nothing was kept")
