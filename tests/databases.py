"""Databases of servers, for tests: made for one of them, and dropped in the end."""

import contextlib
import os
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy import exc as sa

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


@contextlib.contextmanager
def new_database(server: str) -> Iterator[URL]:
    """Create a database on a server, and drop it in the end."""
    url = server_url(server)
    name = f"rustrak_test_{uuid.uuid4().hex[:12]}"
    run(url, f"CREATE DATABASE {name}")
    try:
        yield url.set(database=name)
    finally:
        force = " WITH (FORCE)" if url.get_backend_name() == "postgresql" else ""
        run(url, f"DROP DATABASE IF EXISTS {name}{force}")


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
