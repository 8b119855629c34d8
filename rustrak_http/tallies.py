"""What the processes of one server have done, in memory that they share: each adds to its own slot, anybody reads all.

A slot outlives the process that writes it, so that its successor goes on counting; it is made before the processes are,
and gone with the last of them.
"""

import functools
import mmap
import threading
from bisect import bisect_left
from collections.abc import Sequence

import attrs

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the buckets that durations are counted in; a last one has none."""

KINDS = ("ingestion", "api", "other")
STATUSES = ("2xx", "3xx", "4xx", "429", "5xx")

_BUCKETS = len(BOUNDS_S) + 1
_MICROS = _BUCKETS
_REQUESTS = _MICROS + 1
_DIGESTED = _REQUESTS + len(KINDS) * len(STATUSES)
_BATCHES = _DIGESTED + 1
_WORDS = _BATCHES + 1


@functools.lru_cache(maxsize=1024)
def _word(kind: str, status: int) -> int:
    """Return which word of a slot counts requests of a kind and status."""
    told = "429" if status == 429 else f"{min(max(status // 100, 2), 5)}xx"
    return _REQUESTS + KINDS.index(kind) * len(STATUSES) + STATUSES.index(told)


@attrs.frozen(kw_only=True)
class Totals:
    """What all processes have done.

    Attributes:
        accepted: How many requests that were accepted took how long, for each bucket of `BOUNDS_S` and the last.
        accepted_s: How long they took together.
        requests: How many requests there were by kind and status.
        digested: How many events were recorded by digest workers, duplicates among them.
        batches: In how many batches.
    """

    accepted: Sequence[int]
    accepted_s: float
    requests: dict[tuple[str, str], int]
    digested: int
    batches: int


class Tallies:
    """Slots, one a process. Threads of a process share its slot; only that process may write it."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._words = memoryview(mmap.mmap(-1, slots * _WORDS * 8)).cast("Q")
        self._lock = threading.Lock()

    def accepted(self, slot: int, seconds: float) -> None:
        """Count a request that was accepted, and took so long."""
        at = slot * _WORDS
        bucket, micros = at + bisect_left(BOUNDS_S, seconds), int(seconds * 1e6 + 0.5)
        with self._lock:
            self._words[bucket] += 1
            self._words[at + _MICROS] += micros

    def requested(self, slot: int, kind: str, status: int) -> None:
        """Count a request of one of `KINDS` by the status of its answer."""
        at = slot * _WORDS + _word(kind, status)
        with self._lock:
            self._words[at] += 1

    def digested(self, slot: int, events: int) -> None:
        """Count a batch of so many events that is recorded."""
        at = slot * _WORDS
        with self._lock:
            self._words[at + _DIGESTED] += events
            self._words[at + _BATCHES] += 1

    def totals(self) -> Totals:
        """Return what all processes have done; each number is one that was true a moment ago."""
        words = self._words.tolist()
        sums = [sum(words[word::_WORDS]) for word in range(_WORDS)]
        keys = [(kind, status) for kind in KINDS for status in STATUSES]
        return Totals(
            accepted=sums[:_BUCKETS],
            accepted_s=sums[_MICROS] / 1e6,
            requests=dict(zip(keys, sums[_REQUESTS:_DIGESTED], strict=True)),
            digested=sums[_DIGESTED],
            batches=sums[_BATCHES],
        )
