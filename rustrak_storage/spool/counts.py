"""Counts that wait in memory for the next write, so that a flood of sessions does not sync once each."""

import threading
import time
from collections.abc import Callable, Sequence

from rustrak_core.accepted import Count, sum_counts

_HELD_FOR_S = 1.0
_SUM_AT = 1_000
_WRITE_AT = 10_000


class CountBuffer:
    """Adds counts up until they are taken. Thread-safe, and bounded: who adds is told when it is time to write."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counts: list[Count] = []
        self._sum_at = _SUM_AT
        self._since = 0.0

    def __bool__(self) -> bool:
        """Return whether anything waits."""
        return bool(self._counts)

    def add(self, counts: Sequence[Count]) -> bool:
        """Add *counts*; return whether to write now: the oldest has waited for a second, or many wait."""
        with self._lock:
            now = self._monotonic()
            if not self._counts:
                self._since = now
            self._counts.extend(counts)
            self._shrink()
            return now - self._since >= _HELD_FOR_S or len(self._counts) >= _WRITE_AT

    def take(self) -> list[Count]:
        """Return what waits, added up, and forget it."""
        with self._lock:
            counts, self._counts = self._counts, []
            self._sum_at = _SUM_AT
        return sum_counts(counts)

    def put_back(self, counts: Sequence[Count]) -> None:
        """Let *counts*, which were taken, wait again."""
        if counts:
            with self._lock:
                self._counts[:0] = counts
                self._shrink()

    def _shrink(self) -> None:
        if len(self._counts) >= self._sum_at:
            self._counts = sum_counts(self._counts)
            self._sum_at = 2 * len(self._counts) + _SUM_AT
