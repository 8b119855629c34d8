"""What lists filter by, and distinct users: rows that a batch adds to, and new ones up to a bound."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert, select, tuple_

from rustrak_storage.batch import Batch
from rustrak_storage.filing import VALUES_MAX
from rustrak_storage.sql import schema
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.upsert import adding

_KNOWN_MAX = 65_536


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
    table = schema.issue_user
    there = _existing(connection, table, ("issue_id", "user_hash"), [pair for pair in unsure if pair[0] not in fresh])
    new = sorted(pair for pair in unsure if pair not in there)
    rows = {row.id: row for row in batch.opened} | batch.touched
    for issue, _user in new:
        rows[issue].user_count += 1
    if new:
        connection.execute(insert(table), [{"issue_id": issue, "user_hash": user} for issue, user in new])
    learned.update(map(hash, unsure))


def add_facets(connection: Connection, batch: Batch, fresh: set[int], known: Known, learned: set[int]) -> None:
    """Count the batch's facets, keeping at most `VALUES_MAX` values a key and issue."""
    project_of = {filing.issue.id: filing.issue.project_id for filing in batch.filings}
    sums = {
        (issue, key, value): count for (issue, key), values in batch.facets().items() for value, count in values.items()
    }
    unsure = [row for row in sums if row not in known]
    there = _existing(
        connection, schema.facet, ("issue_id", "key", "value"), [row for row in unsure if row[0] not in fresh]
    )
    new = [row for row in unsure if row not in there]
    refused = _bound(connection, new, fresh, sums)
    rows = [
        {"issue_id": issue, "key": key, "value": value, "project_id": project_of[issue], "count": count}
        for (issue, key, value), count in sorted(sums.items())
        if (issue, key, value) not in refused
    ]
    if rows:
        connection.execute(adding(connection.dialect.name, schema.facet, "count"), rows)
    learned.update(hash(row) for row in unsure if row not in refused)


def _bound(
    connection: Connection, new: Sequence[tuple[int, str, str]], fresh: set[int], sums: dict[tuple[int, str, str], int]
) -> set[tuple[int, str, str]]:
    """Make room for *new* values where there is any, and return those that get none and count as `other`."""
    table = schema.facet_key
    pairs = {row[:2] for row in new}
    counts: dict[tuple[int, str], int] = dict.fromkeys(pairs, 0)
    for chunk in chunks([pair for pair in pairs if pair[0] not in fresh], 200):
        query = select(table.c.issue_id, table.c.key, table.c.value_count)
        for row in connection.execute(query.where(tuple_(table.c.issue_id, table.c.key).in_(chunk))):
            counts[row.issue_id, row.key] = row.value_count
    added = dict.fromkeys(pairs, 0)
    other = dict.fromkeys(pairs, 0)
    refused: set[tuple[int, str, str]] = set()
    for row in new:
        pair = row[:2]
        if counts[pair] + added[pair] < VALUES_MAX:
            added[pair] += 1
        else:
            other[pair] += sums[row]
            refused.add(row)
    rows = [
        {"issue_id": issue, "key": key, "value_count": added[issue, key], "other": other[issue, key]}
        for issue, key in sorted(pairs)
    ]
    if rows:
        connection.execute(adding(connection.dialect.name, table, "value_count", "other"), rows)
    return refused


def _existing(
    connection: Connection, table: Table, names: Sequence[str], wanted: Sequence[tuple[Any, ...]]
) -> set[tuple[Any, ...]]:
    """Return those of *wanted* rows, given by their primary key, that exist."""
    columns = [table.c[name] for name in names]
    found: set[tuple[Any, ...]] = set()
    for chunk in chunks(wanted, 200):
        rows = connection.execute(select(*columns).where(tuple_(*columns).in_(chunk)))
        found.update(tuple(row) for row in rows)
    return found
