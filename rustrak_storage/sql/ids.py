"""New ids, never given out twice, also after a restart or when rows were deleted."""

from collections.abc import Sequence as Numbers
from typing import Any

from sqlalchemy import Connection, Sequence, Table, func, select, text

_GIVEN = {
    "postgresql": "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}",
    "mariadb": "SELECT next_not_cached_value - 1 FROM {}",
    "duckdb": "SELECT last_value FROM duckdb_sequences() WHERE sequence_name = '{}'",
}
"""How a sequence is asked for the highest number that it gave out, by dialect."""


def allocate(connection: Connection, table: Table, count: int) -> Numbers[int]:
    """Return *count* new ids for rows of *table*, ascending; they must be inserted in this transaction.

    SQLite keeps the highest id ever used (AUTOINCREMENT), which the one writer may read; others have sequences.
    """
    if count == 0:
        return ()
    sequence = _sequence(table)
    dialect = connection.dialect.name
    if dialect == "sqlite":
        statement = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        last = connection.execute(statement, {"name": table.name}).scalar() or 0
        return range(last + 1, last + 1 + count)
    rows: Any
    if dialect == "postgresql":
        rows = select(sequence.next_value()).select_from(func.generate_series(1, count).alias())
    elif dialect == "duckdb":
        rows = text(f"SELECT nextval('{sequence.name}') FROM range({int(count)})")  # noqa: S608 - names of ours
    else:
        rows = select(sequence.next_value()).select_from(text(f"seq_1_to_{int(count)}"))
    return sorted(connection.execute(rows).scalars())


def last_id(connection: Connection, table: Table) -> int:
    """Return the highest id that a row of *table* has or had, or one above it; 0 where there was none."""
    highest = connection.execute(select(func.max(table.c.id))).scalar() or 0
    return max(highest, _given(connection, table))


def go_on_behind(connection: Connection, table: Table, number: int) -> None:
    """Give no new row of *table* an id up to *number*."""
    given, name = _given(connection, table), _sequence(table).name
    if number <= given:
        return
    dialect = connection.dialect.name
    values: dict[str, Any] = {"last": number}
    if dialect == "sqlite":
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
        statement, values["name"] = "INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)", table.name
    elif dialect == "postgresql":
        statement, values["name"] = "SELECT setval(:name, :last)", name
    elif dialect == "duckdb":  # nothing else moves a sequence on there
        statement = f"SELECT MAX(nextval('{name}')) FROM range(:last - {given})"  # noqa: S608 - names of ours
    else:
        statement = f"SELECT SETVAL({name}, :last)"
    connection.execute(text(statement), values)


def _given(connection: Connection, table: Table) -> int:
    """Return the highest id that was given out, or one above it that was set aside."""
    if connection.dialect.name == "sqlite":
        statement, values = "SELECT seq FROM sqlite_sequence WHERE name = :name", {"name": table.name}
    else:
        statement, values = _GIVEN[connection.dialect.name].format(_sequence(table).name), {}
    return int(connection.execute(text(statement), values).scalar() or 0)


def _sequence(table: Table) -> Sequence:
    sequence = table.c.id.default
    assert isinstance(sequence, Sequence)  # noqa: S101 - for the type checker
    return sequence
