"""``record``: a batch of events in one transaction, with a few statements however many events there are.

What it takes from the database it asks for at once: the projects (whose rows it locks, so that on servers a project has
one writer at a time and short ids leave no gaps), which events are stored, the grouping keys, their issues.
`rustrak_storage.batch` files the events in memory; then everything is written by lists.
"""

from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from rustrak_core.accepted import Count, SpoolAdvance, SpoolPosition
from rustrak_core.digested import Digested
from rustrak_core.errors import StalePositionError
from rustrak_core.ports import Recorded
from rustrak_storage.batch import Batch, EventKey, KeyId, ProjectRow
from rustrak_storage.filing import Filed, IssueRow, filed
from rustrak_storage.sql import bulk, payloads, schema
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.contents import content_of
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.facets import Known, add_facets, add_users
from rustrak_storage.sql.ids import allocate
from rustrak_storage.sql.keyset import bounded
from rustrak_storage.sql.payloads import Dictionary, Packed
from rustrak_storage.sql.rows import (
    ISSUE_CHANGES,
    ISSUE_COLUMNS,
    issue_row,
    project_row,
    select_projects,
    user_json,
)
from rustrak_storage.sql.similar import index_opened
from rustrak_storage.sql.training import Trainer
from rustrak_storage.sql.upsert import adding

# What events change in a project.
_PROJECT_CHANGES = ("event_count", "issue_count", "last_number")
_STORED = ("id", "project_id", "event_id", "issue_id")
_KEY = ("project_id", "value", "mechanism", "issue_id", "origin_id")
_COUNTER = ("project_id", "day", "category", "outcome", "reason")
_PAYLOAD = ("event", "codec", "dictionary", "size", "data")
_EVENT = tuple(column.name for column in schema.event.columns)
# Columns are set by the names of the values given.
_UPDATE_ISSUE = update(schema.issue).where(schema.issue.c.id == bindparam("b_id"))
_UPDATE_PROJECT = update(schema.project).where(schema.project.c.id == bindparam("b_id"))
_INSERT_EVENT = insert(schema.event)
_INSERT_PAYLOAD = insert(schema.payload)
_INSERT_ISSUE = insert(schema.issue)
_INSERT_KEY = insert(schema.grouping_key)
_issue_values = attrgetter(*ISSUE_COLUMNS)
_issue_changes = attrgetter(*ISSUE_CHANGES, "id")
_project_changes = attrgetter(*_PROJECT_CHANGES, "id")


class Recorder:
    """Records batches in a database."""

    def __init__(self, database: Database, dictionaries: Dictionaries) -> None:
        """Record in *database*, payloads packed with the newest of its *dictionaries*."""
        self._database = database
        self._dictionaries = dictionaries
        self._trainer = Trainer(dictionaries)
        self._known = Known()

    def record(
        self, events: Sequence[Digested], counts: Sequence[Count], advance: SpoolAdvance | None
    ) -> Sequence[Recorded]:
        """See `rustrak_core.ports.IssueStore.record`."""
        # All that needs no database comes before the transaction, so that others wait for less.
        ready = [filed(event) for event in events]
        dictionary, packed = self._pack(ready)
        learned: set[int] = set()

        def work(connection: Connection) -> list[Recorded]:
            learned.clear()
            if advance is not None:
                _advance(connection, advance)
            projects = _lock_projects(connection, ready, counts)
            batch = _load(connection, ready, projects)
            batch.file(ready)
            batch.count(counts)
            there = self._dictionaries.holds(connection, dictionary)
            kept = packed if there else payloads.encode(map(content_of, ready))
            self._write(connection, batch, dict(zip(map(id, ready), kept, strict=True)), learned)
            return batch.recorded()

        recorded = self._database.write(work)
        self._known.update(learned)
        if dictionary is not None:
            self._trainer.learn(packed, dictionary, ready[-1].received_at)
        return recorded

    def _pack(self, events: Sequence[Filed]) -> tuple[Dictionary | None, list[Packed]]:
        """Return the contents of *events*, packed, and the dictionary used; the first one is trained from them."""
        dictionary = self._dictionaries.newest() if events else None
        packed = payloads.encode(map(content_of, events), dictionary)
        if events and dictionary is None:
            self._trainer.learn(packed, None, events[-1].received_at)
            dictionary = self._dictionaries.newest()
            if dictionary is not None:
                packed = payloads.encode(map(content_of, events), dictionary)
        return dictionary, packed

    def _write(self, connection: Connection, batch: Batch, packed_of: dict[int, Packed], learned: set[int]) -> None:
        batch.number(allocate(connection, schema.issue, len(batch.opened)))
        fresh = {row.id for row in batch.opened}
        # Users first: how many are new stands in the issue's row.
        add_users(connection, batch, fresh, self._known, learned)
        _write_issues(connection, batch)
        _write_events(connection, batch, packed_of)
        index_opened(connection, batch)
        add_facets(connection, batch, fresh, self._known, learned)
        _write_projects(connection, batch)
        _add_counters(connection, batch)


def _add_counters(connection: Connection, batch: Batch) -> None:
    # In one order in every process, so that none waits for another crosswise.
    rows = [(*key, quantity) for key, quantity in sorted(batch.counters.items())]
    add = adding(connection.dialect.name, schema.counter, "quantity")
    bulk.write(connection, add, (*_COUNTER, "quantity"), rows)


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
    for chunk in chunks([number for number in numbers if number == bounded(number)]):
        query = select_projects().where(schema.project.c.id.in_(chunk)).order_by(schema.project.c.id).with_for_update()
        projects.update((row.id, project_row(row)) for row in connection.execute(query))
    return projects


def _load(connection: Connection, events: Sequence[Filed], projects: dict[int, ProjectRow]) -> Batch:
    alive = {number for number, project in projects.items() if project.deleted_at is None}
    live = [event for event in events if event.project_id in alive]
    stored, replaced = _stored(connection, live)
    _remove(connection, replaced)
    keys, origins = _keys(connection, live)
    return Batch(projects=projects, stored=stored, keys=keys, origins=origins)


def _stored(connection: Connection, events: Sequence[Filed]) -> tuple[dict[EventKey, int], list[int]]:
    """Return the issues of events that are stored, and the rows of those whose issue was deleted."""
    wanted = {(event.project_id, event.event_id) for event in events}
    event_ids = {event_id for _project, event_id in wanted}
    found = [
        (number, (project, bytes(event_id)), issue)
        for number, project, event_id, issue in bulk.find(connection, schema.event, _STORED, ("event_id",), event_ids)
        if (project, bytes(event_id)) in wanted
    ]
    issues = {issue for _number, _key, issue in found}
    kept = bulk.find(connection, schema.issue, ("id", "deleted_at"), ("id",), issues)
    alive = {issue for issue, deleted_at in kept if deleted_at is None}
    stored = {key: issue for _number, key, issue in found if issue in alive}
    return stored, [number for number, _key, issue in found if issue not in alive]


def _remove(connection: Connection, rows: Sequence[int]) -> None:
    """Make room for events that come again after their issue was deleted, before their rows were purged."""
    for chunk in chunks(rows):
        connection.execute(delete(schema.payload).where(schema.payload.c.event.in_(chunk)))
        connection.execute(delete(schema.event).where(schema.event.c.id.in_(chunk)))


def _keys(connection: Connection, events: Sequence[Filed]) -> tuple[dict[KeyId, IssueRow], dict[KeyId, int]]:
    """Return the issues of keys that are known, and for those of issues that were merged whose they were."""
    wanted = {(event.project_id, value, mechanism) for event in events for value, mechanism in event.asked}
    values = {value for _project, value, _mechanism in wanted}
    found: dict[KeyId, int] = {}
    origins: dict[KeyId, int] = {}
    for project, value, mechanism, issue, origin in bulk.find(
        connection, schema.grouping_key, _KEY, ("value",), values
    ):
        key = (project, bytes(value), mechanism)
        if key in wanted:
            found[key] = issue
            if origin is not None:
                origins[key] = origin
    rows = bulk.find(connection, schema.issue, ISSUE_COLUMNS, ("id",), set(found.values()))
    issues = {row.id: row for row in map(issue_row, rows)}
    return {key: issues[number] for key, number in found.items()}, origins


def _write_issues(connection: Connection, batch: Batch) -> None:
    bulk.write(connection, _INSERT_ISSUE, ISSUE_COLUMNS, [_issue_values(row) for row in batch.opened])
    touched = [_issue_changes(row) for _number, row in sorted(batch.touched.items())]
    bulk.write(connection, _UPDATE_ISSUE, (*ISSUE_CHANGES, "b_id"), touched)
    new = sorted(batch.new_keys.items(), key=itemgetter(0))
    keys = [(*key, row.id, batch.origins.get(key)) for key, row in new]
    bulk.write(connection, _INSERT_KEY, _KEY, keys)


def _write_projects(connection: Connection, batch: Batch) -> None:
    touched = sorted({filing.event.project_id for filing in batch.filings})
    rows = [_project_changes(batch.projects[number]) for number in touched]
    bulk.write(connection, _UPDATE_PROJECT, (*_PROJECT_CHANGES, "b_id"), rows)


def _write_events(connection: Connection, batch: Batch, packed_of: dict[int, Packed]) -> None:
    numbers = allocate(connection, schema.event, len(batch.filings))
    events: list[tuple[Any, ...]] = []
    bodies: list[tuple[Any, ...]] = []
    for number, filing in zip(numbers, batch.filings, strict=True):
        event = filing.event
        events.append(_event_values(number, event, filing.issue.id, filing.key))
        packed = packed_of[id(event)]  # by identity, for a batch may hold an event twice
        bodies.append((number, packed.codec, packed.dictionary, len(event.source.payload or b""), packed.data))
    bulk.write(connection, _INSERT_EVENT, _EVENT, events)
    bulk.write(connection, _INSERT_PAYLOAD, _PAYLOAD, bodies)


def _event_values(number: int, event: Filed, issue_id: int, key: tuple[bytes, str]) -> tuple[Any, ...]:
    """Return a row of the table of events, its columns in their order."""
    return (
        number,
        event.project_id,
        event.event_id,
        issue_id,
        event.timestamp,
        event.received_at,
        key[1],
        key[0],
        event.environment,
        event.release,
        user_json(event.source.user),
    )
