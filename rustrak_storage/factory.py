"""From a database URL to a store, whoever wrote it."""

from importlib.metadata import entry_points
from importlib.util import find_spec

from rustrak_core.errors import ConfigurationError
from rustrak_core.ports import Store

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
    scheme = url.partition(":")[0].partition("+")[0].lower() if "://" in url else ""
    if scheme == "memory":
        from rustrak_storage.memory import MemoryStore

        return MemoryStore()
    if scheme in _SQL:
        return _open_sql(url, scheme)
    for entry in entry_points(group=ENTRY_POINTS, name=scheme):
        store: Store = entry.load()(url)
        return store
    others = sorted(entry.name for entry in entry_points(group=ENTRY_POINTS))
    known = ", ".join([_SAMPLES, *(f"{name}://..." for name in others)])
    raise ConfigurationError(f"database URL: its beginning names no store; known are {known}")


def _open_sql(url: str, scheme: str) -> Store:
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

    from rustrak_storage.sql import SqlStore

    try:
        parsed = make_url(url).set(drivername=name)
    except (ArgumentError, ValueError):
        raise ConfigurationError(f"database URL: it cannot be read; write it as one of {_SAMPLES}") from None
    if not parsed.database or parsed.database == ":memory:":
        if scheme in _FILES:
            sample = f"{scheme}:///errors.{'db' if scheme == 'sqlite' else scheme}"
            raise ConfigurationError(f"database URL: name a file, as in {sample}; for none, use memory://")
        raise ConfigurationError("database URL: it names no database; end it with /DATABASE")
    return SqlStore(parsed)
