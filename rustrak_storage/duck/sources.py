"""Tables of a dataset as DuckDB reads them from files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rustrak_storage.duck.schema import Table
from rustrak_storage.duck.stage import quoted_list

HIVE = "hive_partitioning = true, hive_types = {'day': DATE, 'project_id': BIGINT}"
_PARTED = frozenset({"events", "tag_days"})


def rows_of(table: Table, files: Sequence[Path]) -> str:
    """Return the query for all rows of *table*, which stand in *files*."""
    columns = ", ".join(f'"{name}"' for name in table.names)
    if not files:
        empty = ", ".join(f'NULL::{column.type} AS "{column.name}"' for column in table.columns)
        return f"SELECT {empty} WHERE false"
    options = f", {HIVE}" if table.name in _PARTED else ", hive_partitioning = false"
    return f"SELECT {columns} FROM read_parquet({quoted_list(files)}{options})"


def partition(file: str | Path) -> str:
    """Return the part of a file's path that says its day and project: ``day=2026-01-15/project_id=1``."""
    return "/".join(Path(file).parts[-3:-1])


def by_partition(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return *files* by day and project."""
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(partition(file), []).append(file)
    return found
