"""How projects want their events grouped, in SQL."""

from datetime import datetime
from typing import Any

import attrs
import orjson
from sqlalchemy import Connection, insert, select, update

from rustrak_core.grouping import mechanisms_in
from rustrak_core.page import Keyset, ListQuery, Page
from rustrak_core.ports import GroupingStore, ProjectGrouping
from rustrak_core.project import ProjectId
from rustrak_core.times import from_micros, to_micros
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.base import SqlPart
from rustrak_storage.sql.engine import unreadable
from rustrak_storage.sql.issues import mechanisms_of
from rustrak_storage.sql.keyset import behind, bounded
from rustrak_storage.sql.projects import live_project
from rustrak_storage.sql.upsert import adding

_TABLE = schema.grouping
_CHANGES = "grouping"


class SqlGrouping(SqlPart, GroupingStore):
    """See `rustrak_core.ports.GroupingStore`."""

    def grouping(self, project_id: ProjectId) -> ProjectGrouping:
        """See `rustrak_core.ports.GroupingStore.grouping`."""
        with self._database.reading() as connection:
            return _of(connection, project_id)[0]

    def groupings(self, query: ListQuery) -> Page[ProjectGrouping]:
        """See `rustrak_core.ports.GroupingStore.groupings`."""
        project, first = schema.project, query.after.values if query.after is not None else (0,)
        rows = (
            select(_TABLE)
            .join(project, project.c.id == _TABLE.c.project_id)
            .where(project.c.deleted_at.is_(None), _TABLE.c.rules != "")
            .where(behind([_TABLE.c.project_id], first, descending=False))
            .order_by(_TABLE.c.project_id)
            .limit(query.limit + 1)
        )
        with self._database.reading() as connection:
            found = [_value(row) for row in connection.execute(rows)]
        chosen = found[: query.limit]
        after = Keyset(values=(chosen[-1].project_id,)) if len(found) > query.limit else None
        return Page(items=chosen, after=after)

    def set_grouping(
        self, project_id: ProjectId, rules: str, *, now: datetime, instead_of: str | None = None
    ) -> ProjectGrouping:
        """See `rustrak_core.ports.GroupingStore.set_grouping`."""

        def work(connection: Connection) -> ProjectGrouping:
            known, is_kept = _of(connection, project_id, lock=True)
            if instead_of is not None and known.rules != instead_of:
                return known
            changed = attrs.evolve(known, rules=rules, changed_at=from_micros(to_micros(now)))
            _keep(connection, changed, is_kept=is_kept)
            more = adding(connection.dialect.name, schema.state, "value")
            bulk.write(connection, more, ("name", "value"), [(_CHANGES, 1)])
            return changed

        return self._database.write(work)

    def use_mechanism(self, project_id: ProjectId, mechanism: str) -> ProjectGrouping:
        """See `rustrak_core.ports.GroupingStore.use_mechanism`."""

        def work(connection: Connection) -> ProjectGrouping:
            known, is_kept = _of(connection, project_id, lock=True)
            changed = attrs.evolve(known, used=tuple(dict.fromkeys((*known.used, mechanism))))
            if changed != known or not is_kept:
                _keep(connection, changed, is_kept=is_kept)
            return changed

        return self._database.write(work)

    def grouping_changes(self) -> int:
        """See `rustrak_core.ports.GroupingStore.grouping_changes`."""
        table = schema.state
        with self._database.reading() as connection:
            return connection.execute(select(table.c.value).where(table.c.name == _CHANGES)).scalar() or 0


def _of(connection: Connection, project_id: ProjectId, *, lock: bool = False) -> tuple[ProjectGrouping, bool]:
    """Return how a project wants its events grouped, and whether a row says so."""
    number = ProjectId(live_project(connection, schema.project.c.id == bounded(project_id), lock=lock).id)
    row: Any = connection.execute(select(_TABLE).where(_TABLE.c.project_id == number)).one_or_none()
    if row is None:
        return ProjectGrouping(project_id=number, used=mechanisms_in(mechanisms_of(connection, number))), False
    return _value(row), True


def _value(row: Any) -> ProjectGrouping:
    with unreadable("how a project's events are grouped"):
        used = tuple(orjson.loads(row.used))
    changed_at = None if row.changed_at is None else from_micros(row.changed_at)
    return ProjectGrouping(project_id=ProjectId(row.project_id), rules=row.rules, used=used, changed_at=changed_at)


def _keep(connection: Connection, grouping: ProjectGrouping, *, is_kept: bool) -> None:
    row = {
        "rules": grouping.rules,
        "used": orjson.dumps(grouping.used).decode(),
        "changed_at": None if grouping.changed_at is None else to_micros(grouping.changed_at),
    }
    if is_kept:
        connection.execute(update(_TABLE).where(_TABLE.c.project_id == grouping.project_id).values(row))
    else:
        connection.execute(insert(_TABLE).values(project_id=grouping.project_id, **row))
