"""The SQL backend: SQLAlchemy Core on SQLite, PostgreSQL and MariaDB."""

from rustrak_storage.sql.store import SqlStore

__all__ = ["SqlStore"]
