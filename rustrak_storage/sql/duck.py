"""DuckDB: its file, which is opened once a process, and an engine over it.

DuckDB works by threads, which a forked child has not. There the parent's DuckDB must neither be used, which would write
over what the parent writes, nor end, which would move the parent's log into the file. So the child keeps it for ever.
"""

import ctypes
import os
import threading
from contextlib import suppress
from pathlib import Path

import duckdb
from sqlalchemy import URL, Connection, Engine, create_engine, insert
from sqlalchemy.schema import CreateSequence, CreateTable, SetColumnComment, SetTableComment

from rustrak_core.errors import ConfigurationError, StoreUnavailableError
from rustrak_storage.sql import schema
from rustrak_storage.sql.duck_connection import DuckConnection
from rustrak_storage.sql.duck_dialect import DRIVER
from rustrak_storage.sql.duck_errors import FORKED, hint

_SETTINGS = {"memory_limit": "512MB", "threads": str(min(4, os.cpu_count() or 1))}
"""What a URL may set, as in ``?memory_limit=2GB&threads=8``, and what holds where it does not."""

_OF_DATASETS = frozenset({"events", "tag_days", "issues", "projects", "about"})
"""The tables of `rustrak_storage.duck`'s files, which a store's would be put beside."""

_NEVER = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


class DuckFile:
    """A DuckDB file that this process has open, for all stores on it.

    Attributes:
        writing: Held by whoever writes; DuckDB would let two go on until one of them fails.
    """

    def __init__(self, path: Path, settings: dict[str, str]) -> None:
        self.path = path
        self._settings = {**_SETTINGS, **settings}
        self.writing = threading.Lock()
        self.users = 0
        self._log = path.with_name(f"{path.name}.wal")
        is_new = not path.exists()
        try:
            self._connection = duckdb.connect(str(path), config={**self._settings, **_NEVER})
        except (duckdb.InvalidInputException, duckdb.ParserException, duckdb.SyntaxException) as error:
            raise ConfigurationError(
                "database URL: DuckDB does not take what it sets; write as in ?memory_limit=2GB&threads=4"
            ) from error
        except duckdb.Error as error:
            reason = hint(error) or "DuckDB cannot open the file; check its path, and that it can be written"
            raise StoreUnavailableError(f"the database cannot be used: {reason}") from error
        if is_new:
            path.chmod(0o600)  # it holds what applications send
        elif self._is_dataset():
            self._connection.close()
            raise ConfigurationError(
                f"database URL: {path} is a dataset that `rustrak export` made, and no store; name another file"
            )

    def _is_dataset(self) -> bool:
        tables = self._connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT temporary").fetchall()
        return {name for (name,) in tables} == _OF_DATASETS

    def require(self, settings: dict[str, str]) -> None:
        """Return if the file is open with *settings*, which are of the process, not of a store.

        Raises:
            ConfigurationError: it is open with others.
        """
        for name, asked in settings.items():
            used = self._settings[name]
            if used.upper() != asked.upper():
                raise ConfigurationError(
                    f"database URL: this process has the DuckDB file open already, with {name}={used}; give all of its "
                    "stores the same, or leave it out"
                )

    def connect(self) -> DuckConnection:
        """Return a new connection."""
        return DuckConnection(self._connection.cursor())

    def keep_private(self) -> None:
        """Let only the owner read the log, which DuckDB makes anew whenever it has moved it into the file."""
        with suppress(OSError):
            self._log.chmod(0o600)

    def abandon(self) -> None:
        """Let DuckDB never end in this process, which was forked; not at the exit of the interpreter either."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))

    def let_go(self) -> None:
        """Close the file once no store in this process needs it any more."""
        with _OPENING:
            self.users -= 1
            if self.users == 0:
                del _OPEN[self.path]
                self._connection.close()


_OPEN: dict[Path, DuckFile] = {}
_OPENING = threading.Lock()
_OF_PARENT: set[Path] = set()
"""Files that this process' parent had open at the fork: DuckDB would share here what the parent knows of them."""


def _leave_to_parent() -> None:
    global _OPENING  # noqa: PLW0603 - a thread of the parent may hold it
    _OPENING = threading.Lock()
    for path, file in _OPEN.items():
        file.abandon()
        _OF_PARENT.add(path)
    _OPEN.clear()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_leave_to_parent)


def open_file(url: URL) -> DuckFile:
    """Open the file of *url*, or share it with the stores that have it open already; `DuckFile.let_go` follows.

    Raises:
        ConfigurationError: the URL sets what it may not, or otherwise than the process has it.
        StoreUnavailableError: it cannot be opened, or was open when this process was forked; the text says what to do.
    """
    unknown = sorted(url.query.keys() - _SETTINGS.keys())
    if unknown:
        raise ConfigurationError(f"database URL: DuckDB's may set {' and '.join(_SETTINGS)}, and nothing else")
    path = Path(url.database or "").resolve()
    with _OPENING:
        if path in _OF_PARENT:
            raise StoreUnavailableError(FORKED)
        settings = {name: str(value) for name, value in url.query.items()}
        if path not in _OPEN:
            _OPEN[path] = DuckFile(path, settings)
        _OPEN[path].require(settings)
        _OPEN[path].users += 1
        return _OPEN[path]


def engine(file: DuckFile) -> Engine:
    """Return an engine on *file*."""
    return create_engine(
        f"{DRIVER}://", creator=file.connect, hide_parameters=True, pool_size=8, max_overflow=56, pool_timeout=30
    )


def create_tables(connection: Connection, version: str) -> None:
    """Create all tables in an empty database as the newest migration leaves them, and note its *version*."""
    for sequence in (schema.project_seq, schema.token_seq, schema.issue_seq, schema.event_seq):
        connection.execute(CreateSequence(sequence))
    for table in schema.metadata.sorted_tables:
        connection.execute(CreateTable(table))
        if table.comment is not None:
            connection.execute(SetTableComment(table))
        for column in table.columns:
            if column.comment is not None:
                connection.execute(SetColumnComment(column))
    connection.execute(insert(schema.state).values(name="started", value=0))
    connection.exec_driver_sql(f"CREATE TABLE {schema.VERSION_TABLE} (version_num VARCHAR NOT NULL)")
    connection.exec_driver_sql(f"INSERT INTO {schema.VERSION_TABLE} VALUES (?)", (version,))  # noqa: S608 - a constant
