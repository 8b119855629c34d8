"""Empty databases for the contract: one server database a process of pytest, emptied for each test."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, create_engine, insert, inspect

from rustrak_storage.factory import open_store
from rustrak_storage.sql import schema
from tests.databases import new_database, run, text_of


@pytest.fixture(scope="session")
def create_database() -> Iterator[Callable[[str], URL]]:
    """Create databases on a server, and drop them in the end, whatever became of the one before."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(new_database(server))


@pytest.fixture(scope="session")
def migrated(create_database: Callable[[str], URL]) -> Callable[[str], Engine]:
    """One migrated database a server."""
    engines: dict[str, Engine] = {}

    def of(server: str) -> Engine:
        if server not in engines:
            url = create_database(server)
            open_store(text_of(url)).close()
            engines[server] = create_engine(url)
        return engines[server]

    return of


@pytest.fixture
def emptied(migrated: Callable[[str], Engine]) -> Iterator[Callable[[str], str]]:
    """The URL of a server's database, emptied."""
    used: list[Engine] = []

    def of(server: str) -> str:
        engine = migrated(server)
        with engine.begin() as connection:
            for table in reversed(schema.metadata.sorted_tables):
                connection.execute(table.delete())
            connection.execute(insert(schema.state).values(name="started", value=0))
        used.append(engine)
        return text_of(engine.url)

    yield of
    for engine in used:
        engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file."""
    path = tmp_path_factory.mktemp("template") / "rustrak.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a SQLite file of a test's own, migrated and empty."""
    path = tmp_path / "rustrak.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def duckdb_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB file with empty tables."""
    path = tmp_path_factory.mktemp("template") / "errors.duckdb"
    open_store(f"duckdb:///{path}").close()
    return path


@pytest.fixture
def duckdb_url(duckdb_template: Path, tmp_path: Path) -> str:
    """The URL of a DuckDB file of a test's own, with empty tables."""
    path = tmp_path / "errors.duckdb"
    shutil.copy(duckdb_template, path)
    return f"duckdb:///{path}"


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.needs_server),
        pytest.param("mariadb", marks=pytest.mark.needs_server),
    ]
)
def blank_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without any table, on each of the databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rustrak.db"
    url: URL = request.getfixturevalue("blank_database")(request.param)
    clear(url)
    return text_of(url)


@pytest.fixture(scope="session")
def blank_database(create_database: Callable[[str], URL]) -> Callable[[str], URL]:
    """One database a server, to be cleared for each test: creating and dropping them takes a second."""
    return cache(create_database)


def clear(url: URL) -> None:
    """Drop all that is in a server's database."""
    if url.get_backend_name() == "postgresql":
        run(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        return
    engine = create_engine(url)
    look = inspect(engine)
    tables, sequences = look.get_table_names(), look.get_sequence_names()
    engine.dispose()
    drops = [f"DROP TABLE {name}" for name in tables] + [f"DROP SEQUENCE {name}" for name in sequences]
    run(url, "SET FOREIGN_KEY_CHECKS = 0", *drops)
