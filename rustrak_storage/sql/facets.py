"""What lists filter by, and distinct users: rows that a batch adds to, and new ones up to a bound."""

from array import array
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, insert, update

from rustrak_storage.batch import Batch, FacetKey
from rustrak_storage.filing import VALUES_MAX
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.upsert import adding

_KNOWN_MAX = 65_536
_USER = ("issue_id", "user_hash")
_FACET = ("issue_id", "key", "value")
_ROOM = ("value_count", "other")
_INSERT_USER = insert(schema.issue_user)
_OLD = ("b_issue", "b_key", "b_value")
_THAT = [column == bindparam(name) for column, name in zip(schema.facet.primary_key, _OLD, strict=True)]
_SET_FACET = update(schema.facet).where(*_THAT)
_DELETE_FACET = delete(schema.facet).where(*_THAT)


class Known:
    """Remembers rows that exist, so that they need not be looked up: most events bring nothing new.

    That holds without asking: rows of an issue go only with it, whose id is never used again, or where it loses events
    to another issue, which begins another era of it. Rows are remembered by their hash, with the era; one that is taken
    for another would only be counted as kept where it was to be counted as `other`.

    Each hash has one place, which it shares with others; the last one has it. That is half a megabyte; a set of as many
    would take six.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self._hashes = array("q")

    def __contains__(self, row: object) -> bool:
        """Tell whether *row* is known to exist."""
        number = hash(row)
        return bool(self._hashes) and self._hashes[number % _KNOWN_MAX] == number

    def update(self, hashes: Collection[int]) -> None:
        """Remember rows, once they are committed."""
        if not self._hashes:
            self._hashes = array("q", bytes(8 * _KNOWN_MAX))
            self._hashes[0] = 1  # 0 would be known there; 1 has another place, as 0 has everywhere else
        for number in hashes:
            self._hashes[number % _KNOWN_MAX] = number


def add_users(connection: Connection, batch: Batch, fresh: set[int], known: Known, learned: set[int]) -> None:
    """Keep the batch's users, and count those that are new to their issue in its row. *fresh* issues have none yet."""
    rows = {row.id: row for row in batch.opened} | batch.touched
    pairs = [(issue, user) for issue, users in batch.users().items() for user in users]
    unsure = [pair for pair in pairs if (*pair, rows[pair[0]].era) not in known]
    for issue, count in keep_users(connection, unsure, fresh).items():
        rows[issue].user_count += count
    learned.update(hash((*pair, rows[pair[0]].era)) for pair in unsure)


def keep_users(connection: Connection, pairs: Collection[tuple[int, bytes]], fresh: Container[int]) -> Counter[int]:
    """Keep users, as pairs of issue and hash, and return how many are new to each issue. *fresh* issues have none."""
    asked = [pair for pair in pairs if pair[0] not in fresh]
    there = {(issue, bytes(user)) for issue, user in bulk.find(connection, schema.issue_user, _USER, _USER, asked)}
    new = sorted(pair for pair in pairs if pair not in there)
    bulk.write(connection, _INSERT_USER, _USER, new)
    return Counter(issue for issue, _user in new)


def add_facets(connection: Connection, batch: Batch, fresh: set[int], known: Known, learned: set[int]) -> None:
    """Count the batch's facets, keeping at most `VALUES_MAX` values a key and issue."""
    issue_of = {filing.issue.id: filing.issue for filing in batch.filings}
    sums = batch.facets()
    unsure = [facet for facet in sums if (*facet, issue_of[facet[0]].era) not in known]
    projects = {number: row.project_id for number, row in issue_of.items()}
    refused = _keep(connection, sums, unsure, projects, fresh)
    learned.update(hash((*facet, issue_of[facet[0]].era)) for facet in unsure if facet not in refused)


def keep_facets(connection: Connection, sums: Mapping[FacetKey, int], project_id: int) -> None:
    """Add *sums* to facets of issues of one project, keeping at most `VALUES_MAX` values a key and issue."""
    projects = dict.fromkeys({facet[0] for facet in sums}, project_id)
    _keep(connection, sums, sums, projects, fresh=())


def _keep(
    connection: Connection,
    sums: Mapping[FacetKey, int],
    unsure: Collection[FacetKey],
    projects: Mapping[int, int],
    fresh: Container[int],
) -> set[FacetKey]:
    """Add *sums* to facets, as far as there is room for their values, and return those that count as `other` instead.

    Args:
        sums: How many more events have a value.
        unsure: Those of them that may have no row yet.
        projects: The project of each issue.
        fresh: Issues that have none yet.
    """
    asked = [facet for facet in unsure if facet[0] not in fresh]
    there = set(map(tuple, bulk.find(connection, schema.facet, _FACET, _FACET, asked)))
    refused = _bound(connection, [facet for facet in unsure if facet not in there], fresh, sums)
    rows = [(*facet, projects[facet[0]], count) for facet, count in sums.items() if facet not in refused]
    rows.sort()  # in the order of the primary key, where neighbours share a page
    add = adding(connection.dialect.name, schema.facet, "count")
    bulk.write(connection, add, (*_FACET, "project_id", "count"), rows)
    return refused


def take_facets(connection: Connection, sums: Mapping[FacetKey, int]) -> None:
    """Take *sums* from facets; what their rows do not hold was counted as `other`. A value that no event has goes."""
    table = schema.facet
    kept = {
        (issue, key, value): count
        for issue, key, value, count in bulk.find(connection, table, (*_FACET, "count"), _FACET, sums)
    }
    left = {facet: count - sums[facet] for facet, count in kept.items()}
    gone: Counter[tuple[int, str]] = Counter(facet[:2] for facet, count in left.items() if count <= 0)
    other: Counter[tuple[int, str]] = Counter()
    for facet, count in sums.items():
        other[facet[:2]] += max(count - kept.get(facet, 0), 0)
    bulk.write(connection, _SET_FACET, (*_OLD, "count"), [(*facet, n) for facet, n in left.items() if n > 0])
    bulk.write(connection, _DELETE_FACET, _OLD, [facet for facet, n in left.items() if n <= 0])
    fewer = [(*pair, -gone[pair], -other[pair]) for pair in sorted(gone.keys() | (+other).keys())]
    bulk.write(connection, adding(connection.dialect.name, schema.facet_key, *_ROOM), (*_FACET[:2], *_ROOM), fewer)


def _bound(
    connection: Connection, new: Sequence[FacetKey], fresh: Container[int], sums: Mapping[FacetKey, int]
) -> set[FacetKey]:
    """Make room for *new* values where there is any, and return those that get none and count as `other`."""
    table, by = schema.facet_key, ("issue_id", "key")
    counts: dict[tuple[int, str], int] = {facet[:2]: 0 for facet in new}
    asked = [pair for pair in counts if pair[0] not in fresh]
    for issue, key, count in bulk.find(connection, table, (*by, "value_count"), by, asked):
        counts[issue, key] = count
    added = dict.fromkeys(counts, 0)
    other = dict.fromkeys(counts, 0)
    refused: set[FacetKey] = set()
    for facet in new:
        pair = facet[:2]
        if counts[pair] + added[pair] < VALUES_MAX:
            added[pair] += 1
        else:
            other[pair] += sums[facet]
            refused.add(facet)
    rows = [(issue, key, added[issue, key], other[issue, key]) for issue, key in sorted(counts)]
    bulk.write(connection, adding(connection.dialect.name, table, *_ROOM), (*by, *_ROOM), rows)
    return refused
