"""Events in SQL, read in the order in which they came."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import (
    MEMBERSHIP_PRIME,
    BareEvent,
    BareExportStore,
    ExportStore,
    IssueKey,
    Member,
    Membership,
    NumberedEvent,
    Selection,
)
from rustrak_core.project import ProjectId
from rustrak_core.times import to_micros
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.contents import parts_of
from rustrak_storage.sql.details import unpacked, unpacked_of
from rustrak_storage.sql.engine import unreadable
from rustrak_storage.sql.events import SqlEvents, stored_event
from rustrak_storage.sql.keyset import bounded
from rustrak_storage.sql.refilings import refilings

_EVENT = schema.event
_ISSUE = schema.issue
_KEY = schema.grouping_key
_PAYLOAD = schema.payload
_PROJECT = schema.project
_BARE = (
    _EVENT.c.id,
    _EVENT.c.project_id,
    _EVENT.c.event_id,
    _EVENT.c.issue_id,
    _EVENT.c.timestamp,
    _EVENT.c.received_at,
    _EVENT.c.mechanism,
    _EVENT.c.grouping_value,
    _EVENT.c.environment,
    _EVENT.c.release,
    _EVENT.c.user,
)
"""The columns of a `BareEvent`, in its order."""

_REST = _EVENT.c.id % MEMBERSHIP_PRIME
_SUMS = (func.count(), func.sum(_EVENT.c.id), func.sum(_REST * _REST % MEMBERSHIP_PRIME))
"""The parts of a `Membership`, in its order."""


class SqlExport(SqlEvents, ExportStore, BareExportStore):
    """See `rustrak_core.ports.ExportStore`."""

    def last_event_number(self) -> int:
        """See `rustrak_core.ports.ExportStore.last_event_number`."""
        with self._database.reading() as connection:
            return connection.execute(select(func.max(_EVENT.c.id))).scalar() or 0

    def export(self, selection: Selection, *, after: int = 0, upto: int, limit: int = 1000) -> Sequence[NumberedEvent]:
        """See `rustrak_core.ports.ExportStore.export`."""
        query = _page(_rows(), selection, upto, limit)
        with self._database.reading() as connection:
            while rows := connection.execute(query.where(_EVENT.c.id > bounded(after))).all():
                if found := self._events_in(connection, rows):
                    return found
                after = rows[-1].id  # all of issues that were deleted and wait to be purged
        return ()

    def export_bare(self, selection: Selection, *, after: int = 0, upto: int, limit: int = 1000) -> Sequence[BareEvent]:
        """See `rustrak_core.ports.BareExportStore.export_bare`."""
        query = _page(_joined(*_BARE), selection, upto, limit)
        with self._database.reading() as connection:
            while rows := _driver_rows(connection, query.where(_EVENT.c.id > bounded(after))):
                if found := self._bare_events(connection, rows):
                    return found
                after = rows[-1][0]
        return ()

    def export_events(self, numbers: Collection[int]) -> Sequence[NumberedEvent]:
        """See `rustrak_core.ports.ExportStore.export_events`."""
        found: list[NumberedEvent] = []
        with self._database.reading() as connection:
            for chunk in chunks(sorted(numbers)):
                rows = connection.execute(_rows().where(_EVENT.c.id.in_(chunk)).order_by(_EVENT.c.id)).all()
                found += self._events_in(connection, rows)
        return found

    def memberships(self, selection: Selection, *, upto: int) -> dict[IssueId, Membership]:
        """See `rustrak_core.ports.ExportStore.memberships`."""
        query = select(_EVENT.c.issue_id, *_SUMS).where(*_wanted(selection), _EVENT.c.id <= bounded(upto))
        with self._database.reading() as connection:
            live = _live(connection, selection)
            rows = connection.execute(query.group_by(_EVENT.c.issue_id))
            return {
                IssueId(issue): Membership(int(events), int(numbers), int(squares))
                for issue, events, numbers, squares in rows
                if issue in live
            }

    def refilings(self) -> Mapping[ProjectId, int]:
        """See `rustrak_core.ports.ExportStore.refilings`."""
        with self._database.reading() as connection:
            return refilings(connection)

    def filings(self, selection: Selection, *, upto: int) -> Mapping[IssueId, Mapping[GroupingKey, Membership]]:
        """See `rustrak_core.ports.ExportStore.filings`."""
        by = (_EVENT.c.issue_id, _EVENT.c.mechanism, _EVENT.c.grouping_value)
        query = select(*by, *_SUMS).where(*_wanted(selection), _EVENT.c.id <= bounded(upto)).group_by(*by)
        if selection.project_ids is not None:
            query = query.where(_EVENT.c.project_id.in_(selection.project_ids))
        found: dict[IssueId, dict[GroupingKey, Membership]] = defaultdict(dict)
        with self._database.reading() as connection:
            live = _live(connection, selection)
            for issue, mechanism, value, *sums in connection.execute(query):
                if issue in live:
                    found[IssueId(issue)][_key(mechanism, bytes(value))] = Membership(*map(int, sums))
        return found

    def members(self, issue_id: IssueId, selection: Selection, *, upto: int) -> Sequence[Member]:
        """See `rustrak_core.ports.ExportStore.members`."""
        query = (
            select(_EVENT.c.id, _EVENT.c.mechanism, _EVENT.c.grouping_value)
            .where(_EVENT.c.issue_id == bounded(issue_id), *_wanted(selection), _EVENT.c.id <= bounded(upto))
            .order_by(_EVENT.c.id)
        )
        with self._database.reading() as connection:
            if not _live(connection, selection, {issue_id}):
                return ()
            key = cache(_key)  # an issue has few, and many events
            return [
                Member(number, key(mechanism, bytes(value))) for number, mechanism, value in connection.execute(query)
            ]

    def issue_keys(self, issues: Collection[IssueId]) -> Mapping[IssueId, Sequence[IssueKey]]:
        """See `rustrak_core.ports.ExportStore.issue_keys`."""
        columns = ("issue_id", "mechanism", "value", "origin_id")
        with self._database.reading() as connection:
            live = _live(connection, Selection(), set(issues))
            found: dict[IssueId, list[IssueKey]] = defaultdict(list)
            for issue, mechanism, value, origin in bulk.find(connection, _KEY, columns, ("issue_id",), live):
                known = None if origin is None else IssueId(origin)
                found[IssueId(issue)].append(IssueKey(_key(mechanism, bytes(value)), known))
        return {issue: sorted(keys, key=IssueKey.order) for issue, keys in found.items()}

    def _bare_events(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> list[BareEvent]:
        live = _live(connection, Selection(), {row[3] for row in rows})
        with unreadable("an event's details"):
            return [
                BareEvent._make((*row[:-3], *parts_of(unpacked_of(connection, self._dictionaries, *row[-3:]))))
                for row in rows
                if row[3] in live
            ]

    def _events_in(self, connection: Connection, rows: Sequence[Any]) -> list[NumberedEvent]:
        live = _live(connection, Selection(), {row.issue_id for row in rows})
        return [
            NumberedEvent(row.id, stored_event(row, unpacked(connection, self._dictionaries, row)))
            for row in rows
            if row.issue_id in live
        ]


def _key(mechanism: str, value: bytes) -> GroupingKey:
    return GroupingKey(mechanism=mechanism, value=value.hex())


def _rows() -> Select[Any]:
    """Return a query for whole events, those of deleted issues among them."""
    return _joined(_EVENT)


def _joined(*columns: Any) -> Select[Any]:
    contents = (_PAYLOAD.c.codec, _PAYLOAD.c.dictionary, _PAYLOAD.c.data)
    return select(*columns, *contents).select_from(_EVENT.outerjoin(_PAYLOAD, _PAYLOAD.c.event == _EVENT.c.id))


def _page(query: Select[Any], selection: Selection, upto: int, limit: int) -> Select[Any]:
    """Return *query* for so many of the wanted events, by ascending number."""
    query = query.where(*_wanted(selection), _EVENT.c.id <= bounded(upto))
    if selection.project_ids is not None:
        query = query.where(_EVENT.c.project_id.in_(selection.project_ids))
    return query.order_by(_EVENT.c.id).limit(max(limit, 1))


def _driver_rows(connection: Connection, query: Select[Any]) -> Sequence[Sequence[Any]]:
    """Return rows as the driver has them, which are as ours in the types of these columns, and cost a tenth."""
    with connection.execute(query) as result:
        return result.cursor.fetchall()


def _wanted(selection: Selection) -> list[ColumnElement[bool]]:
    """Return what must hold of the time of wanted events."""
    conditions = []
    if selection.since is not None:
        conditions.append(_EVENT.c.timestamp >= to_micros(selection.since))
    if selection.until is not None:
        conditions.append(_EVENT.c.timestamp < to_micros(selection.until))
    return conditions


def _live(connection: Connection, selection: Selection, among: Collection[int] | None = None) -> set[int]:
    """Return the live issues of the wanted projects, or those of them that are *among* some."""
    query = (
        select(_ISSUE.c.id)
        .join(_PROJECT, _PROJECT.c.id == _ISSUE.c.project_id)
        .where(_ISSUE.c.deleted_at.is_(None), _PROJECT.c.deleted_at.is_(None))
    )
    if selection.project_ids is not None:
        query = query.where(_ISSUE.c.project_id.in_(selection.project_ids))
    if among is None:
        return set(connection.execute(query).scalars())
    found: set[int] = set()
    for chunk in chunks(among):
        found.update(connection.execute(query.where(_ISSUE.c.id.in_([bounded(each) for each in chunk]))).scalars())
    return found
