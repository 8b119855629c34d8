"""What lies between accepting and digesting: an event as it was received, and the counts that go with it."""

import enum
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

import attrs

from rustrak_core.project import ProjectId
from rustrak_core.times import utc


class EventKind(enum.StrEnum):
    """How an event's bytes are to be read."""

    EVENT = "event"
    CSP = "csp"


class Outcome(enum.StrEnum):
    """What became of something received; the words of ``/stats`` (API.md, Projects)."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    FILTERED = "filtered"
    RATE_LIMITED = "rate_limited"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    SHED = "shed"
    DELETED = "deleted"
    QUARANTINED = "quarantined"
    DISCARDED = "discarded"
    """Telemetry that is accepted and counted, not kept: sessions, transactions, attachments, ..."""
    SDK_DROPPED = "sdk_dropped"
    """What an SDK says it dropped itself (client reports)."""


EVENT_OUTCOMES: Final = tuple(
    outcome.value for outcome in Outcome if outcome not in {Outcome.DISCARDED, Outcome.SDK_DROPPED}
)
"""What may become of an event; with those that are queued, they add up to those received (API.md, Projects)."""


@attrs.frozen(kw_only=True)
class Count:
    """So many of one category had one outcome on one day.

    Attributes:
        day: The day of receipt, in UTC.
        category: The rate-limit category, as in ``error``, ``attachment``, ``session``.
        reason: A word for the cause, as in a client report's ``before_send``; may be empty.
    """

    project_id: ProjectId
    day: date
    category: str
    outcome: Outcome
    reason: str = ""
    quantity: int = 1


@attrs.frozen(kw_only=True)
class AcceptedEvent:
    """An event as it was accepted: bytes and what the request said about them. Nothing in *payload* was read yet.

    Attributes:
        payload: The item's bytes as sent, decompressed; where *is_shed*, what is left of them
            (`rustrak_core.columns`).
        remote_addr: The connection's address, for an SDK's ``{{auto}}``; None where it is not known.
        sdk_client: ``sentry_client`` of the credentials, as in ``sentry.python/2.75.0``, or None.
        hints: What the request's query said of a CSP report: ``release`` and ``environment``.
        is_shed: It came when room was short, and repeats one that was kept.
    """

    project_id: ProjectId
    event_id: UUID
    received_at: datetime = attrs.field(validator=utc)
    payload: bytes = attrs.field(repr=False)
    kind: EventKind = EventKind.EVENT
    remote_addr: str | None = None
    sdk_client: str | None = None
    hints: tuple[tuple[str, str], ...] = ()
    is_shed: bool = False


@attrs.frozen(kw_only=True)
class Accepted:
    """What one request brought: at most a few events, and counts of all that is not kept."""

    events: Sequence[AcceptedEvent] = ()
    counts: Sequence[Count] = ()


@attrs.frozen(kw_only=True, order=True)
class SpoolPosition:
    """How far a lane of a spool has been recorded.

    Attributes:
        lane: 32 hex digits, unique to the lane across machines.
        segment: The number of the segment; counts up from 1.
        offset: Bytes of that segment that are recorded.
    """

    lane: str
    segment: int
    offset: int


@attrs.frozen(kw_only=True)
class SpoolAdvance:
    """A batch moves a lane's position from *start* to *end*; it commits with the batch, or neither does.

    Attributes:
        start: Where the batch was read from; None where the lane has no position yet.
    """

    start: SpoolPosition | None
    end: SpoolPosition


def sum_counts(counts: Iterable[Count]) -> list[Count]:
    """Return *counts* with those that differ in quantity only added up, in the order of their first mention."""
    totals: dict[tuple[object, ...], Count] = {}
    for count in counts:
        key = (count.project_id, count.day, count.category, count.outcome, count.reason)
        known = totals.get(key)
        totals[key] = count if known is None else attrs.evolve(known, quantity=known.quantity + count.quantity)
    return list(totals.values())
