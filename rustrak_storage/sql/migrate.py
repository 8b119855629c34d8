"""Bringing a database's schema to ours, once, whoever starts first."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from rustrak_core.errors import SchemaError
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.partial import refuse_partial
from rustrak_storage.sql.schema import LOCK_TABLE, TABLES, VERSION_TABLE
from rustrak_storage.upkeep import Bar, no_bar

HEAD = "0006"
"""The newest revision that this version knows (a test compares it with the migrations)."""

MIGRATIONS = Path(__file__).parent / "migrations"
KNOWN = frozenset(file.stem[1:5] for file in (MIGRATIONS / "versions").glob("v*.py"))
"""All revisions that it knows, for they need not follow one another by number."""


def migrate(database: Database, *, bar: Bar = no_bar, may_be_partial: bool = False) -> str | None:
    """Create the tables or bring them to `HEAD`; do nothing where they are there already.

    Interrupted, it changed nothing, or on MariaDB, which commits at each step, some of it: the next one goes on.

    Args:
        database: The one to migrate.
        bar: Shows how far a long step has come.
        may_be_partial: Take a copy that is not complete as well.

    Returns:
        The revision that was there before; None where there was none.

    Raises:
        SchemaError: the schema is newer than ours, the tables are not ours, or it is a copy that is not complete.
        StoreUnavailableError: the database cannot be reached.
    """
    with database.reading() as connection:
        before = version(connection)
        if before == HEAD and not may_be_partial:
            refuse_partial(connection)
        if before == HEAD:
            return before
        if not inspect(connection).has_table(LOCK_TABLE):  # nobody is at work: what is refused is left as it is
            _check(connection)
    with database.migrating() as connection:
        _check(connection)
        before = version(connection)
        if before is not None and not may_be_partial:
            refuse_partial(connection)
        if before != HEAD:
            _upgrade(connection, bar)
        return before


def check(connection: Connection) -> None:
    """Return if the schema is ours, and the store whole.

    Raises:
        SchemaError: it is another, or a copy that is not complete.
    """
    found = version(connection)
    if found is None:
        raise SchemaError("the database holds no schema of rustrak; restart to create it")
    if found != HEAD:
        raise SchemaError(_other_version(found))
    refuse_partial(connection)


def version(connection: Connection) -> str | None:
    """Return the schema's revision, None where there is none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant


def alembic_config(connection: Connection, bar: Bar = no_bar) -> Any:
    """Return Alembic's configuration for work on *connection*; also for a developer's own scripts."""
    from alembic.config import Config  # noqa: PLC0415 - takes long to import, and is seldom needed

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["bar"] = bar
    return config


def _check(connection: Connection) -> None:
    found = version(connection)
    if found is None:
        look = inspect(connection)
        if connection.dialect.name == "mariadb" and look.has_table(VERSION_TABLE):
            return  # it commits at each step: the tables are those of a first migration that was interrupted
        strangers = sorted(set(look.get_table_names()) & set(TABLES))
        if strangers:
            raise SchemaError(
                f"the database has tables named like ours but no version in {VERSION_TABLE} ({strangers[0]}); "
                "they are another program's: use another database, or remove them"
            )
    elif found not in KNOWN:
        raise SchemaError(_other_version(found))


def _other_version(found: str) -> str:
    if found not in KNOWN:
        return (
            f"the database's schema ({found}) is newer than this version of rustrak knows ({HEAD}); "
            "install a newer rustrak: pip install --upgrade rustrak"
        )
    return (
        f"the database's schema ({found}) is older than this version of rustrak needs ({HEAD}); migrate it by "
        "`rustrak db upgrade`, or by starting `rustrak serve` again"
    )


def _upgrade(connection: Connection, bar: Bar) -> None:
    if connection.dialect.name == "duckdb":
        if version(connection) is None:
            from rustrak_storage.sql import duck  # noqa: PLC0415 - loads DuckDB

            duck.create_tables(connection, HEAD)
            return
        import rustrak_storage.sql.duck_migrations  # noqa: F401, PLC0415 - tells Alembic of DuckDB
    from alembic import command  # noqa: PLC0415 - see above

    command.upgrade(alembic_config(connection, bar), "head")
