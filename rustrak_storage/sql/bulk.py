"""Many rows at once, with statements that are compiled once.

SQLAlchemy makes a dictionary of bound values for every row, and writes a new statement for every length of an ``IN``.
For thousands of rows a second that costs more than the database does; so here a statement is compiled once a dialect,
rows are tuples that go to the driver as they are, and lists are filled up to a few lengths. PostgreSQL and DuckDB get
all rows of a statement at once, as a list for each column; for DuckDB see `rustrak_storage.sql.columnar`.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Delete,
    Dialect,
    Executable,
    Insert,
    Integer,
    LargeBinary,
    String,
    Table,
    Update,
    bindparam,
    delete,
    tuple_,
)

from rustrak_storage.sql import columnar
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.columnar import Merge

_LENGTHS = (8, 64, 256)
_BOUND = re.compile(r"%s(?:::\w+)?")
_ALL_BOUND = re.compile(r"\(([^()]*)\) VALUES \(%s(?:::\w+)?(?:, %s(?:::\w+)?)*\)")
# Of texts no length is said: a cast would cut one that is too long, where it is to be refused.
_LIST_TYPES = ((LargeBinary, "BYTEA"), (String, "TEXT"), (BigInteger, "BIGINT"), (Integer, "INTEGER"))
Rows = Sequence[tuple[Any, ...]]


def write(connection: Connection, statement: Executable | Merge, names: tuple[str, ...], rows: Rows) -> None:
    """Execute *statement* once for each of *rows*, whose values have the *names* of bound values, in that order.

    No two rows of an update name the same row of the table: whether the first or the last stays is not said.
    """
    if rows and connection.dialect.name == "duckdb":
        columnar.write(connection, statement, names, rows)
    elif rows and (at_once := _in_columns(connection.dialect, statement, names)) is not None:
        connection.exec_driver_sql(at_once, tuple(map(list, zip(*rows, strict=True))))
    elif rows:
        sql, arrange = _compiled(connection.dialect, statement, names)
        connection.exec_driver_sql(sql, [arrange(row) for row in rows] if arrange is not None else list(rows))


def remove(connection: Connection, table: Table, keys: Rows) -> None:
    """Remove the rows of *table* with those primary keys."""
    if connection.dialect.name == "mariadb":  # whose driver would send, and wait for, a statement for each row
        for chunk in chunks(keys, _LENGTHS[-1]):
            connection.execute(delete(table).where(tuple_(*table.primary_key).in_(chunk)))
        return
    statement, names = _removal(table)
    write(connection, statement, names, keys)


def find(
    connection: Connection, table: Table, result: tuple[str, ...], by: tuple[str, ...], values: Collection[Any]
) -> Iterator[Any]:
    """Yield the columns *result* of those rows of *table* whose columns *by* are among *values*.

    A value is a tuple where *by* has several columns. One that is given twice may have its rows come twice.
    """
    if connection.dialect.name == "duckdb":
        yield from columnar.find(connection, table, result, by, values)
        return
    if values and connection.dialect.name == "postgresql":
        lists = (list(values),) if len(by) == 1 else tuple(map(list, zip(*values, strict=True)))
        yield from connection.exec_driver_sql(_find_in_lists(connection.dialect, table, result, by), lists).all()
        return
    for chunk in _filled(values, (None,) * len(by) if len(by) > 1 else None):
        sql = _find_sql(connection.dialect, table, result, by, len(chunk))
        bound = tuple(chunk) if len(by) == 1 else tuple(part for value in chunk for part in value)
        yield from connection.exec_driver_sql(sql, bound).all()  # one call, of which a fork keeps count, not one a row


def _filled(values: Collection[Any], nothing: Any) -> Iterator[list[Any]]:
    """Yield *values* in lists of a few lengths only, filled up with *nothing*, which no row equals."""
    rest = list(values)
    while rest:
        size = next((length for length in _LENGTHS if len(rest) <= length), _LENGTHS[-1])
        chunk, rest = rest[:size], rest[size:]
        yield chunk + [nothing] * (size - len(chunk))


@cache
def _removal(table: Table) -> tuple[Delete, tuple[str, ...]]:
    """Return a statement that removes a row by its primary key, and the names of its values."""
    columns = list(table.primary_key)
    names = tuple(f"b_{column.name}" for column in columns)
    same = (column == bindparam(name) for column, name in zip(columns, names, strict=True))
    return delete(table).where(*same), names


@cache
def _compiled(
    dialect: Dialect, statement: Any, names: tuple[str, ...]
) -> tuple[str, Callable[[tuple[Any, ...]], tuple[Any, ...]] | None]:
    """Return the statement's text, and how to arrange a row for it; None where it is arranged so already."""
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    order = [names.index(name) for name in compiled.positiontup]
    return str(compiled), None if order == list(range(len(names))) else itemgetter(*order)


@cache
def _in_columns(dialect: Dialect, statement: Any, names: tuple[str, ...]) -> str | None:
    """Return a text that executes *statement* for all rows at once, given a list for each of *names*; None for others.

    To PostgreSQL, a statement for each row costs most of the time that recording takes. This one is the same however
    many rows there are, so that it is parsed once.
    """
    if dialect.name != "postgresql":
        return None
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    types = [_list_type(compiled.binds[name].type) for name in names if name in compiled.binds]
    if len(types) < len(names) or None in types:
        return None
    lists = f"unnest({', '.join(f'%b::{text}[]' for text in types)})"
    sql = str(compiled)
    if isinstance(statement, Insert):
        found = _ALL_BOUND.search(sql)
        if found is None or found[1].replace('"', "").split(", ") != list(names):
            return None
        return f"{sql[: found.end(1)]}) SELECT * FROM {lists}{sql[found.end() :]}"  # noqa: S608 - names are ours
    wanted = ", ".join(f"w{number}" for number in range(len(names)))
    order = iter([f"w{names.index(name)}" for name in compiled.positiontup])
    what, where, which = _BOUND.sub(lambda _: next(order), sql).partition(" WHERE ")
    if not where:
        return None
    return f"{what} {'FROM' if isinstance(statement, Update) else 'USING'} {lists} AS w({wanted}){where}{which}"


@cache
def _find_in_lists(dialect: Dialect, table: Table, result: tuple[str, ...], by: tuple[str, ...]) -> str:
    """Return a text for PostgreSQL that finds rows, given a list for each column of *by*.

    It is the same however many are wanted, so that it is parsed once. A list of rows behind IN is an OR of each of them
    to PostgreSQL, which takes longer to plan than to answer. OFFSET 0 keeps what is LATERAL apart, so that each is
    looked up by itself, by an index: of a table that was never analysed, PostgreSQL expects many more rows than there
    are, and would rather read all of it.
    """
    quote = dialect.identifier_preparer.quote
    name, columns = quote(table.name), ", ".join(map(quote, result))
    lists = ", ".join(f"%b::{_list_type(table.c[column].type)}[]" for column in by)
    wanted = ", ".join(f"w{number}" for number in range(len(by)))
    same = " AND ".join(f"{quote(column)} = w{number}" for number, column in enumerate(by))
    one = f"SELECT {columns} FROM {name} WHERE {same} OFFSET 0"  # noqa: S608 - names are ours
    return f"SELECT found.* FROM unnest({lists}) AS w({wanted}) CROSS JOIN LATERAL ({one}) AS found"  # noqa: S608


def _list_type(of: Any) -> str | None:
    """Return the type that PostgreSQL is told of a list of values of the type *of*; None of what no list is made of."""
    return next((text for kind, text in _LIST_TYPES if isinstance(of, kind)), None)


@cache
def _find_sql(dialect: Dialect, table: Table, result: tuple[str, ...], by: tuple[str, ...], count: int) -> str:
    # Names are ours and quoted; values are bound.
    quote = dialect.identifier_preparer.quote
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    one = mark if len(by) == 1 else f"({', '.join([mark] * len(by))})"
    wanted = ", ".join([one] * count)
    left = ", ".join(map(quote, by))
    columns = ", ".join(map(quote, result))
    name = quote(table.name)
    if len(by) > 1 and dialect.name == "sqlite":
        # Asked for rows IN a list of rows, SQLite reads the whole table. What a CROSS JOIN names first it reads first.
        wished = ", ".join(f"w{number}" for number in range(len(by)))
        same = " AND ".join(f"{quote(column)} = w{number}" for number, column in enumerate(by))
        return f"WITH w({wished}) AS (VALUES {wanted}) SELECT {columns} FROM w CROSS JOIN {name} ON {same}"  # noqa: S608
    return f"SELECT {columns} FROM {name} WHERE ({left}) IN ({wanted})"  # noqa: S608 - see above
