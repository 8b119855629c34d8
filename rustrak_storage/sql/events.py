"""Events in SQL, read."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, Select, select

from rustrak_core.digested import EventSummary, GroupingKey, StoredEvent
from rustrak_core.errors import UnknownEventError
from rustrak_core.issue import IssueId
from rustrak_core.page import EventQuery, Keyset, Page
from rustrak_core.ports import EventStore
from rustrak_core.project import ProjectId
from rustrak_core.times import from_micros, to_micros
from rustrak_storage.sql import schema
from rustrak_storage.sql.base import SqlPart
from rustrak_storage.sql.contents import details_of, payload_of
from rustrak_storage.sql.details import unpacked
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.engine import unreadable
from rustrak_storage.sql.keyset import behind, bounded, ordered
from rustrak_storage.sql.named import live_issue
from rustrak_storage.sql.rows import user_of

_TABLE = schema.event
_ORDER = (_TABLE.c.timestamp, _TABLE.c.received_at, _TABLE.c.event_id)
_SUMMARY = (
    _TABLE.c.event_id,
    _TABLE.c.project_id,
    _TABLE.c.issue_id,
    _TABLE.c.timestamp,
    _TABLE.c.received_at,
    _TABLE.c.environment,
    _TABLE.c.release,
    _TABLE.c.user,
)


class SqlEvents(SqlPart, EventStore):
    """See `rustrak_core.ports.EventStore`."""

    _dictionaries: Dictionaries

    def events(self, query: EventQuery) -> Page[EventSummary]:
        """See `rustrak_core.ports.EventStore.events`."""
        rows: Select[Any] = select(*_SUMMARY).order_by(*ordered(_ORDER, descending=True)).limit(query.limit + 1)
        if query.after is not None:
            timestamp, received_at, event_id = query.after.values
            # A number that no event can have is behind or before all, as its sign says.
            last = min(max(event_id, 0), 2**128 - 1).to_bytes(16)
            rows = rows.where(behind(_ORDER, (timestamp, received_at, last), descending=True))
        # One moment: between the two, the issue may be merged into another.
        with self._database.reading(snapshot=True) as connection:
            issue, _slug = live_issue(connection, query.issue_id)
            found = [_summary(row) for row in connection.execute(rows.where(_TABLE.c.issue_id == issue.id))]
        chosen = found[: query.limit]
        return Page(items=chosen, after=_keyset(chosen[-1]) if len(found) > query.limit else None)

    def event(self, event_id: UUID, *, project_id: ProjectId | None = None) -> StoredEvent:
        """See `rustrak_core.ports.EventStore.event`."""
        query = _whole().where(_TABLE.c.event_id == event_id.bytes)
        if project_id is not None:
            query = query.where(_TABLE.c.project_id == bounded(project_id))
        newest = query.order_by(
            *ordered((_TABLE.c.timestamp, _TABLE.c.received_at, _TABLE.c.project_id), descending=True)
        )
        with self._database.reading() as connection:
            row = connection.execute(newest.limit(1)).first()
            if row is None:
                raise UnknownEventError("no such event; it may not be digested yet")
            return stored_event(row, unpacked(connection, self._dictionaries, row))


def newest_events(
    connection: Connection, dictionaries: Dictionaries, issues: Collection[int]
) -> dict[int, StoredEvent]:
    """Return the latest event of each of *issues* that has any.

    Raises:
        StoreUnavailableError: one of them cannot be read, and why.
    """
    found = {}
    for issue in issues:
        latest = _whole().where(_TABLE.c.issue_id == issue).order_by(*ordered(_ORDER, descending=True)).limit(1)
        row = connection.execute(latest).first()
        if row is not None:
            found[issue] = stored_event(row, unpacked(connection, dictionaries, row))
    return found


def _whole() -> Select[Any]:
    """Return a query for events whose issue and project exist, with all that is kept of them."""
    issue, project, payload = schema.issue, schema.project, schema.payload
    tables = (
        _TABLE.join(issue, issue.c.id == _TABLE.c.issue_id)
        .join(project, project.c.id == _TABLE.c.project_id)
        .outerjoin(payload, payload.c.event == _TABLE.c.id)
    )
    columns = (_TABLE, payload.c.codec, payload.c.dictionary, payload.c.data)
    return select(*columns).select_from(tables).where(issue.c.deleted_at.is_(None), project.c.deleted_at.is_(None))


def _summary(row: Row[Any]) -> EventSummary:
    return EventSummary(
        id=UUID(bytes=bytes(row.event_id)),
        project_id=ProjectId(row.project_id),
        issue_id=IssueId(row.issue_id),
        timestamp=from_micros(row.timestamp),
        received_at=from_micros(row.received_at),
        environment=row.environment,
        release=row.release,
        user=user_of(row.user),
    )


def stored_event(row: Row[Any], content: bytes) -> StoredEvent:
    """Return the event of which *row* has the columns, and *content* the rest (see `rustrak_storage.sql.contents`)."""
    with unreadable("an event's details"):
        details = details_of(content)
    return StoredEvent(
        summary=_summary(row),
        key=GroupingKey(mechanism=row.mechanism, value=bytes(row.grouping_value).hex()),
        kind=details.kind,
        type=details.type,
        message=details.message,
        culprit=details.culprit,
        level=details.level,
        platform=details.platform,
        tags=details.tags,
        remote_addr=details.remote_addr,
        sdk_client=details.sdk_client,
        hints=details.hints,
        payload=payload_of(content),
    )


def _keyset(row: EventSummary) -> Keyset:
    return Keyset(values=(to_micros(row.timestamp), to_micros(row.received_at), row.id.int))
