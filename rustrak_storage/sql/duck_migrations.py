"""Bringing the tables in a DuckDB file to ours."""

from typing import Any

from alembic.ddl.impl import DefaultImpl


class DuckImpl(DefaultImpl):
    """Migrations, whose keys and indexes are left out."""

    __dialect__ = "duckdb"
    transactional_ddl = True

    def add_constraint(self, const: Any, **kw: Any) -> None:
        """Add none."""

    def create_index(self, index: Any, **kw: Any) -> None:
        """Create none."""

    def drop_constraint(self, const: Any, **kw: Any) -> None:
        """Drop none, for there is none."""

    def drop_index(self, index: Any, **kw: Any) -> None:
        """Drop none, for there is none."""
