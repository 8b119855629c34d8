"""Empty databases for the contract: one server database a process of pytest, emptied for each test."""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import URL, Engine, create_engine, insert, inspect, make_url, text
from sqlalchemy import exc as sa

from rustrak_storage.factory import open_store
from rustrak_storage.sql import schema

SERVERS = {
    "postgres": ("RUSTRAK_TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"),
    "mariadb": ("RUSTRAK_TEST_MARIADB_URL", "mariadb+pymysql://root@127.0.0.1:3306/test"),
}


def server_url(name: str) -> URL:
    """Return where the tests' database server is; skip, or fail where servers are required, if it does not answer."""
    variable, default = SERVERS[name]
    given = os.environ.get(variable)
    url = make_url(given or default)
    url = url.set(drivername=make_url(default).drivername)
    engine = create_engine(url, connect_args={"connect_timeout": 3})
    try:
        engine.connect().close()
    except (sa.SQLAlchemyError, ModuleNotFoundError) as error:
        reason = f"no {name} server at {url.host}:{url.port} ({type(error).__name__}); set {variable} to one"
        if os.environ.get("RUSTRAK_REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    finally:
        engine.dispose()
    return url


@pytest.fixture(scope="session")
def create_database() -> Iterator[Callable[[str], URL]]:
    """Create databases on a server, and drop them in the end."""
    made: list[tuple[URL, str]] = []

    def create(server: str) -> URL:
        url = server_url(server)
        name = f"rustrak_test_{uuid.uuid4().hex[:12]}"
        run(url, f"CREATE DATABASE {name}")
        made.append((url, name))
        return url.set(database=name)

    yield create
    with ExitStack() as stack:  # each is dropped, whatever became of the one before
        for url, name in made:
            force = " WITH (FORCE)" if url.get_backend_name() == "postgresql" else ""
            stack.callback(run, url, f"DROP DATABASE IF EXISTS {name}{force}")


def run(url: URL, *statements: str) -> None:
    """Run statements that no transaction takes."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def text_of(url: URL) -> str:
    """Return a URL whole, its password with it."""
    return url.render_as_string(hide_password=False)


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
