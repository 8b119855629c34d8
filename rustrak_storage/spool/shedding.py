"""What goes first where room is short: the payloads of errors that were seen a moment ago, never a new error's."""

import threading
from collections.abc import Callable
from typing import NamedTuple

import attrs

from rustrak_core.accepted import Accepted, AcceptedEvent
from rustrak_core.columns import columns_of
from rustrak_core.digest import digest
from rustrak_core.digested import Digested

KNOWN_MAX = 10_000
"""How many errors are remembered; those kept longest ago are forgotten first."""

LATELY_S = 60.0
"""An error that was kept whole longer ago is kept whole once more."""

Key = tuple[int, str, str]


class Lightened(NamedTuple):
    """What is to be kept of a request.

    Attributes:
        accepted: Events that repeat one seen lately are without their payloads, where that makes them smaller.
        new: The keys of the others, to be told to `Shedding.remember` once these are kept.
        only_repeats: There is no other.
    """

    accepted: Accepted
    new: tuple[Key, ...]
    only_repeats: bool


class Shedding:
    """Knows which errors a process has kept whole lately. Thread-safe; to be asked only while room is short.

    Asking costs what digesting the event does, since only that tells what an event repeats.

    Args:
        monotonic: Seconds that never go back.
        digesting: Digests an event by its project's rules, without waiting for anybody.
        known_max: How many errors are remembered.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float],
        digesting: Callable[[AcceptedEvent], Digested] = digest,
        known_max: int = KNOWN_MAX,
    ) -> None:
        self._digest = digesting
        self._monotonic = monotonic
        self._known_max = known_max
        self._lock = threading.Lock()
        self._kept_at: dict[Key, float] = {}

    def lighten(self, accepted: Accepted) -> Lightened:
        """Return what is to be kept of *accepted*. What cannot be digested is no repeat, and kept as it is."""
        events: list[AcceptedEvent] = []
        new: list[Key] = []
        repeats = 0
        for event in accepted.events:
            try:
                digested = self._digest(event)
                columns = columns_of(digested)
            except Exception:  # noqa: BLE001 - whatever is wrong with it, the digest worker says so
                events.append(event)
                continue
            key = (event.project_id, digested.keys[0].mechanism, digested.keys[0].value)
            if not self._is_known(key):
                new.append(key)
                events.append(event)
                continue
            repeats += 1
            is_smaller = len(columns) < len(event.payload)
            events.append(attrs.evolve(event, payload=columns, is_shed=True) if is_smaller else event)
        kept = attrs.evolve(accepted, events=tuple(events))
        return Lightened(kept, tuple(new), only_repeats=repeats == len(events))

    def remember(self, keys: tuple[Key, ...]) -> None:
        """Note that events with *keys* were kept whole just now."""
        with self._lock:
            now = self._monotonic()
            for key in keys:
                self._kept_at.pop(key, None)  # so that it goes to the end
                self._kept_at[key] = now
            while len(self._kept_at) > self._known_max:
                del self._kept_at[next(iter(self._kept_at))]

    def forget(self) -> None:
        """Forget all: what was said to be kept was perhaps not."""
        with self._lock:
            self._kept_at.clear()

    def _is_known(self, key: Key) -> bool:
        with self._lock:
            kept_at = self._kept_at.get(key)
            return kept_at is not None and self._monotonic() - kept_at < LATELY_S
