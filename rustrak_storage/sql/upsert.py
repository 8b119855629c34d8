"""Adding to rows that may not be there yet, in the words of each database."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import mysql, postgresql, sqlite


@cache
def adding(dialect: str, table: Table, *columns: str) -> Any:
    """Return a statement that inserts a row, or adds its *columns* to those of the row with its primary key."""
    if dialect == "mariadb":
        insert = mysql.insert(table)
        return insert.on_duplicate_key_update({name: table.c[name] + insert.inserted[name] for name in columns})
    conflict = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    keys: Sequence[str] = [column.name for column in table.primary_key]
    sums = {name: table.c[name] + conflict.excluded[name] for name in columns}
    return conflict.on_conflict_do_update(index_elements=keys, set_=sums)
