"""How much a spool may take: its own bounds, and a floor of free disk that it leaves to everyone else."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rustrak_core.errors import OverloadError, SpoolUnavailableError
from rustrak_storage.spool.lane import Lane, events_waiting, lane_names

SHORT_FROM = 0.8
"""The share of a bound from which on room is short."""

FOR_ALL = 0.95
"""The share of a bound that is there for all; the rest is for what cannot be dispensed with."""

_FRESH_S = 0.2


class Room:
    """Refuses what does not fit. Folder and disk are looked at five times a second, own writes counted in between.

    Attributes:
        is_short: Whether one of the bounds was near when this was last asked.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        max_events: int,
        min_free_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_short = False
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_events = max_events
        self._min_free_bytes = min_free_bytes
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._measured_at = float("-inf")
        self._used_bytes = 0
        self._free_bytes = 0
        self._events = 0

    def take(self, size: int, events: int = 0, *, is_dispensable: bool = False) -> None:
        """Take *size* bytes, for so many events.

        Args:
            is_dispensable: What they are for goes before all else: it leaves some room free.

        Raises:
            OverloadError: they are not there.
            SpoolUnavailableError: the folder or its disk cannot be looked at.
        """
        with self._lock:
            self._refresh()
            try:
                self._require(size, events, FOR_ALL if is_dispensable else 1.0)
                self._used_bytes += size
                self._free_bytes -= size
                self._events += events
            finally:
                self.is_short = self._is_over(SHORT_FROM)

    def look(self) -> bool:
        """Return whether room is short, as of now.

        Raises:
            SpoolUnavailableError: the folder or its disk cannot be looked at.
        """
        with self._lock:
            self._refresh()
            self.is_short = self._is_over(SHORT_FROM)
            return self.is_short

    def _require(self, size: int, events: int, share: float) -> None:
        if self._used_bytes + size > self._max_bytes * share:
            raise _spool_full(f"{self._used_bytes} of {self._max_bytes} bytes")
        if events and self._events + events > self._max_events * share:
            raise _spool_full(f"{self._events} of {self._max_events} events")
        if (self._free_bytes - size) * share < self._min_free_bytes:
            raise disk_full(f"under {self._min_free_bytes} bytes are free")

    def _is_over(self, share: float) -> bool:
        return (
            self._used_bytes > self._max_bytes * share
            or self._events > self._max_events * share
            or self._free_bytes * share < self._min_free_bytes
        )

    def _refresh(self) -> None:
        now = self._monotonic()
        if now - self._measured_at >= _FRESH_S:
            self._measure()
            self._measured_at = now

    def _measure(self) -> None:
        try:
            lanes = [Lane(self._directory / name) for name in lane_names(self._directory)]
            self._used_bytes = sum(map(_lane_bytes, lanes))
            disk = os.statvfs(self._directory)
        except OSError as error:
            raise SpoolUnavailableError(f"the spool folder cannot be read: {error.strerror}") from error
        self._free_bytes = disk.f_bavail * disk.f_frsize
        self._events = sum(map(events_waiting, lanes))


def disk_full(why: str) -> OverloadError:
    """Return the error for a disk that has no room."""
    return OverloadError(f"the spool's disk is full ({why}); free some space", retry_after_s=30, reason="disk_full")


def _spool_full(what: str) -> OverloadError:
    message = (
        f"the spool is full ({what} wait to be digested); see that the digest worker runs, or allow the spool more"
    )
    return OverloadError(message, retry_after_s=5, reason="spool_full")


def _lane_bytes(lane: Lane) -> int:
    total = 0
    for number in lane.segments():
        try:
            total += lane.segment_path(number).stat().st_size
        except FileNotFoundError:  # drained meanwhile
            continue
    return total
