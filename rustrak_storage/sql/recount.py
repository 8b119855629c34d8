"""What an issue has by its events, made anew from these: when some were moved to it, or away."""

from collections import Counter
from collections.abc import Collection

from sqlalchemy import Connection, delete

from rustrak_storage.filing import Counted, IssueRow
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.counted import distinct_users, first_seen, newest, pages, release_at_end
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.facets import keep_facets, keep_users, take_facets
from rustrak_storage.sql.rows import save_issue

_USER = ("issue_id", "user_hash")
_OF_EVENTS = (schema.facet, schema.facet_key, schema.issue_user)


def recount(
    connection: Connection, dictionaries: Dictionaries, row: IssueRow, *, out_of: int | None = None
) -> set[bytes]:
    """Make counts, users, title, times, releases and facets of an issue anew from its events, all of which are read.

    *row* and the database have them afterwards; state and short id stay. An issue without events keeps title and times.

    Args:
        connection: In a transaction that holds the project's row.
        dictionaries: Those with which the events' details are unpacked.
        row: The issue.
        out_of: The issue that had these events before: what they had added to its facets is taken from them.

    Returns:
        Hashes of the issue's users.

    Raises:
        StoreUnavailableError: one of the events cannot be read, and why.
    """
    forget(connection, row.id)
    fresh = row.emptied()
    users: set[bytes] = set()
    for page in pages(connection, dictionaries, row.id):
        for event in page:
            fresh.count(event)
        sums = _sums(page)
        keep_facets(connection, {(row.id, *facet): n for facet, n in sums.items()}, row.project_id)
        if out_of is not None:
            take_facets(connection, {(out_of, *facet): n for facet, n in sums.items()})
        users |= {event.user for event in page if event.user is not None}
    fresh.user_count = keep_users(connection, [(row.id, user) for user in users], {row.id})[row.id]
    row.become(fresh)
    row.era += 1
    save_issue(connection, row)
    return users


def recount_rest(
    connection: Connection, dictionaries: Dictionaries, row: IssueRow, *, events: int, users: Collection[bytes]
) -> None:
    """Make anew what an issue has by its events after so many *events*, of these *users*, were moved away from it.

    Only what is left is looked at, and of that only as much as it takes; facets were taken by `recount` already.
    """
    fresh = row.emptied()
    latest = newest(connection, dictionaries, row.id)
    if latest is not None:
        fresh.count(latest)
        fresh.first_seen = first_seen(connection, row.id, latest.timestamp)
    fresh.event_count = row.event_count - events
    fresh.first_release, fresh.first_release_rank = release_at_end(connection, row.id, last=False)
    fresh.last_release, fresh.last_release_rank = release_at_end(connection, row.id, last=True)
    fresh.user_count = row.user_count - _take_users(connection, row.id, users)
    row.become(fresh)
    row.era += 1
    save_issue(connection, row)


def forget(connection: Connection, issue_id: int) -> None:
    """Remove the facets and the users of an issue."""
    for table in _OF_EVENTS:
        connection.execute(delete(table).where(table.c.issue_id == issue_id))


def _take_users(connection: Connection, issue_id: int, users: Collection[bytes]) -> int:
    """Remove those of *users* to whom no event of the issue happened; return how many."""
    gone = set(users)
    if gone:
        for user in distinct_users(connection, issue_id):
            gone.discard(user)
            if not gone:
                break
    rows = [(issue_id, user) for user in sorted(gone)]
    there = list(bulk.find(connection, schema.issue_user, _USER, _USER, rows))
    bulk.remove(connection, schema.issue_user, [tuple(row) for row in there])
    return len(there)


def _sums(page: Collection[Counted]) -> Counter[tuple[str, str]]:
    return Counter(facet for event in page for facet in event.facets)
