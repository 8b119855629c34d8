"""A transport of ``sentry-sdk`` that hands envelopes to a `Tracker` of the same process."""

import logging
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

try:
    import sentry_sdk
    from sentry_sdk.envelope import Envelope as SdkEnvelope
    from sentry_sdk.envelope import Item as SdkItem
    from sentry_sdk.scope import Scope, ScopeType, use_isolation_scope, use_scope
    from sentry_sdk.transport import Transport
except ImportError as error:
    raise ImportError("rustrak_core.embed needs sentry-sdk 2.0 or newer: pip install sentry-sdk") from error

from rustrak_core.accepted import Accepted
from rustrak_core.embed.losses import Losses
from rustrak_core.embed.recorder import Recorder
from rustrak_core.envelope import Envelope, Item
from rustrak_core.errors import RustrakError, StoreUnavailableError
from rustrak_core.receive import refused
from rustrak_core.tracker import ProjectRef, Tracker

ENTRY_BYTES = 512
"""What an entry of the queue takes beside its payload, about."""

_log = logging.getLogger("rustrak.embed")


class TrackerTransport(Transport):
    """Hands what ``sentry-sdk`` captures to a `Tracker`, from a thread of its own.

    Give it to ``sentry_sdk.init(transport=TrackerTransport(tracker, project))``; no DSN is needed. Capturing costs the
    host an event's JSON and a place in a bounded queue; it never waits for the store, and never raises. What finds no
    room is dropped and counted, as is what the store does not take after a few tries. Errors, logs and spans of the
    recording itself are never captured. A forked child starts with an empty queue and a thread of its own.

    Args:
        tracker: Where events go. Its store must stay open as long as the SDK is in use.
        project: The project they belong to.
        max_events: How many envelopes may wait.
        max_bytes: How large they may be in all.
        retry_delays_s: Pauses before trying again, in seconds, where the store is away; then the events are dropped.

    Raises:
        UnknownProjectError: *project* is a slug that no project has.
    """

    def __init__(
        self,
        tracker: Tracker,
        project: ProjectRef,
        *,
        max_events: int = 1000,
        max_bytes: int = 32 * 1024 * 1024,
        retry_delays_s: Sequence[float] = (0.1, 0.5, 2.0, 5.0),
    ) -> None:
        super().__init__()
        self._tracker = tracker
        self._project_id = tracker.project_id(project)
        self._client = f"sentry.python/{sentry_sdk.VERSION}"
        self._retry_delays_s = tuple(retry_delays_s)
        self._is_failing = False
        self._losses = Losses()
        self._recorder: Recorder[Accepted] = Recorder(
            self._hand_over, max_entries=max_events, max_bytes=max_bytes, name="rustrak.embed"
        )
        self.dropped = 0
        """Envelopes that this transport itself has lost, in this process."""
        _after_fork(self._reset)

    def capture_envelope(self, envelope: SdkEnvelope) -> None:
        """Queue an envelope; at once, and whatever it is."""
        if self._recorder.is_own_thread:
            return
        try:
            accepted = self._receive(envelope)
            if not (accepted.events or accepted.counts):
                return
            size = ENTRY_BYTES + sum(len(event.payload) for event in accepted.events)
            taken = self._recorder.put(accepted, size)
        except Exception:  # noqa: BLE001 - nothing of ours may reach the host
            self._lose(envelope, "internal_sdk_error")
        else:
            if not taken:
                self._lose(envelope, "queue_overflow")

    def flush(self, timeout: float, callback: Callable[[int, float], Any] | None = None) -> None:
        """Wait until all that was captured is recorded, at most for *timeout* seconds.

        Args:
            timeout: In seconds.
            callback: Called with the number of envelopes that wait, and *timeout*, where it takes a moment.
        """
        if timeout <= 0 or self._recorder.is_own_thread:
            return
        if self._losses:
            self._recorder.put(Accepted(), 0)  # what was lost is told along with the next batch
        first_s = min(0.1, timeout)
        left = self._recorder.flush(first_s)
        if left:
            if callback is not None:
                callback(left, timeout)
            self._recorder.flush(timeout - first_s)

    def kill(self) -> None:
        """Let the thread end once the queue is empty, without further tries. Capturing starts it again."""
        self._recorder.stop()

    def close(self, timeout: float = 2.0) -> None:
        """Record what waits, at most for *timeout* seconds, and stop the thread; before the store is closed."""
        self.flush(timeout)
        self.kill()

    def record_lost_event(
        self,
        reason: str,
        data_category: Any = None,
        item: SdkItem | None = None,
        *,
        quantity: int = 1,
    ) -> None:
        """Count what the SDK dropped itself, as in ``before_send``; it stands in the project's statistics.

        Args:
            reason: The SDK's word for why.
            data_category: What was dropped, where *item* does not say it.
            item: What was dropped.
            quantity: How many, where *item* does not say it.
        """
        if self._recorder.is_own_thread:
            return
        if item is not None:
            data_category, quantity = item.data_category, _quantity(item)
        if data_category:
            self._losses.add(str(data_category), reason, quantity)

    def is_healthy(self) -> bool:
        """There is room in the queue, and the store took what it was given last."""
        return not (self._recorder.is_full or self._is_failing)

    def _receive(self, envelope: SdkEnvelope) -> Accepted:
        """Bring the SDK's envelope into our form; what is not kept is counted by its headers, never serialised."""
        items = [
            Item(headers=item.headers, payload=item.get_bytes() if item.type in {"event", "client_report"} else b"")
            for item in envelope.items
        ]
        ours = Envelope(headers=envelope.headers, items=items)
        try:
            return self._tracker.receive(ours, self._project_id, sdk_client=self._client).accepted
        except RustrakError as error:
            self.dropped += 1
            lost = refused(error, project_id=self._project_id, received_at=self._tracker.clock())
            return lost or Accepted()

    def _lose(self, envelope: SdkEnvelope, reason: str) -> None:
        self.dropped += 1
        for item in envelope.items:
            self.record_lost_event(reason, item=item)

    def _hand_over(self, batch: Sequence[Accepted]) -> None:
        """Record a batch in one transaction, trying again while the store is away; runs in the recorder's thread."""
        with _uncaptured():
            for delay_s in (*self._retry_delays_s, None):
                try:
                    self._record(batch)
                except StoreUnavailableError as error:
                    self._is_failing = True
                    if delay_s is None or not self._recorder.pause(delay_s):
                        self._give_up(batch, "store_unavailable", str(error))
                        return
                except Exception as error:  # noqa: BLE001 - one event that cannot be recorded must not cost the others
                    self._split(batch, error)
                    return
                else:
                    self._is_failing = False
                    return

    def _record(self, batch: Sequence[Accepted]) -> None:
        lost = self._losses.take(self._project_id, self._tracker.clock().date())
        try:
            self._tracker.record(*batch, Accepted(counts=lost))
        except BaseException:
            self._losses.put_back(lost)
            raise

    def _split(self, batch: Sequence[Accepted], error: Exception) -> None:
        if len(batch) == 1:
            self._give_up(batch, "internal_sdk_error", type(error).__name__)
            return
        for one in batch:
            self._hand_over([one])

    def _give_up(self, batch: Sequence[Accepted], reason: str, why: str) -> None:
        events = sum(len(accepted.events) for accepted in batch)
        if events:
            self.dropped += sum(1 for accepted in batch if accepted.events)
            self._losses.add("error", reason, events)
            _log.warning("%d captured events could not be recorded: %s", events, why)

    def _reset(self) -> None:
        self._recorder.reset()
        self._losses.reset()
        self._is_failing = False
        self.dropped = 0


@contextmanager
def _uncaptured() -> Iterator[None]:
    """Give the recording scopes of its own: it captures nothing, and its crumbs and spans go to nobody's event."""
    scope = Scope(ty=ScopeType.ISOLATION)
    scope.add_event_processor(lambda _event, _hint: None)
    with use_isolation_scope(scope), use_scope(Scope(ty=ScopeType.CURRENT)):
        yield


def _quantity(item: SdkItem) -> int:
    if item.data_category == "attachment":
        return len(item.get_bytes()) or 1
    count = item.headers.get("item_count")
    return count if isinstance(count, int) and count > 0 else 1


def _after_fork(reset: Callable[[], None]) -> None:
    """Call a bound method in each forked child, as long as its object lives."""
    if not hasattr(os, "register_at_fork"):  # Windows has no fork
        return
    method = weakref.WeakMethod(reset)

    def in_child() -> None:
        living = method()
        if living is not None:
            living()

    os.register_at_fork(after_in_child=in_child)
