"""The SQL store, whole."""

from datetime import datetime

from sqlalchemy import URL, Connection

from rustrak_core.ports import ForkableStore, Store
from rustrak_core.project import Project
from rustrak_core.token import Token
from rustrak_storage.sql.backfill import SqlBackfill
from rustrak_storage.sql.counters import SqlCounters
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.export import SqlExport
from rustrak_storage.sql.grouping import SqlGrouping
from rustrak_storage.sql.history import SqlHistory
from rustrak_storage.sql.issues import SqlIssues
from rustrak_storage.sql.merges import SqlMerges
from rustrak_storage.sql.migrate import check, migrate
from rustrak_storage.sql.projects import SqlProjects, insert_project, mark_started
from rustrak_storage.sql.purge import anything_doomed, purge
from rustrak_storage.sql.record import Recorder
from rustrak_storage.sql.similar import SqlSimilar
from rustrak_storage.sql.tokens import SqlTokens, insert_token


class SqlStore(
    SqlProjects,
    SqlTokens,
    SqlGrouping,
    SqlIssues,
    SqlMerges,
    SqlSimilar,
    SqlHistory,
    SqlBackfill,
    SqlExport,
    SqlCounters,
    ForkableStore,
    Store,
):
    """Keeps everything in SQLite, PostgreSQL or MariaDB."""

    def __init__(self, url: URL) -> None:
        """Open the database at *url*, and bring its schema to ours, under a lock.

        Raises:
            SchemaError: the schema is newer than this version knows, or the tables are not ours.
            StoreUnavailableError: the database cannot be reached.
        """
        self._database = Database(url)
        self._dictionaries = Dictionaries(self._database)
        self._indexed = set()
        self._recorder = Recorder(self._database, self._dictionaries)
        try:
            migrate(self._database)
        except BaseException:
            self._database.close()
            raise

    def first_start(
        self, *, name: str, sentry_key: str, token_sha256: bytes, token_prefix: str, now: datetime
    ) -> tuple[Project, Token] | None:
        """See `rustrak_core.ports.Maintenance.first_start`."""

        def work(connection: Connection) -> tuple[Project, Token] | None:
            if mark_started(connection):
                return None
            project = insert_project(connection, name, sentry_key, now)
            token = insert_token(connection, sha256=token_sha256, prefix=token_prefix, description=None, now=now)
            return project, token

        return self._database.write(work)

    def purge(self, *, limit: int = 1000) -> int:
        """See `rustrak_core.ports.Maintenance.purge`."""
        with self._database.reading() as connection:
            if not anything_doomed(connection):
                return 0
        return self._database.write(lambda connection: purge(connection, limit))

    def check(self) -> None:
        """See `rustrak_core.ports.Maintenance.check`."""
        with self._database.reading() as connection:
            check(connection)

    def examine(self) -> None:
        """See `rustrak_core.ports.Maintenance.examine`."""
        with self._database.reading() as connection:
            check(connection)
            self._dictionaries.examine(connection)

    def disconnect(self) -> None:
        """See `rustrak_core.ports.ForkableStore.disconnect`."""
        self._database.disconnect()

    def close(self) -> None:
        """See `rustrak_core.ports.Maintenance.close`."""
        self._database.close()
