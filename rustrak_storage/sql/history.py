"""Events filed anew, in SQL. All of it happens while the project's row is locked, as recording does."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Connection, Row, Select, bindparam, select

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import Confirm, FiledEvent, HistoryStore, Place, Refiled, Refiling
from rustrak_core.project import ProjectId
from rustrak_core.times import to_micros
from rustrak_storage.filing import IssueRow
from rustrak_storage.refiling import Shuffle
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.contents import details_of, payload_of
from rustrak_storage.sql.details import unpacked
from rustrak_storage.sql.engine import unreadable
from rustrak_storage.sql.events import SqlEvents
from rustrak_storage.sql.ids import allocate
from rustrak_storage.sql.keyset import bounded
from rustrak_storage.sql.projects import live_project
from rustrak_storage.sql.rows import ISSUE_COLUMNS, issue_row
from rustrak_storage.sql.settling import settle_one
from rustrak_storage.sql.shuffles import write_shuffle

_EVENT = schema.event
_ISSUE = schema.issue
_KEY = schema.grouping_key
_PAYLOAD = schema.payload
_PLACE = ("id", "project_id", "issue_id", "mechanism", "grouping_value")
_KEY_COLUMNS = ("project_id", "value", "mechanism", "issue_id")


class SqlHistory(SqlEvents, HistoryStore):
    """See `rustrak_core.ports.HistoryStore`."""

    def scan(self, project_id: ProjectId, *, after: int = 0, limit: int = 1000) -> Sequence[FiledEvent]:
        """See `rustrak_core.ports.HistoryStore.scan`."""
        columns = (_EVENT.c.id, _EVENT.c.event_id, _EVENT.c.issue_id, _EVENT.c.mechanism, _EVENT.c.grouping_value)
        query: Select[Any] = (
            select(*columns, _PAYLOAD.c.codec, _PAYLOAD.c.dictionary, _PAYLOAD.c.data)
            .select_from(_EVENT.outerjoin(_PAYLOAD, _PAYLOAD.c.event == _EVENT.c.id))
            .where(_EVENT.c.project_id == bounded(project_id), _EVENT.c.id > bindparam("after"))
            .order_by(_EVENT.c.id)
            .limit(max(limit, 1))
        )
        with self._database.reading() as connection:
            live_project(connection, schema.project.c.id == bounded(project_id))
            while rows := connection.execute(query, {"after": bounded(after)}).all():
                alive = _alive(connection, {row.issue_id for row in rows})
                if found := [
                    _filed_event(row, unpacked(connection, self._dictionaries, row))
                    for row in rows
                    if row.issue_id in alive
                ]:
                    return found
                after = rows[-1].id  # of issues that were deleted and wait to be purged
        return ()

    def owners(self, project_id: ProjectId, keys: Collection[GroupingKey]) -> Mapping[GroupingKey, IssueId]:
        """See `rustrak_core.ports.HistoryStore.owners`."""
        with self._database.reading() as connection:
            return _owners(connection, project_id, keys)

    def origins(self, project_id: ProjectId) -> Mapping[GroupingKey, IssueId]:
        """See `rustrak_core.ports.HistoryStore.origins`."""
        merged = (_ISSUE.c.project_id == bounded(project_id), _ISSUE.c.leads_to.is_not(None))
        leading = select(_ISSUE.c.leads_to).where(*merged).distinct()
        mine = (_KEY.c.project_id == bounded(project_id), _KEY.c.origin_id.is_not(None))
        with self._database.reading() as connection:
            roots = connection.execute(leading).scalars().all()
            return {
                _key(row.mechanism, row.value): IssueId(row.origin_id)
                for chunk in chunks(roots)
                for row in connection.execute(select(_KEY).where(_KEY.c.issue_id.in_(chunk), *mine))
            }

    def refile(
        self, project_id: ProjectId, refiling: Refiling, *, now: datetime, confirm: Confirm | None = None
    ) -> Refiled:
        """See `rustrak_core.ports.HistoryStore.refile`."""
        places = [place for place, _key in refiling.moves.values()]
        keys = {*refiling.targets, *refiling.dropped, *refiling.heirs.values()}
        concerned = Concerned(
            numbers=refiling.moves.keys(),
            keys=keys.union(key for _place, key in refiling.moves.values()),
            issues={place.issue_id for place in places}.union(refiling.targets.values(), refiling.heirs),
            retiring=refiling.heirs.keys(),
        )

        def work(connection: Connection) -> Refiled:
            shuffle = _load(connection, project_id, concerned)
            refiled = shuffle.refile(refiling)
            if refiled:
                write_shuffle(connection, shuffle, to_micros(now))
                if confirm is not None:
                    confirm(refiled)
            return refiled

        return self._database.write(work)

    def revert(self, project_id: ProjectId, refiled: Refiled, *, now: datetime) -> int:
        """See `rustrak_core.ports.HistoryStore.revert`."""
        concerned = Concerned(
            numbers=[number for numbers in refiled.moved.values() for number in numbers],
            keys={*refiled.learned, *refiled.dropped, *refiled.handed},
            issues={place.issue_id for pair in refiled.moved for place in pair}.union(
                refiled.learned.values(), refiled.dropped.values(), refiled.opened, refiled.retired
            ),
        )

        def work(connection: Connection) -> int:
            shuffle = _load(connection, project_id, concerned)
            moved = shuffle.revert(refiled)
            write_shuffle(connection, shuffle, to_micros(now))
            return moved

        return self._database.write(work)

    def settle(self, project_id: ProjectId) -> bool:
        """See `rustrak_core.ports.HistoryStore.settle`."""
        return settle_one(self._database, self._dictionaries, project_id)


@attrs.frozen(kw_only=True)
class Concerned:
    """What a shuffle is about: numbers of events, keys, issues, and those of them that may be left without events."""

    numbers: Collection[int]
    keys: Collection[GroupingKey]
    issues: Collection[int]
    retiring: Collection[int] = ()


def _load(connection: Connection, project_id: ProjectId, concerned: Concerned) -> Shuffle:
    """Return all that is concerned, as it is now, the project locked."""
    project = live_project(connection, schema.project.c.id == bounded(project_id), lock=True)
    owners = _owners(connection, project.id, concerned.keys)
    for project_of, value, mechanism, issue in bulk.find(
        connection, _KEY, _KEY_COLUMNS, ("issue_id",), concerned.retiring
    ):
        if project_of == project.id:
            owners[_key(mechanism, value)] = IssueId(issue)
    places = {
        number: Place(IssueId(issue), _key(mechanism, value))
        for number, project_of, issue, mechanism, value in bulk.find(
            connection, _EVENT, _PLACE, ("id",), concerned.numbers
        )
        if project_of == project.id
    }
    issues = {*concerned.issues, *owners.values(), *(place.issue_id for place in places.values())}
    live: dict[int, IssueRow] = {}
    retired: dict[int, tuple[IssueRow, IssueId]] = {}
    columns = (*ISSUE_COLUMNS, "deleted_at", "merged_into")
    for *values, deleted_at, merged_into in bulk.find(connection, _ISSUE, columns, ("id",), issues):
        row = issue_row(values)
        if row.project_id == project.id and deleted_at is None:
            if merged_into is None:
                live[row.id] = row
            else:
                retired[row.id] = row, IssueId(merged_into)
    return Shuffle(
        project=project,
        found={number: place for number, place in places.items() if place.issue_id in live},
        owners={key: issue for key, issue in owners.items() if issue in live},
        issues=live,
        retired=retired,
        new_ids=lambda count: allocate(connection, _ISSUE, count),
    )


def _owners(connection: Connection, project_id: int, keys: Collection[GroupingKey]) -> dict[GroupingKey, IssueId]:
    # Keys of an issue go with it, so that those which are there lead to live ones.
    values = {bytes.fromhex(key.value) for key in keys}
    found = {
        _key(mechanism, value): IssueId(issue)
        for project, value, mechanism, issue in bulk.find(connection, _KEY, _KEY_COLUMNS, ("value",), values)
        if project == project_id
    }
    return {key: found[key] for key in keys if key in found}


def _alive(connection: Connection, issues: Collection[int]) -> set[int]:
    found = bulk.find(connection, _ISSUE, ("id", "deleted_at"), ("id",), issues)
    return {issue for issue, deleted_at in found if deleted_at is None}


def _filed_event(row: Row[Any], content: bytes) -> FiledEvent:
    with unreadable("an event's details"):
        details = details_of(content)
    return FiledEvent(
        number=row.id,
        event_id=UUID(bytes=bytes(row.event_id)),
        issue_id=IssueId(row.issue_id),
        key=_key(row.mechanism, row.grouping_value),
        kind=details.kind,
        hints=details.hints,
        payload=payload_of(content),
    )


def _key(mechanism: str, value: bytes) -> GroupingKey:
    return GroupingKey(mechanism=mechanism, value=bytes(value).hex())
