"""Removing the rows of what was deleted, a few at a time."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Table, delete, select

from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.refilings import forget_refilings

_DOOMED = schema.doomed
_ISSUE = schema.issue
# Rows of a project beside its issues, and of an issue beside its events; each by its primary key. A project's counters
# stay: what is still queued for it is counted there.
_OF_PROJECT = (schema.grouping, schema.backfill, schema.newer_key)
_OF_ISSUE = (
    schema.facet,
    schema.facet_key,
    schema.issue_user,
    schema.term,
    schema.issue_terms,
    schema.grouping_key,
    schema.unsettled,
)


def purge(connection: Connection, limit: int) -> int:
    """Remove up to *limit* rows of what was deleted; return how many."""
    left = max(limit, 1)
    while left > 0:
        first = connection.execute(select(_DOOMED).order_by(_DOOMED.c.kind, _DOOMED.c.id).limit(1)).one_or_none()
        if first is None:
            break
        done = _issue(connection, first.id, left) if first.kind == "issue" else _project(connection, first.id, left)
        left -= done
        if left > 0:
            connection.execute(delete(_DOOMED).where(_DOOMED.c.kind == first.kind, _DOOMED.c.id == first.id))
    return max(limit, 1) - left


def _project(connection: Connection, project_id: int, limit: int) -> int:
    """Remove up to *limit* rows of a project; fewer if no more are there.

    Its own row stays, so that slug and key stay used, and so do its counters: events that were queued when it was
    deleted are counted whenever they come, and what was received stays accounted for.
    """
    _lock(connection, project_id)
    left = limit
    while left > 0:
        number = connection.execute(select(_ISSUE.c.id).where(_ISSUE.c.project_id == project_id).limit(1)).scalar()
        if number is None:
            for table in _OF_PROJECT:
                left -= _rows(connection, table, table.c.project_id == project_id, left)
            forget_refilings(connection, project_id)
            break
        left -= _issue(connection, number, left, locked=True)
    return limit - left


def _issue(connection: Connection, issue_id: int, limit: int, *, locked: bool = False) -> int:
    """Remove up to *limit* rows of an issue; fewer if no more are there."""
    if not locked:
        project = connection.execute(select(_ISSUE.c.project_id).where(_ISSUE.c.id == issue_id)).scalar()
        _lock(connection, project)
    left = limit - _events(connection, issue_id, limit)
    for table in _OF_ISSUE:
        left -= _rows(connection, table, table.c.issue_id == issue_id, left)
    if left > 0:
        left -= connection.execute(delete(_ISSUE).where(_ISSUE.c.id == issue_id)).rowcount
    return limit - left


def _events(connection: Connection, issue_id: int, limit: int) -> int:
    """Remove events with their payloads; an event is one row here, so that both go together."""
    event, payload = schema.event, schema.payload
    numbers: Sequence[int] = (
        connection.execute(select(event.c.id).where(event.c.issue_id == issue_id).limit(limit)).scalars().all()
    )
    for chunk in chunks(numbers):
        connection.execute(delete(payload).where(payload.c.event.in_(chunk)))
        connection.execute(delete(event).where(event.c.id.in_(chunk)))
    return len(numbers)


def _rows(connection: Connection, table: Table, condition: ColumnElement[bool], limit: int) -> int:
    if limit <= 0:
        return 0
    found = connection.execute(select(*table.primary_key).where(condition).limit(limit)).all()
    bulk.remove(connection, table, list(map(tuple, found)))
    return len(found)


def _lock(connection: Connection, project_id: int | None) -> None:
    """Let no other transaction record in the project meanwhile, as all that writes to a project does."""
    connection.execute(select(schema.project.c.id).where(schema.project.c.id == project_id).with_for_update())


def anything_doomed(connection: Connection) -> bool:
    """Tell whether rows wait to be purged."""
    return connection.execute(select(_DOOMED.c.id).limit(1)).first() is not None
