"""Issues whose events were moved are made to say of them what is right."""

from array import array
from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, select, update

from rustrak_core.project import ProjectId
from rustrak_storage.filing import IssueRow
from rustrak_storage.refiling import Facts
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.counted import numbered
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.keyset import bounded
from rustrak_storage.sql.projects import live_project
from rustrak_storage.sql.recount import forget
from rustrak_storage.sql.rows import issue_row, save_issue, select_issues
from rustrak_storage.sql.shuffles import note_unsettled

_EVENT = schema.event
_ISSUE = schema.issue
_UNSETTLED = schema.unsettled
_INSERT_FACET = insert(schema.facet)
_INSERT_FACET_KEY = insert(schema.facet_key)
_INSERT_USER = insert(schema.issue_user)


def settle_one(database: Database, dictionaries: Dictionaries, project_id: ProjectId) -> bool:
    """See `rustrak_core.ports.HistoryStore.settle`.

    An issue may have a million events, so that they are read before the project is locked; then only those are that
    came to the issue meanwhile.
    """
    with database.reading() as connection:
        live_project(connection, schema.project.c.id == bounded(project_id))
        mine = _UNSETTLED.c.project_id == bounded(project_id)
        query = select(_UNSETTLED.c.issue_id).where(mine).order_by(_UNSETTLED.c.issue_id)
        issue = connection.execute(query.limit(1)).scalar()
        if issue is None:
            return False
        numbers = _numbers(connection, issue)
        known = _gathered(connection, dictionaries, Facts(), numbers)
    # What is added to it in the transaction must not be there when that is tried again.
    pending: list[Facts] = [known]

    def work(connection: Connection) -> None:
        live_project(connection, schema.project.c.id == bounded(project_id), lock=True)
        now = _numbers(connection, issue)
        added = set(now).difference(numbers)
        if pending and len(now) == len(numbers) + len(added):
            facts = _gathered(connection, dictionaries, pending.pop(), sorted(added))
        else:
            facts = _gathered(connection, dictionaries, Facts(), now)
        _write(connection, issue, facts)
        connection.execute(delete(_UNSETTLED).where(_UNSETTLED.c.issue_id == issue))

    database.write(work)
    return True


def _numbers(connection: Connection, issue: int) -> "array[int]":
    """Return the events of an issue, in the order in which they came."""
    return array("q", sorted(connection.execute(select(_EVENT.c.id).where(_EVENT.c.issue_id == issue)).scalars()))


def _gathered(connection: Connection, dictionaries: Dictionaries, facts: Facts, numbers: Collection[int]) -> Facts:
    for event in numbered(connection, dictionaries, numbers):
        facts.add(event)
    return facts


def _write(connection: Connection, issue: int, facts: Facts) -> None:
    forget(connection, issue)
    query = select_issues().add_columns(_ISSUE.c.deleted_at, _ISSUE.c.leads_to).where(_ISSUE.c.id == issue)
    found = connection.execute(query).one_or_none()
    if found is None or found.deleted_at is not None:
        return
    if found.leads_to is not None:  # it was merged meanwhile, with what it said of its events
        note_unsettled(connection, found.project_id, [found.leads_to])
        return
    row = issue_row(found)
    if facts.count == 0:
        _remove(connection, row)
        return
    facts.fill(row)
    row.era += 1
    save_issue(connection, row)
    users = [(issue, user) for user in sorted(facts.users)]
    bulk.write(connection, _INSERT_USER, ("issue_id", "user_hash"), users)
    values = sorted(
        (issue, key, value, row.project_id, count)
        for key, kept in facts.facets.items()
        for value, count in kept.items()
    )
    bulk.write(connection, _INSERT_FACET, ("issue_id", "key", "value", "project_id", "count"), values)
    keys = sorted((issue, key, len(kept), facts.other.get(key, 0)) for key, kept in facts.facets.items())
    bulk.write(connection, _INSERT_FACET_KEY, ("issue_id", "key", "value_count", "other"), keys)


def _remove(connection: Connection, row: IssueRow) -> None:
    """Remove a live issue that has no events any more: those that were its own were deleted with another issue."""
    keys, project = schema.grouping_key, schema.project
    connection.execute(delete(keys).where(keys.c.issue_id == row.id))
    connection.execute(update(_ISSUE).where(_ISSUE.c.id == row.id).values(deleted_at=row.last_seen, event_count=0))
    connection.execute(insert(schema.doomed).values(kind="issue", id=row.id))
    fewer = update(project).where(project.c.id == row.project_id)
    connection.execute(fewer.values(issue_count=project.c.issue_count - 1))
