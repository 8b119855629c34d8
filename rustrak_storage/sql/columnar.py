"""Many rows at once in DuckDB: one statement for all of them, to which each column comes as one list.

DuckDB takes about as long for a statement with one row as for one with hundreds.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any

import attrs
from sqlalchemy import (
    Connection,
    Delete,
    Dialect,
    Insert,
    LargeBinary,
    String,
    Table,
    Update,
    bindparam,
    cast,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import BindParameter
from sqlalchemy.types import TypeEngine, UserDefinedType

Rows = Sequence[tuple[Any, ...]]


@attrs.frozen
class Merge:
    """Inserts rows of *table*, or adds their *columns* to those of the rows with their primary keys."""

    table: Table
    columns: tuple[str, ...]


class _ListOf(UserDefinedType[Any]):
    """Lists of values of a type."""

    cache_ok = True

    def __init__(self, of: TypeEngine[Any]) -> None:
        self.of = of

    def get_col_spec(self, **_: Any) -> str:
        """Return what DuckDB calls the type."""
        return f"{_duck_type(self.of)}[]"


def write(connection: Connection, statement: Any, names: tuple[str, ...], rows: Rows) -> None:
    """Do what *statement* says for each of *rows*, whose values have the *names* of bound values, in that order."""
    sql, order = _compiled(connection.dialect, statement, names)
    columns = list(zip(*rows, strict=True))
    connection.exec_driver_sql(sql, tuple(list(columns[index]) for index in order))


def find(
    connection: Connection, table: Table, result: tuple[str, ...], by: tuple[str, ...], values: Collection[Any]
) -> Iterator[Any]:
    """Yield the columns *result* of those rows of *table* whose columns *by* are among *values*."""
    if values:
        sql = _find_sql(connection.dialect, table, result, by)
        columns = [values] if len(by) == 1 else zip(*values, strict=True)
        yield from connection.exec_driver_sql(sql, tuple(list(column) for column in columns))


@cache
def _find_sql(dialect: Dialect, table: Table, result: tuple[str, ...], by: tuple[str, ...]) -> str:
    # Names are ours and quoted; values are bound.
    quote = dialect.identifier_preparer.quote
    wanted = ", ".join(f"unnest(CAST(? AS {_duck_type(table.c[name].type)}[]))" for name in by)
    columns, left = (", ".join(map(quote, each)) for each in (result, by))
    return f"SELECT {columns} FROM {quote(table.name)} WHERE ({left}) IN (SELECT {wanted})"  # noqa: S608 - see above


@cache
def _compiled(dialect: Dialect, statement: Any, names: tuple[str, ...]) -> tuple[str, list[int]]:
    """Return the statement's text, and which of *names* its lists are, in their order."""
    if isinstance(statement, Merge):
        return _merge_sql(dialect, statement, names), list(range(len(names)))
    compiled: Any = _of_lists(statement, names).compile(dialect=dialect)
    return str(compiled), [names.index(name) for name in compiled.positiontup]


def _of_lists(statement: Insert | Update | Delete, names: tuple[str, ...]) -> Any:
    """Return *statement* for rows that are unnested from lists."""
    table: Any = statement.table
    where: Any = getattr(statement, "whereclause", None)
    bound = {bind.key: bind.type for bind in visitors.iterate(where) if isinstance(bind, BindParameter)}
    unnested = (
        func.unnest(cast(bindparam(name), _ListOf(bound[name] if name in bound else table.c[name].type))).label(name)
        for name in names
    )
    rows = select(*unnested)
    if isinstance(statement, Insert):
        return statement.from_select(list(names), rows)
    given = rows.subquery("given")

    def column_of(element: Any, **_: Any) -> Any:
        return given.c[element.key] if isinstance(element, BindParameter) and element.key in given.c else None

    that: Any = visitors.replacement_traverse(where, {}, column_of)
    if isinstance(statement, Delete):
        return delete(table).where(that)
    return update(table).where(that).values({name: given.c[name] for name in names if name not in bound})


def _merge_sql(dialect: Dialect, merge: Merge, names: tuple[str, ...]) -> str:
    # Without a unique key there is no conflict to insert on; whether a row is there, a join tells.
    quote, table = dialect.identifier_preparer.quote, merge.table
    lists = ", ".join(f"unnest(CAST(? AS {_duck_type(table.c[name].type)}[])) AS {quote(name)}" for name in names)
    same = " AND ".join(f"there.{quote(key.name)} = given.{quote(key.name)}" for key in table.primary_key)
    sums = ", ".join(f"{quote(name)} = there.{quote(name)} + given.{quote(name)}" for name in merge.columns)
    columns, values = (", ".join(prefix + quote(name) for name in names) for prefix in ("", "given."))
    return (
        f"MERGE INTO {quote(table.name)} AS there USING (SELECT {lists}) AS given ON {same} "  # noqa: S608 - names are ours and quoted; values are bound
        f"WHEN MATCHED THEN UPDATE SET {sums} WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
    )


def _duck_type(type_: TypeEngine[Any]) -> str:
    """Return what DuckDB calls a type; how long texts and bytes may be it never asks."""
    if isinstance(type_, LargeBinary):
        return "BLOB"
    return "VARCHAR" if isinstance(type_, String) else "BIGINT"
