"""A whole store, moved from one database to another, of whatever kind.

The source is read in one moment of it, a table after another, by its key; so all that the schema has is copied, ids and
numbers with it. Until everything was read again at its new place and is as in the source, the target is marked
(`rustrak_storage.sql.partial`), so that nobody uses a part of a store for the whole. A copy that was interrupted begins
anew: what it had copied may have changed in the source since.
"""

import collections.abc
import hashlib
import marshal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Sequence,
    Table,
    delete,
    func,
    insert,
    select,
    true,
)

from rustrak_core.errors import ConfigurationError, StoreRefusedError, StoreUnavailableError
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.ids import go_on_behind, last_id
from rustrak_storage.sql.keyset import behind
from rustrak_storage.sql.migrate import check, migrate
from rustrak_storage.sql.partial import copy_under_way, is_mark, mark_partial, mark_whole
from rustrak_storage.upkeep import Bar, CopiedTable

_STATE = schema.state
_TABLES: list[Table] = [table for table in schema.metadata.sorted_tables if table is not _STATE]
"""All that is copied row by row, what others refer to first."""

_ROWS_MAX = 2000
_BATCH_BYTES = 4 * 1024 * 1024
"""As many rows are copied in one transaction, and as much in payloads; two such batches are in memory at a time."""

_OF_A_PROCESS = frozenset({"training"})
"""Facts that tell of a process at work on the source."""

Rows = collections.abc.Sequence[tuple[Any, ...]]


class Sum:
    """Counts rows, and sums them up so that their order makes no difference and everything else does."""

    def __init__(self) -> None:
        """Begin with none."""
        self.rows = 0
        self._total = 0

    def add(self, rows: Rows) -> None:
        """Add *rows*: values as every database gives them, integers, texts, bytes and None."""
        self.rows += len(rows)
        for row in rows:
            # Version 2 of the format is the same for equal values, and ten times quicker than repr().
            data = marshal.dumps(row, 2)
            self._total += int.from_bytes(hashlib.blake2b(data, digest_size=16).digest())

    @property
    def checksum(self) -> str:
        """32 hex digits."""
        return f"{self._total % 2**128:032x}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sum) and (self.rows, self.checksum) == (other.rows, other.checksum)

    __hash__ = None  # type: ignore[assignment]


def copy_all(source: Database, target: Database, *, number: int, bar: Bar) -> list[CopiedTable]:
    """Copy all that *source* holds to *target*, which must be empty or hold a copy that was not completed.

    Args:
        source: A database at this version's schema. It may be in use; what is written to it meanwhile is not copied.
        target: It gets the schema where it has none.
        number: Another one than that of any copy to that target before.
        bar: Shows how far it has come.

    Returns:
        What was copied, and read again: a row for each table, the smallest first.

    Raises:
        ConfigurationError: the target holds something; it was not touched.
        SchemaError: one of them has a schema of another version, or the source is such a copy itself.
        StoreUnavailableError: one of them cannot be reached any more, or another copy to the target was begun.
        StoreRefusedError: the target holds something else than it was given; it stays marked.
    """
    with source.reading(snapshot=True) as reading:
        check(reading)
        _prepare(target, number)
        total = sum(_count(reading, table) for table in _TABLES)
        with bar("Copying rows", total) as advance:
            sums = {table: _copy(reading, table, target, number, advance) for table in _TABLES}
        with bar("Reading them again", total) as advance:
            _compare(target, sums, advance)
        facts = [row for row in _facts(reading) if row[0] not in _OF_A_PROCESS]
        last = {table: last_id(reading, table) for table in _TABLES if _is_numbered(table)}
    sums[_STATE] = target.write(lambda connection: _finish(connection, facts, last, number))
    copied = [CopiedTable(table=table.name, rows=each.rows, checksum=each.checksum) for table, each in sums.items()]
    return sorted(copied, key=lambda each: (each.rows, each.table))


def pages(connection: Connection, table: Table) -> Iterator[list[tuple[Any, ...]]]:
    """Yield all rows of *table* by its primary key, some at a time, which take a few megabytes, or are one row."""
    key = list(table.primary_key)
    places = [list(table.c).index(column) for column in key]
    query = select(table).order_by(*key)
    lengths = _lengths(connection, table)
    where: ColumnElement[bool] = true()
    while True:
        limit = _ROWS_MAX if lengths is None else _fitting(connection, lengths.where(where).order_by(*key))
        rows = [tuple(row) for row in connection.execute(query.where(where).limit(limit))]
        if not rows:
            return
        yield rows
        where = behind(key, [rows[-1][place] for place in places], descending=False)


def _lengths(connection: Connection, table: Table) -> Select[Any] | None:
    """Return a query for the bytes in each row, where they may be many; None where they are few."""
    blobs = [column for column in table.c if isinstance(column.type, LargeBinary) and column.type.length is None]
    length = func.octet_length if connection.dialect.name == "duckdb" else func.length
    return select(*map(length, blobs)) if blobs else None


def _fitting(connection: Connection, lengths: Select[Any]) -> int:
    """Return how many rows fit into a batch, one at least."""
    rows = size = 0
    for row in connection.execute(lengths.limit(_ROWS_MAX)):
        size += sum(row)
        if size > _BATCH_BYTES and rows:
            break
        rows += 1
    return max(rows, 1)


def _prepare(target: Database, number: int) -> None:
    """Give the target its tables, mark it, and remove what an earlier copy left."""
    migrate(target, may_be_partial=True)

    def claim(connection: Connection) -> bool:
        is_partial = copy_under_way(connection, lock=True) is not None
        if not is_partial:
            _require_empty(connection)
        mark_partial(connection, number)
        return is_partial

    if target.write(claim):
        for table in reversed(_TABLES):
            target.write(partial(_clear, table=table, number=number))


def _require_empty(connection: Connection) -> None:
    facts = dict(_facts(connection))
    used = next((table for table in _TABLES if connection.execute(select(table).limit(1)).first() is not None), None)
    if used is not None or facts.get("started"):
        where = "" if used is None else f" (there are rows in {used.name})"
        raise ConfigurationError(
            f"the destination holds a store already{where}, and a copy is made to an empty database only; nothing was "
            "touched: name another one, or remove what is there if it is not needed"
        )


def _clear(connection: Connection, *, table: Table, number: int) -> None:
    _require_ours(connection, number)
    connection.execute(delete(table))


def _copy(reading: Connection, table: Table, target: Database, number: int, advance: Callable[[int], None]) -> Sum:
    """Copy one table; while a batch is written, the next one is read."""
    copied = Sum()
    names = tuple(table.c.keys())
    statement = insert(table)

    def write(rows: Rows) -> None:
        def work(connection: Connection) -> None:
            _require_ours(connection, number)
            bulk.write(connection, statement, names, rows)

        target.write(work)
        advance(len(rows))

    with ThreadPoolExecutor(1) as pool:
        written: Future[None] | None = None
        for rows in pages(reading, table):
            copied.add(rows)
            if written is not None:
                written.result()
            written = pool.submit(write, rows)
        if written is not None:
            written.result()
    return copied


def _compare(target: Database, sums: dict[Table, Sum], advance: Callable[[int], None]) -> None:
    with target.reading(snapshot=True) as connection:
        for table, expected in sums.items():
            found = Sum()
            for rows in pages(connection, table):
                found.add(rows)
                advance(len(rows))
            _require_same(table, expected, found)


def _finish(connection: Connection, facts: Rows, last: dict[Table, int], number: int) -> Sum:
    """Write the facts of the whole store, have ids go on behind the last, and take the mark away, all at once."""
    _require_ours(connection, number)
    for table, each in last.items():
        go_on_behind(connection, table, each)
    connection.execute(delete(_STATE))
    bulk.write(connection, insert(_STATE), ("name", "value"), facts)
    mark_whole(connection)
    expected, found = Sum(), Sum()
    expected.add(facts)
    found.add(_facts(connection))
    _require_same(_STATE, expected, found)
    return found


def _require_ours(connection: Connection, number: int) -> None:
    if copy_under_way(connection, lock=True) != number:
        raise StoreUnavailableError("another copy to the same destination was begun, and goes on; this one has ended")


def _require_same(table: Table, expected: Sum, found: Sum) -> None:
    if found != expected:
        raise StoreRefusedError(
            f"the destination's table {table.name} is not as in the source: {found.rows:,} rows of {expected.rows:,}, "
            f"checksum {found.checksum} for {expected.checksum}; is anything else writing to it? It is not used before "
            "a copy is whole: run it again"
        )


def _facts(connection: Connection) -> list[tuple[str, int]]:
    rows = connection.execute(select(_STATE.c.name, _STATE.c.value).order_by(_STATE.c.name))
    return [(name, value) for name, value in rows if not is_mark(name)]


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _is_numbered(table: Table) -> bool:
    """Tell whether rows of *table* get ids from a sequence."""
    return any(isinstance(column.default, Sequence) for column in table.primary_key)
