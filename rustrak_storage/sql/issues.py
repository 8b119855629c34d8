"""Issues in SQL: recording, lists, states, deletion."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, insert, literal, or_, select, update

from rustrak_core.accepted import Count, SpoolAdvance
from rustrak_core.digested import Digested
from rustrak_core.issue import Issue, IssueId, IssueState, ShortId
from rustrak_core.page import IssueQuery, Keyset, Page
from rustrak_core.ports import IssueStore, Recorded
from rustrak_core.project import ProjectId
from rustrak_core.times import to_micros
from rustrak_storage.filing import short_id
from rustrak_storage.merging import refuse_merged
from rustrak_storage.sql import schema
from rustrak_storage.sql.base import SqlPart
from rustrak_storage.sql.keyset import behind, bounded, ordered
from rustrak_storage.sql.named import live_issue, locked_issue, merged_into, node, shown
from rustrak_storage.sql.projects import live_project
from rustrak_storage.sql.record import Recorder
from rustrak_storage.sql.rows import issue_row, select_issues
from rustrak_storage.texts import clean

_TABLE = schema.issue
_PROJECT = schema.project
_FEW = 500
"""Issues with a facet that are looked up one by one rather than met along the sorted list."""


class SqlIssues(SqlPart, IssueStore):
    """See `rustrak_core.ports.IssueStore`."""

    _recorder: Recorder

    def record(
        self, events: Sequence[Digested], *, counts: Sequence[Count] = (), advance: SpoolAdvance | None = None
    ) -> Sequence[Recorded]:
        """See `rustrak_core.ports.IssueStore.record`."""
        return self._recorder.record(events, counts, advance)

    def mechanisms(self, project_id: ProjectId) -> Sequence[str]:
        """See `rustrak_core.ports.IssueStore.mechanisms`."""
        with self._database.reading() as connection:
            return mechanisms_of(connection, project_id)

    def issues(self, query: IssueQuery) -> Page[Issue]:
        """See `rustrak_core.ports.IssueStore.issues`."""
        with self._database.reading() as connection:
            project = live_project(connection, _PROJECT.c.id == bounded(query.project_id))
            rare, facets = _facets(connection, query)
            statement = _page(query, rare).where(*_conditions(query), *facets)
            found = [issue_row(row) for row in connection.execute(statement)]
            chosen = found[: query.limit]
            merged = merged_into(connection, project.slug, [row.id for row in chosen])
        after = None
        if len(found) > query.limit:
            after = Keyset(values=(getattr(chosen[-1], query.sort.value), chosen[-1].id))
        return Page(items=[row.to_issue(project.slug, merged.get(row.id, ())) for row in chosen], after=after)

    def issue(self, ref: IssueId | ShortId) -> Issue:
        """See `rustrak_core.ports.IssueStore.issue`."""
        with self._database.reading() as connection:
            return shown(connection, *live_issue(connection, ref))

    def set_issue_state(self, ref: IssueId | ShortId, state: IssueState, *, now: datetime) -> Issue:
        """See `rustrak_core.ports.IssueStore.set_issue_state`."""

        def work(connection: Connection) -> Issue:
            row, slug = locked_issue(connection, ref)
            if row.set_state(state, now):
                values = {"state": row.state, "resolved_at": row.resolved_at}
                connection.execute(update(_TABLE).where(_TABLE.c.id == row.id).values(values))
            return shown(connection, row, slug)

        return self._database.write(work)

    def delete_issue(self, ref: IssueId | ShortId, *, now: datetime) -> Issue:
        """See `rustrak_core.ports.IssueStore.delete_issue`."""

        def work(connection: Connection) -> Issue:
            row, slug = locked_issue(connection, ref)
            refuse_merged(node(connection, ref), short_id(slug, row.number))
            before = shown(connection, row, slug)
            keys = schema.grouping_key
            it = or_(_TABLE.c.id == row.id, _TABLE.c.leads_to == row.id)
            connection.execute(update(_TABLE).where(it).values(deleted_at=to_micros(now)))
            connection.execute(delete(keys).where(keys.c.issue_id == row.id))
            fewer = update(_PROJECT).where(_PROJECT.c.id == row.project_id)
            connection.execute(fewer.values(issue_count=_PROJECT.c.issue_count - 1))
            doomed = select(literal("issue"), _TABLE.c.id).where(it)
            connection.execute(insert(schema.doomed).from_select(["kind", "id"], doomed))
            return before

        return self._database.write(work)


def mechanisms_of(connection: Connection, project_id: ProjectId) -> Sequence[str]:
    """Return the mechanisms in grouping keys of a project's issues, sorted."""
    key, issue = schema.grouping_key, schema.issue
    # By way of the issues, since an index leads to those of a project, and from an issue to its keys.
    mine = (issue.c.project_id == bounded(project_id), issue.c.deleted_at.is_(None))
    statement = select(key.c.mechanism).join(issue, issue.c.id == key.c.issue_id).where(*mine).distinct()
    return sorted(connection.execute(statement).scalars())


def _page(query: IssueQuery, rare: set[int] | None) -> Select[Any]:
    columns: list[ColumnElement[Any]] = [_TABLE.c[query.sort.value], _TABLE.c.id]
    statement = select_issues().limit(query.limit + 1)
    if rare is None:
        statement = statement.where(_TABLE.c.project_id == query.project_id)
    else:
        # Sums, which no index holds: SQLite would walk the sorted list of all issues rather than fetch the few.
        columns = [column + 0 for column in columns]
        statement = statement.where(_TABLE.c.id.in_(rare), _TABLE.c.project_id + 0 == query.project_id)
    if query.after is not None:
        statement = statement.where(behind(columns, query.after.values, descending=query.descending))
    return statement.order_by(*ordered(columns, descending=query.descending))


def _conditions(query: IssueQuery) -> Iterator[ColumnElement[bool]]:
    yield _TABLE.c.deleted_at.is_(None)
    yield _TABLE.c.leads_to.is_(None)
    if query.state is not None:
        yield _TABLE.c.state == query.state.value
    for word in query.words:
        yield _TABLE.c.search.contains(clean(word, len(word)).casefold(), autoescape=True)


def _facets(connection: Connection, query: IssueQuery) -> tuple[set[int] | None, list[ColumnElement[bool]]]:
    """Return the issues that have all rare values asked for, None where none is rare; and what the others ask."""
    table = schema.facet
    wanted = [("environment", query.environment), ("release", query.release), ("level", query.level)]
    wanted += [(f"tag:{key}", value) for key, value in query.tags]
    rare: set[int] | None = None
    frequent: list[ColumnElement[bool]] = []
    for key, value in [(clean(key, len(key)), clean(value, len(value))) for key, value in wanted if value is not None]:
        has = and_(table.c.project_id == query.project_id, table.c.key == key, table.c.value == value)
        some = set(connection.execute(select(table.c.issue_id).where(has).limit(_FEW + 1)).scalars())
        if len(some) <= _FEW:
            rare = some if rare is None else rare & some
        else:
            of_issue = table.c.issue_id == _TABLE.c.id
            frequent.append(exists().where(of_issue, table.c.key == key, table.c.value == value))
    return rare, frequent
