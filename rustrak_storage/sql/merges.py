"""Merging issues in SQL, and taking them apart. Events move, so that every list stays as quick as it was."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, exists, func, insert, literal, select, update

from rustrak_core.errors import UnknownIssueError
from rustrak_core.issue import Issue, IssueId, ShortId
from rustrak_core.ports import MergeStore
from rustrak_core.times import to_micros
from rustrak_storage.batch import FacetKey
from rustrak_storage.filing import IssueRow
from rustrak_storage.merging import Branch, Node, check_count, to_merge, to_unmerge
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.base import SqlPart
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.facets import keep_facets
from rustrak_storage.sql.named import live_issue, lock_project, node, shown
from rustrak_storage.sql.recount import forget, recount, recount_rest
from rustrak_storage.sql.rows import issue_row, save_issue, select_issues
from rustrak_storage.sql.upsert import adding

_ISSUE = schema.issue
_PROJECT = schema.project
_KEY = schema.grouping_key
_EVENT = schema.event
_USER = schema.issue_user


class SqlMerges(SqlPart, MergeStore):
    """See `rustrak_core.ports.MergeStore`."""

    _dictionaries: Dictionaries

    def merge_issues(self, target: IssueId | ShortId, sources: Sequence[IssueId | ShortId], *, now: datetime) -> Issue:
        """See `rustrak_core.ports.MergeStore.merge_issues`."""
        check_count(sources)

        def work(connection: Connection) -> Issue:
            into, named = _locked(connection, target, sources)
            merged = to_merge(into, named)
            row, slug = live_issue(connection, into.root)
            if merged:
                _merge(connection, row, [live_issue(connection, number)[0] for number in merged], to_micros(now))
            return shown(connection, row, slug)

        return self._database.write(work)

    def unmerge_issues(self, target: IssueId | ShortId, sources: Sequence[IssueId | ShortId]) -> Sequence[Issue]:
        """See `rustrak_core.ports.MergeStore.unmerge_issues`."""
        check_count(sources)

        def work(connection: Connection) -> list[Issue]:
            out_of, named = _locked(connection, target, sources)
            leading = select(_ISSUE.c.id, _ISSUE.c.merged_into).where(_ISSUE.c.leads_to == out_of.root)
            parents = {row.id: row.merged_into for row in connection.execute(leading)}
            branches = to_unmerge(named, parents)
            row, _slug = live_issue(connection, out_of.root)
            for branch in branches:
                _take_out(connection, self._dictionaries, row, branch)
            return [shown(connection, *live_issue(connection, each.id)) for each in dict.fromkeys(named)]

        return self._database.write(work)


def _locked(connection: Connection, target: int | str, sources: Sequence[int | str]) -> tuple[Node, list[Node]]:
    """Return what was named, while no other transaction records in the target's project.

    Raises:
        UnknownIssueError: one of them does not exist, or was deleted.
    """
    lock_project(connection, node(connection, target).project_id)
    named = []
    for index, source in enumerate(sources):
        try:
            named.append(node(connection, source))
        except UnknownIssueError as error:
            raise UnknownIssueError(f"issue_ids[{index}]: {error}") from None
    return node(connection, target), named


def _merge(connection: Connection, row: IssueRow, sources: Sequence[IssueRow], now: int) -> None:
    """Merge live issues into the one of *row*."""
    _regress(connection, row, sources)
    numbers = [source.id for source in sources]
    for source in sources:
        row.absorb(source)
        _add_facets(connection, row, source.id)
    row.user_count = _add_users(connection, row.id, numbers)
    for number in numbers:
        forget(connection, number)
    # Assigned in this order: MariaDB reads what was assigned before.
    origin = (_KEY.c.origin_id, func.coalesce(_KEY.c.origin_id, _KEY.c.issue_id))
    connection.execute(
        update(_KEY).where(_KEY.c.issue_id.in_(numbers)).ordered_values(origin, (_KEY.c.issue_id, row.id))
    )
    connection.execute(update(_EVENT).where(_EVENT.c.issue_id.in_(numbers)).values(issue_id=row.id))
    connection.execute(update(_ISSUE).where(_ISSUE.c.leads_to.in_(numbers)).values(leads_to=row.id))
    led = {"merged_into": row.id, "merged_at": now, "leads_to": row.id}
    connection.execute(update(_ISSUE).where(_ISSUE.c.id.in_(numbers)).values(led))
    save_issue(connection, row)
    _count_issues(connection, row.project_id, -len(numbers))


def _regress(connection: Connection, row: IssueRow, sources: Sequence[IssueRow]) -> None:
    """Reopen a resolved issue if an open source has an event received since; else it was resolved with the last."""
    opened = [source.id for source in sources if source.state == "open"]
    if row.resolved_at is not None and not _reopen(connection, row, opened):
        row.resolved_at = max([row.resolved_at, *(source.resolved_at or 0 for source in sources)])


def _reopen(connection: Connection, row: IssueRow, issues: Sequence[int]) -> bool:
    """Reopen the resolved issue of *row* if an event of *issues* was received since; return whether one was."""
    since = (_EVENT.c.issue_id.in_(issues), _EVENT.c.received_at > row.resolved_at)
    first = select(_EVENT.c.received_at, _EVENT.c.release).where(*since).order_by(_EVENT.c.received_at, _EVENT.c.id)
    event = connection.execute(first.limit(1)).one_or_none()
    return event is not None and row.reopen(event.received_at, event.release)


def _add_facets(connection: Connection, row: IssueRow, source: int) -> None:
    table, keys = schema.facet, schema.facet_key
    rows = connection.execute(select(table.c.key, table.c.value, table.c.count).where(table.c.issue_id == source))
    sums: dict[FacetKey, int] = {(row.id, key, value): count for key, value, count in rows}
    keep_facets(connection, sums, row.project_id)
    found = connection.execute(select(keys.c.key, keys.c.other).where(keys.c.issue_id == source, keys.c.other > 0))
    other = [(row.id, key, 0, count) for key, count in found]
    names = ("issue_id", "key", "value_count", "other")
    bulk.write(connection, adding(connection.dialect.name, keys, "other"), names, other)


def _add_users(connection: Connection, target: int, sources: Sequence[int]) -> int:
    """Make the users of *sources* users of *target*; return how many it has then."""
    there = _USER.alias("there")
    has = exists().where(there.c.issue_id == target, there.c.user_hash == _USER.c.user_hash)
    new = select(literal(target), _USER.c.user_hash).where(_USER.c.issue_id.in_(sources), ~has).distinct()
    connection.execute(insert(_USER).from_select(["issue_id", "user_hash"], new))
    return connection.execute(select(func.count()).where(_USER.c.issue_id == target)).scalar_one()


def _take_out(connection: Connection, dictionaries: Dictionaries, row: IssueRow, branch: Branch) -> None:
    """Take an issue, and what stays merged into it, out of the one of *row*."""
    top = branch.top
    for chunk in chunks(branch.all):
        own = (_KEY.c.issue_id == row.id, _KEY.c.origin_id.in_(chunk))
        connection.execute(update(_KEY).where(*own).values(issue_id=top))
    connection.execute(update(_KEY).where(_KEY.c.issue_id == top, _KEY.c.origin_id == top).values(origin_id=None))
    for chunk in chunks(branch.below):
        connection.execute(update(_ISSUE).where(_ISSUE.c.id.in_(chunk)).values(leads_to=top))
    alone = {"merged_into": None, "merged_at": None, "leads_to": None}
    connection.execute(update(_ISSUE).where(_ISSUE.c.id == top).values(alone))
    moved = _take_events(connection, row, top)
    back = issue_row(connection.execute(select_issues().where(_ISSUE.c.id == top)).one())
    if back.resolved_at is not None:
        _reopen(connection, back, [top])
    users = recount(connection, dictionaries, back, out_of=row.id)
    recount_rest(connection, dictionaries, row, events=moved, users=users)
    _count_issues(connection, row.project_id, 1)


def _take_events(connection: Connection, row: IssueRow, top: int) -> int:
    """Move the events that were filed by the keys of *top* to it; return how many there are."""
    by_its_key = exists().where(
        _KEY.c.value == _EVENT.c.grouping_value,
        _KEY.c.project_id == row.project_id,
        _KEY.c.mechanism == _EVENT.c.mechanism,
        _KEY.c.issue_id == top,
    )
    moved = update(_EVENT).where(_EVENT.c.issue_id == row.id, by_its_key).values(issue_id=top)
    return connection.execute(moved).rowcount


def _count_issues(connection: Connection, project_id: int, more: int) -> None:
    count = _PROJECT.c.issue_count + more
    connection.execute(update(_PROJECT).where(_PROJECT.c.id == project_id).values(issue_count=count))
