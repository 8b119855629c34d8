"""The digest worker: reads what was accepted, digests it, and has the store record it, batch by batch, for good.

What it reads stays in the spool until the store has committed it, together with how far the lane is recorded; so it may
be stopped, or killed, at any point. While the store is away it waits. An event that cannot be recorded is isolated by
reading smaller batches, and so is one that no worker survives (`rustrak_http.lane`). It costs itself only: after three
tries it is in quarantine, with its payload, and the rest goes on.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import attrs

from rustrak_core import ambient
from rustrak_core.accepted import AcceptedEvent, Count, SpoolPosition, sum_counts
from rustrak_core.digest import digest_all
from rustrak_core.digested import Digested
from rustrak_core.errors import MalformedEventError, SpoolUnavailableError, StalePositionError, StoreUnavailableError
from rustrak_core.ports import SpooledBatch, SpoolReader, Stage, Store
from rustrak_core.regroup.backfill import Backfiller
from rustrak_core.tracker.mechanisms import Digester
from rustrak_http.lane import Lane
from rustrak_http.quarantine import quarantined, undigested
from rustrak_http.rehearsal import Rehearsal
from rustrak_http.rules_log import log_unreadable_rules

_logger = logging.getLogger("rustrak.worker")

MAX_EVENTS = 250
"""Events of a batch. One of 400 takes four MiB more, and an event of it a few microseconds less."""

MAX_BYTES = 3 * 1024 * 1024
_GATHER_S = (0.02, 0.2)
_GATHER_PER_EVENT_S = 0.002
_IDLE_S = (0.03, 0.05)
_BACKOFF_S = (0.1, 5.0)
_BEAT_S = 1.0
_PURGE_ROWS = 200
_PURGE_IDLE_S = 5.0
_PURGE_BUSY_S = 10.0


@attrs.frozen(kw_only=True)
class Beat:
    """A sign of life, once a second.

    Attributes:
        at: When it was given, in UTC.
        oldest_at: When the oldest event that is not yet recorded was received, as far as the worker has read; None
            where nothing waits.
        trouble: What keeps the worker from recording, as the name of an error; None where nothing does.
    """

    at: datetime
    oldest_at: datetime | None = None
    trouble: str | None = None


class DigestWorker:
    """Digests the lanes of a spool into a store. One thread runs it.

    Args:
        heartbeat: Called about once a second while it runs, also while it waits; not while it digests or records.
        progress: Called with what comes next, for each event that is digested, and whenever it has come further.
        recorded: Called after each batch with the number of its events.
        rehearsal: Has events digested in another process first, while that is wise; None where that must not be.
        digesting: For tests.
    """

    def __init__(
        self,
        store: Store,
        reader: SpoolReader,
        *,
        heartbeat: Callable[[Beat], None] | None = None,
        progress: Callable[[Stage], None] = lambda _: None,
        recorded: Callable[[int], None] = lambda _: None,
        rehearsal: Rehearsal | None = None,
        clock: Callable[[], datetime] = ambient.utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        digesting: Callable[[AcceptedEvent], Digested] | None = None,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._store = store
        self._reader = reader
        self._heartbeat = heartbeat
        self._progress = progress
        self._count = recorded
        self._rehearsal = rehearsal
        self._clock = clock
        self._monotonic = monotonic
        self._digest = digesting or Digester(store, unreadable=log_unreadable_rules).digest
        self._backfiller = Backfiller(store, monotonic=monotonic)
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._lanes: dict[str, Lane] = {}
        self._oldest_at: datetime | None = None
        self._trouble: str | None = None
        self._beat_at = self._purge_at = float("-inf")
        self._moved = False

    def run(self, stop: threading.Event) -> None:
        """Digest until *stop* is set; the batch at hand is finished, the rest stays in the spool."""
        idle_s, backoff_s = _IDLE_S[0], _BACKOFF_S[0]
        while not stop.is_set():
            begun = self._monotonic()
            try:
                recorded = self.run_once(stop)
            except (StoreUnavailableError, SpoolUnavailableError) as error:
                self._note_trouble(error)
                self._wait(stop, backoff_s)
                backoff_s = min(backoff_s * 2, _BACKOFF_S[1])
                continue
            self._note_recovery()
            backoff_s = _BACKOFF_S[0]
            if self._moved:
                idle_s = _IDLE_S[0]
                self._purge_if_due(_PURGE_BUSY_S)
                if self._oldest_at is None:  # nothing more is known to wait
                    self._wait(stop, begun + _gather_s(recorded) - self._monotonic())
            else:
                self._purge_if_due(_PURGE_IDLE_S)
                self._backfill()
                self._wait(stop, idle_s)
                idle_s = min(idle_s * 1.1, _IDLE_S[1])

    def run_once(self, stop: threading.Event | None = None) -> int:
        """Digest one batch of each lane; return how many events were recorded.

        0 also where a batch held only counts, or could not be recorded as it was and is read in smaller parts next.

        Raises:
            StoreUnavailableError, SpoolUnavailableError: it cannot go on just now; nothing is lost, try again.
        """
        recorded, self._moved = 0, False
        waits: list[datetime] = []
        failure: SpoolUnavailableError | None = None
        lanes = self._reader.lanes()
        for name in self._lanes.keys() - set(lanes):
            del self._lanes[name]
        for name in lanes:
            if stop is not None and stop.is_set():
                break
            self._beat()
            try:
                lane = self._lanes.get(name) or self._meet(name)
                batch = self._reader.read(name, after=lane.position, max_events=lane.limit, max_bytes=self._max_bytes)
                if batch is not None:
                    recorded += self._take(lane, batch, waits)
            except SpoolUnavailableError as error:  # of this lane; the others go on
                failure = error
            except StalePositionError:
                _logger.warning("position_stale lane=%s", name)
                self._lanes.pop(name, None)
                self._moved = False  # whoever moved it is at work: do not spin
        if failure is not None and not self._moved:
            raise failure
        self._oldest_at = min(waits, default=None)
        self._beat()
        return recorded

    def _meet(self, name: str) -> Lane:
        position = self._store.position(name)
        if position is not None:
            self._forget(position)
        lane = Lane.met(name, position, self._reader.attempt(name), max_events=self._max_events)
        self._lanes[name] = lane
        if lane.is_suspicious and self._rehearsal is not None:
            self._rehearsal.be_careful()
        return lane

    def _take(self, lane: Lane, batch: SpooledBatch, waits: list[datetime]) -> int:
        """Digest and record *batch*; return how many events of it were recorded.

        To *waits* it adds since when, about, what follows has been waiting, where more follows.
        """
        if lane.is_poisoned:
            return self._quarantine(lane, batch, "no worker survived digesting or recording it")
        self._moved = True
        if batch.damaged:
            lane_name = batch.advance.end.lane
            _logger.error("spool_damaged lane=%s records=%d unknown=%d", lane_name, batch.damaged, batch.unknown)
        accepted = [event for each in batch.accepted for event in each.events]
        self._oldest_at = min([*waits, *(event.received_at for event in accepted[:1])], default=None)
        if len(accepted) >= lane.max_events or sum(len(event.payload) for event in accepted) > self._max_bytes // 2:
            waits.append(accepted[0].received_at)
        lane.begin(len(batch.accepted))
        if self._rehearsal is not None and self._rehearsal.is_wanted and not self._rehearsal.survives(lane, batch):
            lane.learn()
            return 0
        try:
            events, invalid = digest_all(self._noting(lane, batch), digesting=self._digest_safely)
            self._record(lane, batch, events, invalid)
        except Exception as error:
            lane.let_go()
            if isinstance(error, StalePositionError | StoreUnavailableError):
                raise
            return self._isolate(lane, batch, accepted, error)
        lane.grow(self._max_events)
        lane.poisons_in_a_row = 0
        return len(accepted)

    def _noting(self, lane: Lane, batch: SpooledBatch) -> Iterator[AcceptedEvent]:
        """Yield the events of *batch*, each noted before it is digested."""
        for index, each in enumerate(batch.accepted):
            lane.attempt.reach(index)
            self._progress(Stage.DIGESTING)
            yield from each.events

    def _record(
        self, lane: Lane, batch: SpooledBatch, events: Sequence[Digested], counts: Sequence[Count] = ()
    ) -> None:
        sent = (count for each in batch.accepted for count in each.counts)
        lane.attempt.record()
        self._progress(Stage.RECORDING)
        self._store.record(events, counts=sum_counts([*counts, *sent]), advance=batch.advance)
        self._progress(Stage.RESTING)
        self._count(len(events))
        lane.move(batch.advance.end, len(batch.accepted))
        self._forget(batch.advance.end)

    def _forget(self, upto: SpoolPosition) -> None:
        try:
            self._reader.forget(upto)
        except SpoolUnavailableError as error:  # it is recorded, and that is what counts
            _logger.warning("spool_not_cleared lane=%s reason=%s", upto.lane, error)

    def _digest_safely(self, event: AcceptedEvent) -> Digested:
        try:
            return self._digest(event)
        except (MalformedEventError, StoreUnavailableError):
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours must not cost the event
            _log_event("digest_failed", event, error)
            return undigested(event)

    def _isolate(self, lane: Lane, batch: SpooledBatch, accepted: Sequence[AcceptedEvent], error: Exception) -> int:
        if len(batch.accepted) > 1:
            lane.halve(len(batch.accepted))
            _logger.warning(
                "batch_failed lane=%s records=%d next=%d error=%s",
                batch.advance.end.lane,
                len(batch.accepted),
                lane.max_events,
                type(error).__name__,
            )
            return 0
        if lane.is_alarming:
            # So many in a row are not bad events, but a store that does not work: wait, rather than empty the spool.
            lane.poisons_in_a_row -= 1
            raise StoreUnavailableError(f"the store fails on every event ({type(error).__name__})") from error
        return self._set_aside(lane, batch, accepted, error)

    def _set_aside(self, lane: Lane, batch: SpooledBatch, accepted: Sequence[AcceptedEvent], error: Exception) -> int:
        """Record a single record's events with nothing read from them or, at the third try, put them in quarantine."""
        lane.begin(len(batch.accepted))
        try:
            self._record(lane, batch, [undigested(event) for event in accepted])
        except (StoreUnavailableError, StalePositionError):
            lane.let_go()
            raise
        except Exception as again:  # noqa: BLE001 - nor even that one
            lane.tries += 1
            lane.let_go()
            if lane.is_poisoned:
                return self._quarantine(lane, batch, type(again).__name__)
            return 0
        for event in accepted:
            _log_event("record_failed", event, error)
        lane.poisons_in_a_row += 1
        return len(accepted)

    def _quarantine(self, lane: Lane, batch: SpooledBatch, why: str) -> int:
        """Keep the events of *batch* in quarantine, count them, and go on.

        Raises:
            SpoolUnavailableError: they cannot be kept just now; the lane waits.
            StoreUnavailableError: they cannot be counted just now; likewise.
        """
        self._reader.quarantine(batch, why=why, now=self._clock())
        self._moved = True
        events = [event for each in batch.accepted for event in each.events]
        try:
            self._record(lane, batch, [], [quarantined(event) for event in events])
        except (StoreUnavailableError, StalePositionError):
            raise
        except Exception as error:
            raise StoreUnavailableError(f"the store does not even count events ({type(error).__name__})") from error
        lane.poisons_in_a_row += 1
        for event in events:
            _logger.error(
                "event_quarantined project=%s event=%s bytes=%d reason=%s",
                event.project_id,
                event.event_id.hex,
                len(event.payload),
                why,
            )
        return 0

    def _purge_if_due(self, every_s: float) -> None:
        now = self._monotonic()
        if now - self._purge_at < every_s:
            return
        try:
            left = self._store.purge(limit=_PURGE_ROWS)
        except StoreUnavailableError:
            left = 0
        except Exception as error:  # noqa: BLE001 - purging must not stop digesting
            _logger.error("purge_failed error=%s", type(error).__name__)  # noqa: TRY400
            left = 0
        if not left:
            self._purge_at = now

    def _backfill(self) -> None:
        """Work out some newer keys of issues, if there is any need; see `rustrak_core.regroup.backfill`."""
        try:
            self._backfiller.work()
        except StoreUnavailableError:
            self._backfiller.rest()
        except Exception as error:  # noqa: BLE001 - nor must this
            _logger.error("backfill_failed error=%s", type(error).__name__)  # noqa: TRY400
            self._backfiller.rest()

    def _wait(self, stop: threading.Event, seconds: float) -> None:
        until = self._monotonic() + seconds
        self._beat()
        while (left := until - self._monotonic()) > 0 and not stop.wait(min(left, _BEAT_S)):
            self._beat()

    def _beat(self) -> None:
        self._progress(Stage.RESTING)
        now = self._monotonic()
        if self._heartbeat is not None and now - self._beat_at >= _BEAT_S:
            self._beat_at = now
            self._heartbeat(Beat(at=self._clock(), oldest_at=self._oldest_at, trouble=self._trouble))

    def _note_trouble(self, error: Exception) -> None:
        if self._trouble != type(error).__name__:
            self._trouble = type(error).__name__
            _logger.error("worker_waits error=%s reason=%s", self._trouble, error)

    def _note_recovery(self) -> None:
        if self._trouble is not None:
            _logger.warning("worker_goes_on after=%s", self._trouble)
            self._trouble = None


def _gather_s(recorded: int) -> float:
    """Return how long one batch begins after the other, which was of so many events.

    A transaction costs much the same for one event and for a hundred; so the more come, the longer are they gathered.
    """
    return min(max(_GATHER_S[0], recorded * _GATHER_PER_EVENT_S), _GATHER_S[1])


def _log_event(what: str, event: AcceptedEvent, error: Exception) -> None:
    # The kind of the fault, never its text: that may quote the payload.
    _logger.error(
        "%s project=%s event=%s bytes=%d error=%s",
        what,
        event.project_id,
        event.event_id.hex,
        len(event.payload),
        type(error).__name__,
    )
