"""SQLite: its file, its engine, and connections whose every call into it a fork waits for."""

import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event
from sqlalchemy import exc as sa
from sqlalchemy.pool import QueuePool

from rustrak_core.errors import ConfigurationError, StoreUnavailableError
from rustrak_storage.forks import CALLS
from rustrak_storage.sql.turns import begin_writing

BUSY_TIMEOUT_S = 30
_OURS = frozenset({"timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements"})
"""What SQLAlchemy would take from a URL, and is our own to choose; so it changes nothing."""


class _Cursor(sqlite3.Cursor):
    """A cursor whose calls a fork waits for."""

    def execute(self, statement: str, parameters: Any = (), /) -> Self:
        return CALLS.make(super().execute, statement, parameters)

    def executemany(self, statement: str, rows: Iterable[Any], /) -> Self:
        return CALLS.make(super().executemany, statement, rows)

    def fetchone(self) -> Any:
        return CALLS.make(super().fetchone)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return CALLS.make(super().fetchmany, self.arraysize if size is None else size)

    def fetchall(self) -> list[Any]:
        return CALLS.make(super().fetchall)

    def close(self) -> None:
        CALLS.make(super().close)


class _Connection(sqlite3.Connection):
    """A connection whose calls a fork waits for."""

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def commit(self) -> None:
        CALLS.make(super().commit)

    def rollback(self) -> None:
        CALLS.make(super().rollback)

    def close(self) -> None:
        CALLS.make(super().close)


def _connect(dialect: Dialect, _record: object, arguments: Any, named: Any) -> Any:
    return CALLS.make(dialect.connect, *arguments, **named)


def create_private(url: URL) -> None:
    """Create the SQLite file so that only its owner reads it, for it holds what applications send."""
    if url.database is None:
        return
    try:
        Path(url.database).touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise StoreUnavailableError(
            f"the SQLite file cannot be opened ({error.strerror}); check that its folder exists and can be written"
        ) from error


def engine(url: URL) -> Engine:
    """Return an engine whose calls into SQLite a fork waits for.

    Raises:
        ConfigurationError: the URL sets what SQLite does not take.
    """
    if not url.query.keys() <= _OURS:
        raise ConfigurationError("database URL: SQLite's sets nothing; leave out the ? and what stands behind it")
    url = url.difference_update_query(_OURS)
    made = create_engine(
        url,
        hide_parameters=True,
        pool_size=8,
        max_overflow=56,
        connect_args={
            "timeout": BUSY_TIMEOUT_S,
            "check_same_thread": False,
            "cached_statements": 256,
            "factory": _Connection,
        },
    )
    event.listen(made, "do_connect", _connect)
    event.listen(made, "connect", _prepare)
    log = f"{Path(url.database or '').resolve()}-wal"  # SQLite too follows a link first
    event.listen(made, "begin", lambda connection: _begin(connection, log))
    return made


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins no transactions of its own
    cursor = connection.cursor()
    # Of a new file: half as much of a page stays empty behind the last payload that fits.
    cursor.execute("PRAGMA page_size = 8192")
    _write_ahead(cursor)
    # FULL: a commit is on disk when it returns, for the spool forgets what was committed.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # KiB: as much as a batch changes; more is held for each process, for nothing, since the system keeps the file too.
    cursor.execute("PRAGMA cache_size = -2500")
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.execute("PRAGMA wal_autocheckpoint = 4000")
    cursor.execute("PRAGMA journal_size_limit = 67108864")
    cursor.close()


def empty_log(engine: Engine) -> None:
    """Move what SQLite's log holds into the file, if no other process keeps it from that.

    The last one to close does so anyway; of several that close at once, each may think that another is left.
    """
    pool = engine.pool
    if not isinstance(pool, QueuePool) or not pool.checkedin():
        return
    with suppress(sqlite3.Error, sa.SQLAlchemyError), closing(engine.raw_connection()) as used:
        cursor = used.cursor()
        cursor.execute("PRAGMA busy_timeout = 300")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Let readers and a writer work side by side. Switching does not wait for others by itself, so wait here."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except Exception as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin(connection: Connection, log: str) -> None:
    if not connection.get_execution_options().get("rustrak_write", False):
        connection.exec_driver_sql("BEGIN")
        return
    # A transaction that began by reading could not wait for another writer: it would fail at its first write.
    driven: Any = connection.connection.driver_connection
    try:
        begin_writing(driven, log, within_s=BUSY_TIMEOUT_S)
    except sqlite3.Error as error:
        raise sa.DBAPIError.instance("BEGIN IMMEDIATE", None, error, sqlite3.Error, hide_parameters=True) from error
