"""Bringing a database's schema to ours, once, whoever starts first."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from rustrak_core.errors import SchemaError
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.schema import TABLES, VERSION_TABLE

HEAD = "0006"
"""The newest revision that this version knows (a test compares it with the migrations)."""

MIGRATIONS = Path(__file__).parent / "migrations"
KNOWN = frozenset(file.stem[1:5] for file in (MIGRATIONS / "versions").glob("v*.py"))
"""All revisions that it knows, for they need not follow one another by number."""


def migrate(database: Database) -> None:
    """Create the tables or bring them to `HEAD`; do nothing where they are there already.

    Raises:
        SchemaError: the schema is newer than ours, or the tables are not ours.
        StoreUnavailableError: the database cannot be reached.
    """
    with database.reading() as connection:
        if version(connection) == HEAD:
            return
    with database.migrating() as connection:
        _check(connection)
        if version(connection) != HEAD:
            _upgrade(connection)


def check(connection: Connection) -> None:
    """Return if the schema is ours.

    Raises:
        SchemaError: it is another.
    """
    found = version(connection)
    if found is None:
        raise SchemaError("the database holds no schema of rustrak; restart to create it")
    if found != HEAD:
        raise SchemaError(_other_version(found))


def version(connection: Connection) -> str | None:
    """Return the schema's revision, None where there is none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant


def alembic_config(connection: Connection) -> Any:
    """Return Alembic's configuration for work on *connection*; also for a developer's own scripts."""
    from alembic.config import Config  # noqa: PLC0415 - takes long to import, and is seldom needed

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _check(connection: Connection) -> None:
    found = version(connection)
    if found is None:
        strangers = sorted(set(inspect(connection).get_table_names()) & set(TABLES))
        if strangers:
            raise SchemaError(
                f"the database has tables named like ours but no {VERSION_TABLE} ({strangers[0]}); "
                "they are another program's, or a migration was interrupted: use another database, or remove them"
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
        f"the database's schema ({found}) is older than this version of rustrak needs ({HEAD}); restart to migrate it"
    )


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "duckdb":
        if version(connection) is None:
            from rustrak_storage.sql import duck  # noqa: PLC0415 - loads DuckDB

            duck.create_tables(connection, HEAD)
            return
        import rustrak_storage.sql.duck_migrations  # noqa: F401, PLC0415 - tells Alembic of DuckDB
    from alembic import command  # noqa: PLC0415 - see above

    command.upgrade(alembic_config(connection), "head")
