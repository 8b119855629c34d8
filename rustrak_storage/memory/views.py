"""What callers see of an event that is kept in memory."""

from datetime import UTC

from rustrak_core.digested import EventSummary, GroupingKey, StoredEvent
from rustrak_core.issue import IssueId
from rustrak_core.page import Keyset
from rustrak_storage.batch import Filing


def event_keyset(filing: Filing) -> Keyset:
    """Return where in its list an event stands."""
    event = filing.event
    return Keyset(values=(event.timestamp, event.received_at, int.from_bytes(event.event_id)))


def summary(filing: Filing) -> EventSummary:
    """Return the event's row in lists."""
    source = filing.event.source
    return EventSummary(
        id=source.event_id,
        project_id=source.project_id,
        issue_id=IssueId(filing.issue.id),
        timestamp=source.timestamp.astimezone(UTC),
        received_at=source.received_at.astimezone(UTC),
        environment=filing.event.environment,
        release=filing.event.release,
        user=source.user,
    )


def stored(filing: Filing) -> StoredEvent:
    """Return the event, whole."""
    event, source = filing.event, filing.event.source
    return StoredEvent(
        summary=summary(filing),
        key=GroupingKey(mechanism=filing.key[1], value=filing.key[0].hex()),
        kind=source.kind,
        type=event.type,
        message=event.message,
        culprit=event.culprit,
        level=event.level,
        platform=event.platform,
        tags=source.tags,
        remote_addr=source.remote_addr,
        sdk_client=source.sdk_client,
        hints=source.hints,
        payload=source.payload,
    )
