"""New ids, never given out twice, also after a restart or when rows were deleted."""

from collections.abc import Sequence as Numbers
from typing import Any

from sqlalchemy import Connection, Sequence, Table, func, select, text


def allocate(connection: Connection, table: Table, count: int) -> Numbers[int]:
    """Return *count* new ids for rows of *table*, ascending; they must be inserted in this transaction.

    SQLite keeps the highest id ever used (AUTOINCREMENT), which the one writer may read; others have sequences.
    """
    if count == 0:
        return ()
    sequence = table.c.id.default
    assert isinstance(sequence, Sequence)  # noqa: S101 - for the type checker
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
