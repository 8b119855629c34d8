"""The digesting end of a spool: takes the lanes that nobody reads, and reads them in order, bounded."""

import shutil
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from rustrak_core.accepted import SpoolPosition
from rustrak_core.errors import SpoolUnavailableError
from rustrak_core.ports import SpooledBatch, SpoolReader
from rustrak_storage.spool import files
from rustrak_storage.spool.attempt import AttemptNote
from rustrak_storage.spool.damaged import DamagedFolder
from rustrak_storage.spool.lane import Lane, lane_names
from rustrak_storage.spool.lane_reader import LaneReader
from rustrak_storage.spool.quarantine import QuarantineFolder

_LOOK_S = 1.0
_LEFT_S = 5.0
"""A lane that was free for so long is taken by a reader that has its share."""


class DirectorySpoolReader(SpoolReader):
    """Reads the lanes of a spool's folder. One thread at a time.

    Several readers may share a folder, in one process or many: each lane has one reader, and those of a reader that
    ends fall to the others within some seconds.

    Args:
        readers: How many share the folder. Each takes its share of the lanes at once, and more only where nobody does.

    Raises:
        ConfigurationError: *directory* cannot be used; the text says why.
    """

    def __init__(self, directory: Path, *, readers: int = 1, monotonic: Callable[[], float] = time.monotonic) -> None:
        files.prepare_directory(directory)
        self._readers = readers
        self._free_since: dict[str, float] = {}
        self._directory = directory
        self._monotonic = monotonic
        self._damaged = DamagedFolder(directory)
        self._quarantine = QuarantineFolder(directory)
        self._lanes: dict[str, LaneReader] = {}
        self._looked_at = float("-inf")
        self._folder_time = 0
        self._closed = False
        self._remove_left_over()

    def lanes(self) -> Sequence[str]:
        """Return the lanes that this reader holds, having taken those that were free."""
        self._require_open()
        try:
            changed, now = self._directory.stat().st_mtime_ns, self._monotonic()
            if changed != self._folder_time or now - self._looked_at >= _LOOK_S:
                self._take_free_lanes()
                self._folder_time, self._looked_at = changed, now
        except OSError as error:
            raise SpoolUnavailableError(f"the spool folder cannot be read: {error.strerror}") from error
        return list(self._lanes)

    def read(self, lane: str, *, after: SpoolPosition | None, max_events: int, max_bytes: int) -> SpooledBatch | None:
        """Return the next records behind *after* (None: from the start), at least one; None where there are none yet.

        A lane that has no writer any more, and nothing behind what was forgotten, is removed. Its name never comes
        again, so the store's position of it may stay.

        Raises:
            SpoolUnavailableError: this reader does not hold that lane, or its files cannot be read.
        """
        self._require_open()
        reader = self._lanes.get(lane)
        if reader is None:
            raise SpoolUnavailableError(f"lane {lane} is not held by this reader; take one of lanes()")
        try:
            batch = reader.read(after, max_events=max_events, max_bytes=max_bytes)
        except OSError as error:
            raise SpoolUnavailableError(f"lane {lane} of the spool cannot be read: {error.strerror}") from error
        if reader.removed:
            self._lanes.pop(lane).close()
        return batch

    def forget(self, upto: SpoolPosition) -> None:
        """Remove what lies before *upto*, which is committed. A lane not held (any more) is left alone."""
        self._require_open()
        reader = self._lanes.get(upto.lane)
        if reader is not None:
            try:
                reader.forget(upto)
            except OSError as error:
                message = f"lane {upto.lane} of the spool cannot be cleared: {error.strerror}"
                raise SpoolUnavailableError(message) from error

    def attempt(self, lane: str) -> AttemptNote:
        """Return the note of what is being tried on a lane that this reader holds.

        Raises:
            SpoolUnavailableError: it does not hold that lane.
        """
        self._require_open()
        reader = self._lanes.get(lane)
        if reader is None:
            raise SpoolUnavailableError(f"lane {lane} is not held by this reader; take one of lanes()")
        return reader.attempt()

    def quarantine(self, batch: SpooledBatch, *, why: str, now: datetime) -> None:
        """Keep the events of *batch* where nothing digests them; see `QuarantineFolder`.

        Raises:
            SpoolUnavailableError: they cannot be kept just now.
        """
        events = [event for accepted in batch.accepted for event in accepted.events]
        try:
            for index, event in enumerate(events):
                self._quarantine.keep(event, at=batch.advance.end, index=index, why=why, now=now)
        except OSError as error:
            raise SpoolUnavailableError(f"the quarantine cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Give the lanes back."""
        self._closed = True
        for reader in self._lanes.values():
            reader.close()
        self._lanes.clear()

    def _remove_left_over(self) -> None:
        """Remove what a reader that was killed left of lanes it was removing, once their new names are durable."""
        gone = [path for path in self._directory.iterdir() if path.name.startswith(".gone-")]
        if gone:
            files.sync_directory(self._directory)
        for path in gone:
            shutil.rmtree(path, ignore_errors=True)

    def _require_open(self) -> None:
        if self._closed:
            raise SpoolUnavailableError("the spool reader is closed")

    def _take_free_lanes(self) -> None:
        present = lane_names(self._directory)
        for gone in self._lanes.keys() - set(present):
            self._lanes.pop(gone).close()
        share = -(-len(present) // self._readers)
        now = self._monotonic()
        self._free_since = {name: self._free_since.get(name, now) for name in present if name not in self._lanes}
        for name, since in list(self._free_since.items()):
            if len(self._lanes) >= share and now - since < _LEFT_S:
                continue
            lane = Lane(self._directory / name)
            lock = files.lock_file(lane.reader_lock)
            self._free_since.pop(name)
            if lock is not None:
                self._lanes[name] = LaneReader(lane, lock, damaged=self._damaged, monotonic=self._monotonic)
