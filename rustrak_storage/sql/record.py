"""``record``: a batch of events in one transaction, with a few statements however many events there are.

What it takes from the database it asks for at once: the projects (whose rows it locks, so that on servers a project has
one writer at a time and short ids leave no gaps), which events are stored, the grouping keys, their issues.
`rustrak_storage.batch` files the events in memory; then everything is written by lists.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from rustrak_core.accepted import Count, SpoolAdvance, SpoolPosition
from rustrak_core.digested import Digested
from rustrak_core.errors import StalePositionError
from rustrak_core.ports import Recorded
from rustrak_storage.batch import Batch, EventKey, KeyId, ProjectRow
from rustrak_storage.filing import Filed, IssueRow, filed
from rustrak_storage.sql import payloads, schema
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.facets import Known, add_facets, add_users
from rustrak_storage.sql.ids import allocate
from rustrak_storage.sql.rows import (
    issue_row,
    issue_values,
    pairs_json,
    project_row,
    select_issues,
    select_projects,
    user_json,
)
from rustrak_storage.sql.upsert import adding
from rustrak_storage.texts import clean_or_none

_FIXED = frozenset({"id", "project_id", "number"})
# Columns are set by the names of the values given.
_UPDATE_ISSUE = update(schema.issue).where(schema.issue.c.id == bindparam("b_id"))
_UPDATE_PROJECT = update(schema.project).where(schema.project.c.id == bindparam("b_id"))
_INSERT_EVENT = insert(schema.event)
_INSERT_PAYLOAD = insert(schema.payload)
_INSERT_ISSUE = insert(schema.issue)
_INSERT_KEY = insert(schema.grouping_key)


class Recorder:
    """Records batches in a database."""

    def __init__(self, database: Database) -> None:
        """Record in *database*."""
        self._database = database
        self._known = Known()

    def record(
        self, events: Sequence[Digested], counts: Sequence[Count], advance: SpoolAdvance | None
    ) -> Sequence[Recorded]:
        """See `rustrak_core.ports.IssueStore.record`."""
        # All that needs no database comes before the transaction, so that others wait for less.
        ready = [filed(event) for event in events]
        packed = [payloads.encode(event.payload) for event in events]
        payload_of = {id(event): data for event, data in zip(ready, packed, strict=True)}
        learned: set[int] = set()

        def work(connection: Connection) -> list[Recorded]:
            learned.clear()
            if advance is not None:
                _advance(connection, advance)
            projects = _lock_projects(connection, ready, counts)
            batch = _load(connection, ready, projects)
            batch.file(ready)
            batch.count(counts)
            self._write(connection, batch, payload_of, learned)
            return batch.recorded()

        recorded = self._database.write(work)
        self._known.update(learned)
        return recorded

    def _write(
        self, connection: Connection, batch: Batch, payload_of: dict[int, tuple[str, bytes]], learned: set[int]
    ) -> None:
        batch.number(allocate(connection, schema.issue, len(batch.opened)))
        fresh = {row.id for row in batch.opened}
        # Users first: how many are new stands in the issue's row.
        add_users(connection, batch, fresh, self._known, learned)
        _write_issues(connection, batch)
        _write_events(connection, batch, payload_of)
        add_facets(connection, batch, fresh, self._known, learned)
        _write_projects(connection, batch)
        add_counters(connection, batch)


def add_counters(connection: Connection, batch: Batch) -> None:
    """Add the batch's counters to those kept."""
    if batch.counters:
        names = ("project_id", "day", "category", "outcome", "reason")
        # In one order in every process, so that none waits for another crosswise.
        rows = [{**dict(zip(names, key, strict=True)), "quantity": n} for key, n in sorted(batch.counters.items())]
        connection.execute(adding(connection.dialect.name, schema.counter, "quantity"), rows)


def _advance(connection: Connection, advance: SpoolAdvance) -> None:
    table, end = schema.position, advance.end
    query = select(table.c.segment, table.c.offset).where(table.c.lane == end.lane).with_for_update()
    row = connection.execute(query).one_or_none()
    found = None if row is None else SpoolPosition(lane=end.lane, segment=row.segment, offset=row.offset)
    if found != advance.start:
        raise StalePositionError("the lane was recorded by another worker; read again from its position")
    if found is None:
        connection.execute(insert(table).values(lane=end.lane, segment=end.segment, offset=end.offset))
    else:
        changed = update(table).where(table.c.lane == end.lane).values(segment=end.segment, offset=end.offset)
        connection.execute(changed)


def _lock_projects(connection: Connection, events: Sequence[Filed], counts: Sequence[Count]) -> dict[int, ProjectRow]:
    numbers = sorted({event.project_id for event in events} | {int(count.project_id) for count in counts})
    projects: dict[int, ProjectRow] = {}
    for chunk in chunks(numbers):
        query = select_projects().where(schema.project.c.id.in_(chunk)).order_by(schema.project.c.id).with_for_update()
        projects.update((row.id, project_row(row)) for row in connection.execute(query))
    return projects


def _load(connection: Connection, events: Sequence[Filed], projects: dict[int, ProjectRow]) -> Batch:
    alive = {number for number, project in projects.items() if project.deleted_at is None}
    live = [event for event in events if event.project_id in alive]
    stored, replaced = _stored(connection, live)
    _remove(connection, replaced)
    return Batch(projects=projects, stored=stored, keys=_keys(connection, live))


def _stored(connection: Connection, events: Sequence[Filed]) -> tuple[dict[EventKey, int], list[int]]:
    """Return the issues of events that are stored, and the rows of those whose issue was deleted."""
    table, issue = schema.event, schema.issue
    wanted = {(event.project_id, event.event_id) for event in events}
    stored: dict[EventKey, int] = {}
    replaced: list[int] = []
    columns = (table.c.id, table.c.project_id, table.c.event_id, table.c.issue_id, issue.c.deleted_at)
    joined = select(*columns).select_from(table.join(issue, issue.c.id == table.c.issue_id))
    for chunk in chunks({event_id for _project, event_id in wanted}):
        for row in connection.execute(joined.where(table.c.event_id.in_(chunk))):
            key = (row.project_id, bytes(row.event_id))
            if key not in wanted:
                continue
            if row.deleted_at is None:
                stored[key] = row.issue_id
            else:
                replaced.append(row.id)
    return stored, replaced


def _remove(connection: Connection, rows: Sequence[int]) -> None:
    """Make room for events that come again after their issue was deleted, before their rows were purged."""
    for chunk in chunks(rows):
        connection.execute(delete(schema.payload).where(schema.payload.c.event.in_(chunk)))
        connection.execute(delete(schema.event).where(schema.event.c.id.in_(chunk)))


def _keys(connection: Connection, events: Sequence[Filed]) -> dict[KeyId, IssueRow]:
    table = schema.grouping_key
    wanted = {(event.project_id, value, mechanism) for event in events for value, mechanism in event.keys}
    found: dict[KeyId, int] = {}
    for chunk in chunks({value for _project, value, _mechanism in wanted}):
        for row in connection.execute(select(table).where(table.c.value.in_(chunk))):
            key = (row.project_id, bytes(row.value), row.mechanism)
            if key in wanted:
                found[key] = row.issue_id
    issues: dict[int, IssueRow] = {}
    for chunk in chunks(set(found.values())):
        query = select_issues().where(schema.issue.c.id.in_(chunk))
        issues.update((row.id, issue_row(row)) for row in connection.execute(query))
    return {key: issues[number] for key, number in found.items()}


def _write_issues(connection: Connection, batch: Batch) -> None:
    if batch.opened:
        connection.execute(_INSERT_ISSUE, [issue_values(row) for row in batch.opened])
    if batch.touched:
        rows = [{**issue_values(row), "b_id": number} for number, row in sorted(batch.touched.items())]
        for row in rows:
            for name in _FIXED:
                del row[name]
        connection.execute(_UPDATE_ISSUE, rows)
    if batch.new_keys:
        keys = [
            {"project_id": project, "value": value, "mechanism": mechanism, "issue_id": row.id}
            for (project, value, mechanism), row in sorted(batch.new_keys.items(), key=lambda entry: entry[0])
        ]
        connection.execute(_INSERT_KEY, keys)


def _write_projects(connection: Connection, batch: Batch) -> None:
    touched = {filing.event.project_id for filing in batch.filings}
    rows = [
        {
            "b_id": number,
            "event_count": batch.projects[number].event_count,
            "issue_count": batch.projects[number].issue_count,
            "last_number": batch.projects[number].last_number,
        }
        for number in sorted(touched)
    ]
    if rows:
        connection.execute(_UPDATE_PROJECT, rows)


def _write_events(connection: Connection, batch: Batch, payload_of: dict[int, tuple[str, bytes]]) -> None:
    if not batch.filings:
        return
    numbers = allocate(connection, schema.event, len(batch.filings))
    events: list[dict[str, Any]] = []
    bodies: list[dict[str, Any]] = []
    for number, filing in zip(numbers, batch.filings, strict=True):
        event, source = filing.event, filing.event.source
        events.append(_event_values(number, event, filing.issue.id, filing.key))
        codec, data = payload_of[id(event)]
        bodies.append({"event": number, "codec": codec, "dictionary": None, "size": len(source.payload), "data": data})
    connection.execute(_INSERT_EVENT, events)
    connection.execute(_INSERT_PAYLOAD, bodies)


def _event_values(number: int, event: Filed, issue_id: int, key: tuple[bytes, str]) -> dict[str, Any]:
    source = event.source
    return {
        "id": number,
        "project_id": event.project_id,
        "event_id": event.event_id,
        "issue_id": issue_id,
        "timestamp": event.timestamp,
        "received_at": event.received_at,
        "mechanism": key[1],
        "grouping_value": key[0],
        "kind": source.kind,
        "type": event.type,
        "message": event.message,
        "culprit": event.culprit,
        "level": event.level,
        "platform": event.platform,
        "environment": event.environment,
        "release": event.release,
        "user": user_json(source.user),
        "tags": pairs_json(source.tags),
        "remote_addr": clean_or_none(source.remote_addr, 64),
        "sdk_client": clean_or_none(source.sdk_client, 255),
        "hints": pairs_json(source.hints),
    }
