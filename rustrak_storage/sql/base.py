"""What the parts of the SQL store share."""

from rustrak_storage.sql.engine import Database


class SqlPart:
    """A part of the store, which has its database."""

    _database: Database
