"""How far backfills are, in SQL, and the keys that they have found."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import Backfill, BackfillStage, BackfillStore
from rustrak_core.project import ProjectId
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.base import SqlPart
from rustrak_storage.sql.keyset import bounded
from rustrak_storage.sql.projects import live_project

_TABLE = schema.backfill
_NEWER = schema.newer_key
_KEY = schema.grouping_key
_KEY_COLUMNS = ("project_id", "value", "mechanism", "issue_id")
_INSERT_NEWER = insert(_NEWER)
_INSERT_KEY = insert(_KEY)
_ONE = ("b_project_id", "b_value", "b_mechanism")
_THAT = (
    _NEWER.c.project_id == bindparam("b_project_id"),
    _NEWER.c.value == bindparam("b_value"),
    _NEWER.c.mechanism == bindparam("b_mechanism"),
)
_OF_SEVERAL = update(_NEWER).where(*_THAT)
_TAKE = delete(_NEWER).where(*_THAT)

KeyRow = tuple[int, bytes, str]


class SqlBackfill(SqlPart, BackfillStore):
    """See `rustrak_core.ports.BackfillStore`."""

    def backfill(self, project_id: ProjectId) -> Backfill | None:
        """See `rustrak_core.ports.BackfillStore.backfill`."""
        with self._database.reading() as connection:
            return _of(connection, project_id)

    def move_backfill(
        self,
        before: Backfill | None,
        after: Backfill,
        keys: Mapping[GroupingKey, Collection[IssueId]] | None = None,
    ) -> bool:
        """See `rustrak_core.ports.BackfillStore.move_backfill`."""

        def work(connection: Connection) -> bool:
            project = live_project(connection, schema.project.c.id == bounded(after.project_id), lock=True).id
            if _of(connection, project) != before:
                return False
            if before is not None and before.mechanism != after.mechanism:
                connection.execute(delete(_NEWER).where(_NEWER.c.project_id == project))
            values = {"mechanism": after.mechanism, "stage": after.stage.value, "upto": after.upto}
            if before is None:
                connection.execute(insert(_TABLE).values(project_id=project, **values))
            else:
                connection.execute(update(_TABLE).where(_TABLE.c.project_id == project).values(values))
            _note(connection, project, keys or {})
            return True

        return self._database.write(work)

    def attach_newer_keys(self, project_id: ProjectId, *, limit: int = 1000) -> int:
        """See `rustrak_core.ports.BackfillStore.attach_newer_keys`."""

        def work(connection: Connection) -> int:
            project = live_project(connection, schema.project.c.id == bounded(project_id), lock=True).id
            query = select(_NEWER).where(_NEWER.c.project_id == project).limit(max(limit, 1))
            rows = [(project, bytes(row.value), row.mechanism, row.issue_id) for row in connection.execute(query)]
            taken = _known(connection, _KEY, [row[:3] for row in rows])
            issues = {issue for *_key, issue in rows if issue is not None}
            found = bulk.find(connection, schema.issue, ("id", "project_id", "deleted_at"), ("id",), issues)
            alive = {issue for issue, of_project, deleted_at in found if deleted_at is None and of_project == project}
            fresh = [row for row in rows if row[:3] not in taken and row[3] in alive]
            bulk.write(connection, _INSERT_KEY, _KEY_COLUMNS, sorted(fresh))
            bulk.write(connection, _TAKE, _ONE, [row[:3] for row in rows])
            return len(rows)

        return self._database.write(work)


def _of(connection: Connection, project_id: int) -> Backfill | None:
    row = connection.execute(select(_TABLE).where(_TABLE.c.project_id == bounded(project_id))).one_or_none()
    if row is None:
        return None
    return Backfill(
        project_id=ProjectId(row.project_id), mechanism=row.mechanism, stage=BackfillStage(row.stage), upto=row.upto
    )


def _note(connection: Connection, project: int, keys: Mapping[GroupingKey, Collection[IssueId]]) -> None:
    """Note keys: one of several issues, now or with what was noted before, is of none."""
    wanted: dict[KeyRow, int | None] = {
        (project, bytes.fromhex(key.value), key.mechanism): next(iter(issues)) if len(issues) == 1 else None
        for key, issues in keys.items()
        if issues
    }
    known = _known(connection, _NEWER, list(wanted))
    fresh = sorted(key for key in wanted if key not in known)
    several = sorted(key for key, issue in known.items() if issue is not None and issue != wanted[key])
    bulk.write(connection, _INSERT_NEWER, _KEY_COLUMNS, [(*key, wanted[key]) for key in fresh])
    bulk.write(connection, _OF_SEVERAL, ("issue_id", *_ONE), [(None, *key) for key in several])


def _known(connection: Connection, table: Table, keys: Collection[KeyRow]) -> dict[KeyRow, int | None]:
    """Return the rows of *table* that *keys* have, with their issues."""
    rows = bulk.find(connection, table, _KEY_COLUMNS, _KEY_COLUMNS[:3], set(keys))
    return {(project, bytes(value), mechanism): issue for project, value, mechanism, issue in rows}
