"""Adding to rows that may not be there yet, in the words of each database."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

from rustrak_storage.sql.columnar import Merge


@cache
def adding(dialect: str, table: Table, *columns: str) -> Any:
    """Return what has `bulk.write` insert rows, or add their *columns* to those of the rows with their primary keys."""
    if dialect == "duckdb":
        return Merge(table, columns)
    if dialect == "mariadb":
        from sqlalchemy.dialects import mysql  # noqa: PLC0415 - two MiB, which few need

        insert = mysql.insert(table)
        return insert.on_duplicate_key_update({name: table.c[name] + insert.inserted[name] for name in columns})
    conflict: Any
    if dialect == "sqlite":
        conflict = sqlite.insert(table)
    else:
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - likewise

        conflict = postgresql.insert(table)
    keys: Sequence[str] = [column.name for column in table.primary_key]
    sums = {name: table.c[name] + conflict.excluded[name] for name in columns}
    return conflict.on_conflict_do_update(index_elements=keys, set_=sums)
