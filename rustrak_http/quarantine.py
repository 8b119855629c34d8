"""What is kept of an event that cannot be digested or recorded as it is."""

import hashlib

from rustrak_core.accepted import AcceptedEvent, Count, Outcome
from rustrak_core.digested import Digested, GroupingKey

UNDIGESTED_MECHANISM = "undigested@1"
_KEY = hashlib.blake2b(b"", digest_size=16, person=b"undigested@1").hexdigest()


def undigested(event: AcceptedEvent) -> Digested:
    """Return *event* with its payload, if it has one, and nothing read from it; such events are one issue a project."""
    return Digested(
        project_id=event.project_id,
        event_id=event.event_id,
        received_at=event.received_at,
        timestamp=event.received_at,
        keys=(GroupingKey(mechanism=UNDIGESTED_MECHANISM, value=_KEY),),
        kind=event.kind.value,
        type="Undigested",
        message="This event could not be digested, which is a fault of Rustrak; its payload is kept as it was sent",
        culprit="",
        level="error",
        platform="other",
        payload=None if event.is_shed else event.payload,
    )


def quarantined(event: AcceptedEvent) -> Count:
    """Return the count for an *event* that could not be kept at all."""
    return Count(
        project_id=event.project_id, day=event.received_at.date(), category="error", outcome=Outcome.QUARANTINED
    )
