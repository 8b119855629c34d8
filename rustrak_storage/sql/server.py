"""Database servers: the pool of connections to one, what tells that it failed over, and the lock of migrations."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Dialect, Engine, ExceptionContext, create_engine, event, text
from sqlalchemy import exc as sa

from rustrak_core.errors import ConfigurationError, StoreUnavailableError
from rustrak_storage.sql.schema import LOCK_TABLE

POOL_SIZE = 32
"""How many connections a process has open at most."""

POOL_KEPT = 8
"""How many of them stay open when nobody uses them."""

POOL_WAIT_S = 30.0
"""How long to wait for one where all are in use."""

_PREPARING_MAX = 20
_SETTINGS_PG = (("plan_cache_mode", "force_custom_plan"), ("jit", "off"))
_READ_ONLY_PG = "25006"
_READ_ONLY_MARIADB = frozenset({1290, 1836})


def server_engine(url: URL) -> Engine:
    """Return an engine for a database server.

    Of the URL's query, ``pool_size`` is ours: how many connections this process has open at most.

    Raises:
        ConfigurationError: that is no number from 2 up, or the driver does not take the rest of it.
    """
    size = _pool_size(url)
    url = url.difference_update_query(["pool_size"])
    arguments: dict[str, Any] = {"connect_timeout": 10}
    if url.get_backend_name() == "mariadb":
        arguments["charset"] = "utf8mb4"
    kept = min(size, POOL_KEPT)
    with _taken():
        engine = create_engine(
            url,
            hide_parameters=True,
            pool_size=kept,
            max_overflow=size - kept,
            pool_timeout=POOL_WAIT_S,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            paramstyle="format",  # values by position, see `rustrak_storage.sql.bulk`
            connect_args={name: value for name, value in arguments.items() if name not in url.query},
        )
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "handle_error", _leave_who_only_reads)
    if url.get_backend_name() == "postgresql":
        event.listen(engine, "connect", _plan_each_time)
    return engine


@contextmanager
def row_lock(connection: Connection) -> Iterator[None]:
    """Hold the lock of migrations on PostgreSQL, or what speaks as it does, and a transaction.

    It is a row, in a table that is made for it: unlike advisory locks, every such database has those.
    """
    _make_lock(connection)
    with connection.begin():
        connection.execute(text(f"SELECT id FROM {LOCK_TABLE} WHERE id = 1 FOR UPDATE"))  # noqa: S608 - a constant
        yield


@contextmanager
def named_lock(connection: Connection) -> Iterator[None]:
    """Hold the lock of migrations on MariaDB, and a transaction.

    MariaDB commits at each CREATE, so that its lock belongs to the connection, and to this database by its name.

    Raises:
        StoreUnavailableError: somebody has held it for minutes.
    """
    name = "CONCAT('rustrak/', LEFT(SHA1(DATABASE()), 32))"
    locked = connection.exec_driver_sql(f"SELECT GET_LOCK({name}, 120)").scalar()
    connection.commit()
    if locked != 1:
        raise StoreUnavailableError("another process has been migrating the database for minutes; try again later")
    try:
        with connection.begin():
            yield
    finally:  # not before the commit, or the next one would see half of it
        connection.exec_driver_sql(f"SELECT RELEASE_LOCK({name})")
        connection.commit()


def _make_lock(connection: Connection) -> None:
    """Make the row that is locked, whoever else does so at the same time."""
    for attempt in range(1, _PREPARING_MAX + 1):
        try:
            with connection.begin():
                connection.execute(text(f"CREATE TABLE IF NOT EXISTS {LOCK_TABLE} (id INTEGER NOT NULL PRIMARY KEY)"))
            with connection.begin():
                there = connection.execute(text(f"SELECT id FROM {LOCK_TABLE}")).scalar()  # noqa: S608
                if there is None:
                    connection.execute(text(f"INSERT INTO {LOCK_TABLE} (id) VALUES (1)"))  # noqa: S608
        except (sa.IntegrityError, sa.ProgrammingError, sa.OperationalError):  # another process was a moment earlier
            if attempt == _PREPARING_MAX or connection.invalidated:
                raise
            time.sleep(0.05)
        else:
            return


def _leave_who_only_reads(context: ExceptionContext) -> None:
    """Give up all connections to a server that takes no writes any more: after a failover another one does."""
    error: Any = context.original_exception
    arguments: tuple[Any, ...] = getattr(error, "args", ())
    if getattr(error, "sqlstate", None) == _READ_ONLY_PG or (arguments and arguments[0] in _READ_ONLY_MARIADB):
        context.is_disconnect = True


def _plan_each_time(connection: Any, _record: object) -> None:
    """Have PostgreSQL plan prepared statements for their values, and for tables as large as they are by now.

    It would keep a plan that was made while a table was empty, which reads all of it, until the table's next ANALYZE.
    Nor is anything compiled to machine code: that takes longer than any statement of ours. What speaks as PostgreSQL
    does and has no such settings is left alone.
    """
    with connection.cursor() as cursor:
        for name, value in _SETTINGS_PG:
            cursor.execute("SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s", (value, name))
    connection.commit()


@contextmanager
def _taken() -> Iterator[None]:
    """Turn what a driver, or SQLAlchemy, makes of settings that it does not know or understand into our error."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"database URL: a file that it names cannot be read: {error.strerror}") from error
    except (TypeError, ValueError, AttributeError, LookupError):
        raise ConfigurationError(
            "database URL: the driver does not take what it says; check what stands behind its ?, if anything does, "
            "and that all of it is text in UTF-8"
        ) from None  # which may hold a password


def _connect(dialect: Dialect, _record: object, arguments: Any, named: Any) -> Any:
    with _taken():
        return dialect.connect(*arguments, **named)


def _pool_size(url: URL) -> int:
    given = url.query.get("pool_size", str(POOL_SIZE))
    if not isinstance(given, str) or not given.isdecimal() or not 2 <= int(given) <= 1000:
        raise ConfigurationError(
            "database URL: pool_size must be a number from 2 to 1000, as in ...?pool_size=32: how many connections "
            "each process has open at most"
        )
    return int(given)
