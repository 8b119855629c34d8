"""Issues as somebody names them: by number or short id, also of one that was merged into another."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select

from rustrak_core.errors import UnknownIssueError
from rustrak_core.issue import MERGED_MAX, Issue, IssueId, MergedIssue
from rustrak_core.times import from_micros
from rustrak_storage.filing import IssueRow, short_id, split_short_id
from rustrak_storage.merging import Node
from rustrak_storage.sql import schema
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.keyset import bounded
from rustrak_storage.sql.rows import issue_row, select_issues

_TABLE = schema.issue
_PROJECT = schema.project
_NAMED = schema.issue.alias("named")
"""The issue that was named, which may lead to another."""

_JOINED = _NAMED.join(_PROJECT, _PROJECT.c.id == _NAMED.c.project_id).join(
    _TABLE, _TABLE.c.id == func.coalesce(_NAMED.c.leads_to, _NAMED.c.id)
)
_ALIVE = (_TABLE.c.deleted_at.is_(None), _PROJECT.c.deleted_at.is_(None))


def live_issue(connection: Connection, ref: int | str) -> tuple[IssueRow, str]:
    """Return the issue that answers for *ref*, and its project's slug.

    Raises:
        UnknownIssueError: there is none, or it or its project was deleted.
    """
    query = select_issues().add_columns(_PROJECT.c.slug).select_from(_JOINED).where(_condition(ref), *_ALIVE)
    row = _found(connection.execute(query).one_or_none())
    return issue_row(row), row.slug


def locked_issue(connection: Connection, ref: int | str) -> tuple[IssueRow, str]:
    """Return the issue as `live_issue` does, while no other transaction records in its project."""
    row, _slug = live_issue(connection, ref)
    lock_project(connection, row.project_id)
    return live_issue(connection, ref)


def lock_project(connection: Connection, project_id: int) -> None:
    """Let no other transaction write to the project until this one ends."""
    connection.execute(select(_PROJECT.c.id).where(_PROJECT.c.id == project_id).with_for_update())


def node(connection: Connection, ref: int | str) -> Node:
    """Return the issue that *ref* names, merged or not.

    Raises:
        UnknownIssueError: there is none, or the issue that answers for it or its project was deleted.
    """
    query = select(_NAMED.c.id, _NAMED.c.project_id, _TABLE.c.id.label("root")).select_from(_JOINED)
    row = _found(connection.execute(query.where(_condition(ref), *_ALIVE)).one_or_none())
    return Node(id=row.id, project_id=row.project_id, root=row.root)


def shown(connection: Connection, row: IssueRow, slug: str) -> Issue:
    """Return the issue as callers see it."""
    return row.to_issue(slug, merged_into(connection, slug, [row.id]).get(row.id, ()))


def merged_into(connection: Connection, slug: str, issues: Collection[int]) -> dict[int, tuple[MergedIssue, ...]]:
    """Return what was merged into *issues* of one project, the last one first, as far as an issue names them."""
    newest_first = (_TABLE.c.merged_at.desc(), _TABLE.c.id.desc())
    place = func.row_number().over(partition_by=_TABLE.c.leads_to, order_by=newest_first).label("place")
    found: dict[int, list[MergedIssue]] = defaultdict(list)
    for chunk in chunks(issues):
        columns = (_TABLE.c.id, _TABLE.c.number, _TABLE.c.merged_at, _TABLE.c.leads_to, place)
        each = select(*columns).where(_TABLE.c.leads_to.in_(chunk)).subquery()
        few = select(each).where(each.c.place <= MERGED_MAX).order_by(each.c.leads_to, each.c.place)
        for row in connection.execute(few):
            found[row.leads_to].append(
                MergedIssue(
                    id=IssueId(row.id), short_id=short_id(slug, row.number), merged_at=from_micros(row.merged_at)
                )
            )
    return {issue: tuple(merged) for issue, merged in found.items()}


def _found(row: Any) -> Any:
    if row is None:
        raise UnknownIssueError("no such issue; list them to find its id")
    return row


def _condition(ref: int | str) -> ColumnElement[bool]:
    if isinstance(ref, int):
        return _NAMED.c.id == bounded(ref)
    slug, number = split_short_id(ref)
    return and_(_PROJECT.c.slug == slug, _NAMED.c.number == number)
