"""Connections and transactions, and a driver's errors turned into ours."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, Connection, Engine
from sqlalchemy import exc as sa

from rustrak_core.errors import RustrakError, StoreRefusedError, StoreUnavailableError
from rustrak_storage.forks import hold_while_forking
from rustrak_storage.sql import sqlite
from rustrak_storage.sql.duck_errors import FORKED, hint, is_conflict, is_of_duckdb
from rustrak_storage.sql.server import named_lock, row_lock, server_engine

if TYPE_CHECKING:
    from rustrak_storage.sql.duck import DuckFile

T = TypeVar("T")

_ATTEMPTS = 5
_RETRIED_PG = frozenset({"40001", "40P01", "55P03"})
_RETRIED_MARIADB = frozenset({1205, 1213, 1020})
# What SQLite says is a fixed text without values, so that what to do can be told by it.
_SQLITE_HINTS = (
    ("locked", "another process is writing to the SQLite file; try again"),
    ("disk is full", "the disk is full; free some space"),
    ("readonly", "the SQLite file, or its folder, cannot be written; check who owns it"),
    ("unable to open", "the SQLite file cannot be opened; check that its folder exists and can be written"),
    ("not a database", "the file is not a SQLite database; move it away, or choose another"),
    ("malformed", "the SQLite file is damaged; restore a copy, or try the `.recover` of the sqlite3 command"),
    ("no such table", "tables are missing; was the file replaced? Restart to create or migrate them"),
    ("disk i/o error", "the disk reports an error; look into the system's log"),
)
# Connections of a parent process. A forked child must neither use nor close them, so it keeps them for ever.
_ABANDONED: list[object] = []


class Database:
    """A database as transactions that happen whole or not at all.

    Thread-safe. A forked child gets connections of its own, but for DuckDB's, whose file belongs to one process. On
    SQLite and DuckDB one writer at a time is let in by a lock: waiting on a lock is fair and quick, and waiting for
    SQLite's own is neither; among processes see `rustrak_storage.sql.turns`. DuckDB would let one of two fail.
    """

    def __init__(self, url: URL) -> None:
        """Connect to *url* when first needed, to DuckDB at once; its driver is chosen already.

        Raises:
            StoreUnavailableError: the file of SQLite or DuckDB cannot be opened.
        """
        self.dialect_name = url.get_backend_name()
        self.is_sqlite = self.dialect_name == "sqlite"
        self._writing = threading.Lock()
        self._duck: DuckFile | None = None
        if self.is_sqlite:
            self._engine = sqlite.engine(url)
            sqlite.create_private(url)
        elif self.dialect_name == "duckdb":
            from rustrak_storage.sql import duck  # noqa: PLC0415 - loads DuckDB, which others need not

            self._duck = duck.open_file(url)
            self._writing = self._duck.writing
            self._engine = duck.engine(self._duck)
        else:
            self._engine = server_engine(url)
        self._pid = os.getpid()
        self._closed = False
        if self.is_sqlite:
            hold_while_forking(self, "_writing")

    @contextmanager
    def reading(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """Give a connection for reading; with *snapshot* all of its reads see one moment."""
        with translated(), self._usable().connect() as connection:
            if snapshot and not self._is_file:  # in a file, all of a transaction's reads do
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do *work* in one transaction and return what it returns; where databases ask for it, do it again.

        Raises:
            StoreUnavailableError: the database cannot be reached, or was too busy; nothing was written. But where the
                connection broke within the commit, nobody knows: whoever goes on must look.
            StoreRefusedError: the database does not take what was to be written; nothing was.
        """
        attempt = 1
        while True:
            try:
                return self._write_once(work)
            except sa.DBAPIError as error:
                if attempt == _ATTEMPTS or not _worth_another_try(error):
                    raise _ours(error) from error
            except sa.SQLAlchemyError as error:
                raise _ours(error) from error
            time.sleep(0.01 * 2**attempt)
            attempt += 1

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Give a connection in a transaction that no other process' migration runs beside."""
        with translated(), self._usable().connect() as connection:
            connection.execution_options(rustrak_write=True)
            with self._writing if self._duck is not None else nullcontext(), _migration_lock(connection):
                yield connection
            if self._duck is not None:
                self._duck.keep_private()

    def disconnect(self) -> None:
        """Close all connections; what is asked later makes new ones."""
        if self._pid == os.getpid():
            if self.is_sqlite:
                sqlite.empty_log(self._engine)
            self._engine.dispose()

    def close(self) -> None:
        """Close all connections; what is asked later raises StoreUnavailableError."""
        if self._closed:
            return
        self._closed = True
        self.disconnect()
        if self._duck is not None and self._pid == os.getpid():
            self._duck.let_go()

    @property
    def _is_file(self) -> bool:
        return self.is_sqlite or self._duck is not None

    def _write_once(self, work: Callable[[Connection], T]) -> T:
        engine = self._usable()
        if not self._is_file:
            with engine.begin() as connection:
                return work(connection)
        with self._writing, engine.connect().execution_options(rustrak_write=True) as connection:
            with connection.begin():
                done = work(connection)
            if self._duck is not None:
                self._duck.keep_private()
            return done

    def _usable(self) -> Engine:
        if self._closed:
            raise StoreUnavailableError("the store is closed")
        if self._pid != os.getpid():
            if self._duck is not None:
                raise StoreUnavailableError(FORKED)
            _ABANDONED.append(self._engine.pool)
            self._engine.dispose(close=False)
            self._writing = threading.Lock()
            self._pid = os.getpid()
        return self._engine


@contextmanager
def translated() -> Iterator[None]:
    """Turn a driver's errors into ours."""
    try:
        yield
    except sa.SQLAlchemyError as error:
        raise _ours(error) from error


def _ours(error: sa.SQLAlchemyError) -> RustrakError:
    """Return our error for the driver's; the text holds neither SQL nor values nor addresses."""
    kind = type(error).__name__
    if isinstance(error, sa.DataError | sa.IntegrityError):
        return StoreRefusedError(f"the database does not take what was to be written ({kind})")
    original = getattr(error, "orig", None)
    reason = None
    if original is not None and is_of_duckdb(original):
        reason = hint(original)
    elif "sqlite" in type(original).__module__:
        reason = next((text for sign, text in _SQLITE_HINTS if sign in str(original).lower()), None)
    if reason is not None:
        return StoreUnavailableError(f"the database cannot be used: {reason}")
    return StoreUnavailableError(
        f"the database cannot be reached or used ({kind}); check that it runs, and the database URL; then try again"
    )


def _worth_another_try(error: sa.DBAPIError) -> bool:
    """Tell whether the same work may succeed when done again, and is not done yet.

    It lost a race against another transaction, or its connection before the commit, as when a server fails over. A
    commit is no statement of ours; one whose answer did not come may have been done.
    """
    original: Any = error.orig
    if error.connection_invalidated:
        return error.statement is not None
    if isinstance(error, sa.IntegrityError) or getattr(original, "sqlstate", None) in _RETRIED_PG:
        return True
    if is_of_duckdb(original):
        return is_conflict(original)
    arguments: tuple[Any, ...] = getattr(original, "args", ())
    return bool(arguments) and arguments[0] in _RETRIED_MARIADB


@contextmanager
def _migration_lock(connection: Connection) -> Iterator[None]:
    """Hold the one lock of migrations, and a transaction, on any of the databases."""
    locks = {"postgresql": row_lock, "mariadb": named_lock}
    # On SQLite, BEGIN IMMEDIATE is the lock.
    with locks.get(connection.dialect.name, Connection.begin)(connection):
        yield


@contextmanager
def unreadable(what: str) -> Iterator[None]:
    """Turn a ValueError in reading what is kept into our error."""
    try:
        yield
    except ValueError as error:
        raise StoreUnavailableError(
            f"{what} cannot be read; was the database damaged, or written by a newer rustrak?"
        ) from error
