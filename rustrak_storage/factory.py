"""From a database URL to a store, whoever wrote it."""

from collections.abc import Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rustrak_core.errors import ConfigurationError
from rustrak_core.ports import Store
from rustrak_storage.upkeep import Bar, Checked, CopiedTable, Upgraded, no_bar

if TYPE_CHECKING:
    from sqlalchemy import URL

ENTRY_POINTS = "rustrak.stores"
"""The group of entry points by which other packages offer stores: the scheme's name, and what takes a URL."""

# Scheme, what SQLAlchemy calls it, the driver's module, and the extra that installs it.
_SQL = {
    "sqlite": ("sqlite", "sqlite3", ""),
    "postgresql": ("postgresql+psycopg", "psycopg", "postgres"),
    "postgres": ("postgresql+psycopg", "psycopg", "postgres"),
    "duckdb": ("duckdb+rustrak", "duckdb", ""),
    "mariadb": ("mariadb+pymysql", "pymysql", "mariadb"),
    "mysql": ("mariadb+pymysql", "pymysql", "mariadb"),
}
_FILES = ("sqlite", "duckdb")
_SAMPLES = (
    "sqlite:///PATH, duckdb:///PATH, postgresql://USER:PASSWORD@HOST/DATABASE, mariadb://USER:PASSWORD@HOST/DATABASE, "
    "memory://"
)


def open_store(url: str) -> Store:
    """Open the store at *url*, and bring its schema to ours where it keeps one.

    ``memory://`` · ``sqlite:///path`` (relative; four slashes for an absolute one) · ``duckdb:///path`` (likewise) ·
    ``postgresql://...`` · ``mariadb://...`` · and what other packages offer under the entry points ``rustrak.stores``,
    by scheme.

    Raises:
        ConfigurationError: no store answers to that URL; the text says which do, and never repeats the URL, for it
            may hold a password.
        SchemaError: the schema is newer than this version knows, or the tables are not ours.
        StoreUnavailableError: the database cannot be reached.
    """
    scheme = _scheme(url)
    if scheme == "memory":
        from rustrak_storage.memory import MemoryStore

        return MemoryStore()
    if scheme in _SQL:
        from rustrak_storage.sql import SqlStore

        return SqlStore(_sql_url(url))
    for entry in entry_points(group=ENTRY_POINTS, name=scheme):
        store: Store = entry.load()(url)
        return store
    raise _unknown()


def upgrade_database(url: str, *, bar: Bar = no_bar) -> Upgraded:
    """Bring the schema of the database at *url* to this version, as `open_store` does, and tell what it was before.

    Many may do that at once: one migrates, and the others wait for it.

    Raises:
        ConfigurationError, SchemaError, StoreUnavailableError: as `open_store`; or the store has no schema of ours.
    """
    from rustrak_storage.sql.upkeep import upgrade

    return upgrade(_upkept(url), bar=bar)


def check_database(url: str, *, payloads: int | None, bar: Bar = no_bar) -> Checked:
    """Look whether the database at *url* is as it must be; change nothing.

    Args:
        url: As for `open_store`.
        payloads: How many payloads are read, spread over all; None for every one.
        bar: Shows how far it has come.

    Raises:
        ConfigurationError, StoreUnavailableError: as `open_store`; or there is nothing that could be looked at.
    """
    from rustrak_storage.sql.upkeep import check

    return check(_upkept(url, must_exist=True), payloads=payloads, bar=bar)


def copy_database(source_url: str, target_url: str, *, bar: Bar = no_bar) -> Sequence[CopiedTable]:
    """Copy a whole store to another database, which must be empty; see `rustrak_storage.sql.copying`.

    It keeps everything, ids and short ids too, which the ports let nobody choose; so both must be databases that keep
    our tables.

    Returns:
        What was copied, and compared with the source: a row for each table.

    Raises:
        ConfigurationError: as `open_store`; or there is no source, or the target is not empty, and was not touched.
        SchemaError, StoreUnavailableError: as `open_store`.
        StoreRefusedError: the target is not as the source was; until it is, no store opens it.
    """
    from rustrak_storage.sql.upkeep import copy

    return copy(_upkept(source_url, must_exist=True), _upkept(target_url), bar=bar)


def _scheme(url: str) -> str:
    return url.partition(":")[0].partition("+")[0].lower() if "://" in url else ""


def _unknown() -> ConfigurationError:
    others = sorted(entry.name for entry in entry_points(group=ENTRY_POINTS))
    known = ", ".join([_SAMPLES, *(f"{name}://..." for name in others)])
    return ConfigurationError(f"database URL: its beginning names no store; known are {known}")


def _upkept(url: str, *, must_exist: bool = False) -> "URL":
    """Return the URL of a database that has a schema of ours, read and checked."""
    scheme = _scheme(url)
    if scheme not in _SQL:
        if scheme != "memory" and not entry_points(group=ENTRY_POINTS, name=scheme):
            raise _unknown()
        raise ConfigurationError(
            f"database URL: {scheme}:// keeps no tables of ours; `rustrak db` is for {', '.join(_SQL)}"
        )
    parsed = _sql_url(url)
    if must_exist and scheme in _FILES and not _is_file(parsed.database or ""):
        raise ConfigurationError(f"there is no database at {parsed.database}")
    return parsed


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except OSError as error:
        raise ConfigurationError(f"the database at {path} cannot be read: {error.strerror}") from error


def _sql_url(url: str) -> "URL":
    scheme = _scheme(url)
    name, driver, extra = _SQL[scheme]
    asked = url.partition(":")[0].lower()
    if "+" in asked and asked.partition("+")[2] not in {driver, "pysqlite"}:
        raise ConfigurationError(f"database URL: only the driver {driver} is supported; write {scheme}://...")
    if find_spec(driver) is None:
        raise ConfigurationError(
            f"database URL: {scheme} needs the driver {driver}; install it: pip install 'rustrak[{extra}]'"
        )
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url).set(drivername=name)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"database URL: it cannot be read; write it as one of {_SAMPLES}") from None
    if scheme in _FILES and parsed.host:
        raise ConfigurationError(f"database URL: three slashes stand before a path, as in {scheme}:///errors.db")
    if "@" in (parsed.host or ""):
        raise ConfigurationError("database URL: in its user and password, write @ as %40, / as %2F and % as %25")
    if not parsed.database or parsed.database == ":memory:":
        if scheme in _FILES:
            sample = f"{scheme}:///errors.{'db' if scheme == 'sqlite' else scheme}"
            raise ConfigurationError(f"database URL: name a file, as in {sample}; for none, use memory://")
        raise ConfigurationError("database URL: it names no database; end it with /DATABASE")
    return parsed
