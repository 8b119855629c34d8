"""How much a spool may take: its own bound, and a floor of free disk that it leaves to everyone else."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rustrak_core.errors import OverloadError, SpoolUnavailableError
from rustrak_storage.spool.lane import Lane, lane_names

_FRESH_S = 0.2


class Room:
    """Refuses what does not fit. Folder and disk are looked at five times a second, own writes counted in between."""

    def __init__(
        self, directory: Path, *, max_bytes: int, min_free_bytes: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._measured_at = float("-inf")
        self._used_bytes = 0
        self._free_bytes = 0

    def take(self, size: int) -> None:
        """Take *size* bytes.

        Raises:
            OverloadError: they are not there.
            SpoolUnavailableError: the folder or its disk cannot be looked at.
        """
        with self._lock:
            now = self._monotonic()
            if now - self._measured_at >= _FRESH_S:
                self._measure()
                self._measured_at = now
            if self._used_bytes + size > self._max_bytes:
                message = (
                    f"the spool is full ({self._used_bytes} of {self._max_bytes} bytes wait to be digested); "
                    "see that the digest worker runs, or allow the spool more"
                )
                raise OverloadError(message, retry_after_s=5, reason="spool_full")
            if self._free_bytes - size < self._min_free_bytes:
                raise disk_full(f"under {self._min_free_bytes} bytes are free")
            self._used_bytes += size
            self._free_bytes -= size

    def _measure(self) -> None:
        try:
            self._used_bytes = sum(_lane_bytes(self._directory / name) for name in lane_names(self._directory))
            disk = os.statvfs(self._directory)
        except OSError as error:
            raise SpoolUnavailableError(f"the spool folder cannot be read: {error.strerror}") from error
        self._free_bytes = disk.f_bavail * disk.f_frsize


def disk_full(why: str) -> OverloadError:
    """Return the error for a disk that has no room."""
    return OverloadError(f"the spool's disk is full ({why}); free some space", retry_after_s=30, reason="disk_full")


def _lane_bytes(path: Path) -> int:
    lane, total = Lane(path), 0
    for number in lane.segments():
        try:
            total += lane.segment_path(number).stat().st_size
        except FileNotFoundError:  # drained meanwhile
            continue
    return total
