"""What lists filter by, and distinct users: rows that a batch adds to, and new ones up to a bound."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, insert

from rustrak_storage.batch import Batch, FacetKey
from rustrak_storage.filing import VALUES_MAX
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.upsert import adding

_KNOWN_MAX = 65_536
_USER = ("issue_id", "user_hash")
_FACET = ("issue_id", "key", "value")
_INSERT_USER = insert(schema.issue_user)


class Known:
    """Remembers rows that exist, so that they need not be looked up: most events bring nothing new.

    That holds without asking: rows of an issue go only with it, and its id is never used again. Rows are remembered
    by their hash; one that is taken for another would only be counted as kept where it was to be counted as `other`.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self._hashes: set[int] = set()

    def __contains__(self, row: object) -> bool:
        """Tell whether *row* is known to exist."""
        return hash(row) in self._hashes

    def update(self, hashes: Collection[int]) -> None:
        """Remember rows, once they are committed; begin anew where they are too many."""
        if len(self._hashes) + len(hashes) > _KNOWN_MAX:
            self._hashes = set()
        self._hashes.update(hashes)


def add_users(connection: Connection, batch: Batch, fresh: set[int], known: Known, learned: set[int]) -> None:
    """Keep the batch's users, and count those that are new to their issue in its row. *fresh* issues have none yet."""
    pairs = [(issue, user) for issue, users in batch.users().items() for user in users]
    unsure = [pair for pair in pairs if pair not in known]
    asked = [pair for pair in unsure if pair[0] not in fresh]
    there = {(issue, bytes(user)) for issue, user in bulk.find(connection, schema.issue_user, _USER, _USER, asked)}
    new = sorted(pair for pair in unsure if pair not in there)
    rows = {row.id: row for row in batch.opened} | batch.touched
    for issue, _user in new:
        rows[issue].user_count += 1
    bulk.write(connection, _INSERT_USER, _USER, new)
    learned.update(map(hash, unsure))


def add_facets(connection: Connection, batch: Batch, fresh: set[int], known: Known, learned: set[int]) -> None:
    """Count the batch's facets, keeping at most `VALUES_MAX` values a key and issue."""
    project_of = {filing.issue.id: filing.issue.project_id for filing in batch.filings}
    sums = batch.facets()
    unsure = [facet for facet in sums if facet not in known]
    asked = [facet for facet in unsure if facet[0] not in fresh]
    there = set(map(tuple, bulk.find(connection, schema.facet, _FACET, _FACET, asked)))
    refused = _bound(connection, [facet for facet in unsure if facet not in there], fresh, sums)
    rows = [(*facet, project_of[facet[0]], count) for facet, count in sums.items() if facet not in refused]
    rows.sort()  # in the order of the primary key, where neighbours share a page
    add = adding(connection.dialect.name, schema.facet, "count")
    bulk.write(connection, add, (*_FACET, "project_id", "count"), rows)
    learned.update(hash(facet) for facet in unsure if facet not in refused)


def _bound(
    connection: Connection, new: Sequence[FacetKey], fresh: set[int], sums: dict[FacetKey, int]
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
    add = adding(connection.dialect.name, table, "value_count", "other")
    bulk.write(connection, add, (*by, "value_count", "other"), rows)
    return refused
