"""Migrations on MariaDB, which commits at each change of a table: killed anywhere, they go on at the next start."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, event, make_url, text

from rustrak_storage.factory import open_store
from rustrak_storage.sql import schema
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.migrate import HEAD, migrate
from tests.contract.test_migrations import EVENTS, ask, fill

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs_server,
    pytest.mark.parametrize("blank_url", ["mariadb"], indirect=True),
]

CHANGES = ("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "UPDATE")


class _KilledError(BaseException):
    """Ends a migration as a `kill -9` does: nothing more is said to the database."""


def interrupted(url: str, *, after: int) -> bool:
    """Migrate until so many statements have changed something; tell whether it came to that."""
    left = after

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal left
        if statement.lstrip().upper().startswith(CHANGES):
            left -= 1
            if not left:
                raise _KilledError

    database = Database(make_url(url))
    event.listen(database._engine, "after_cursor_execute", count)
    try:
        migrate(database)
    except _KilledError:
        return True
    finally:
        database.close()
    return False


def version(engine: Engine) -> object:
    """Return the version that the database says it has."""
    with engine.connect() as connection:
        if not engine.dialect.has_table(connection, schema.VERSION_TABLE):
            return None
        return connection.execute(text(f"SELECT version_num FROM {schema.VERSION_TABLE}")).scalar()


def interrupt_everywhere(url: str) -> int:
    """Interrupt migrations after each statement, one after the other; return how often."""
    engine = create_engine(url)
    times, after = 0, 1
    before = version(engine)
    while interrupted(url, after=after):
        times += 1
        found = version(engine)
        after = after + 1 if found == before else 1
        before = found
    assert version(engine) == HEAD
    engine.dispose()
    return times


def test_an_empty_database(blank_url: str) -> None:
    """However often the first start is killed, the tables come out as they are written down."""
    assert interrupt_everywhere(blank_url) > len(schema.TABLES)
    assert ask(blank_url, "SELECT name, value FROM rustrak_state") == [("started", 0)]
    engine = create_engine(blank_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": schema.VERSION_TABLE})
        assert compare_metadata(context, schema.metadata) == []
    engine.dispose()


def test_events_of_0001(blank_url: str) -> None:
    """However often a migration of the first version's database is killed, its events stay as they were."""
    fill(blank_url)
    interrupt_everywhere(blank_url)
    store = open_store(blank_url)
    assert [store.event(each.summary.id) for each in EVENTS] == EVENTS
    store.close()
