"""Opening a database: migrated once, by whoever comes first, or refused with what to do."""

import os
import stat
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, func, inspect, select, text

from rustrak_core.errors import SchemaError, StoreUnavailableError
from rustrak_storage.factory import open_store
from rustrak_storage.sql import schema
from rustrak_storage.sql.migrate import HEAD, MIGRATIONS
from rustrak_storage.testing import values as testing

OPTIONS = {"mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4", "mariadb_collate": "utf8mb4_nopad_bin"}


def engine_of(url: str) -> Engine:
    """Return an engine for looking at a database beside the store."""
    return create_engine(url)


def shape(engine: Engine) -> dict[str, Any]:
    """Return all that a database tells of its tables and sequences, but for the tables of versions and locks."""
    look = inspect(engine)
    tables = [name for name in look.get_table_names() if name not in {schema.VERSION_TABLE, schema.LOCK_TABLE}]
    found: dict[str, Any] = {
        name: {
            "columns": [{**column, "type": repr(column["type"])} for column in look.get_columns(name)],
            "key": look.get_pk_constraint(name),
            "foreign": look.get_foreign_keys(name),
            "unique": sorted(look.get_unique_constraints(name), key=str),
            "indexes": sorted(look.get_indexes(name), key=str),
            "options": look.get_table_options(name),
        }
        for name in tables
    }
    if engine.dialect.supports_sequences:
        found["sequences"] = sorted(look.get_sequence_names())
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            rows = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE tbl_name <> :v"), {"v": schema.VERSION_TABLE}
            )
            for name, sql in rows:
                # What no reflection tells.
                found[f"{name}/kind"] = ("AUTOINCREMENT" in (sql or ""), "WITHOUT ROWID" in (sql or ""))
    return found


def create_all(engine: Engine) -> None:
    """Create our tables as they are written down, with what the migrations tell MariaDB of each."""
    for table in schema.metadata.sorted_tables:
        table.dialect_kwargs.update(OPTIONS)
    schema.metadata.create_all(engine)


def drop_all(engine: Engine) -> None:
    """Drop our tables, and the version's."""
    schema.metadata.drop_all(engine)
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {schema.VERSION_TABLE}"))


def test_migrations_end_where_the_schema_is(blank_url: str) -> None:
    """An upgrade of an empty database and the tables as written down are the same."""
    open_store(blank_url).close()
    engine = engine_of(blank_url)
    migrated = shape(engine)
    with engine.connect() as connection:
        ours = {"version_table": schema.VERSION_TABLE, "include_name": lambda name, *_: name != schema.LOCK_TABLE}
        context = MigrationContext.configure(connection, opts=ours)
        assert compare_metadata(context, schema.metadata) == []
    drop_all(engine)
    create_all(engine)
    assert shape(engine) == migrated
    engine.dispose()


def test_head_is_the_newest_migration() -> None:
    """The revision that opening looks for is the one at the head of the migrations."""
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_heads() == [HEAD]


def test_opening_again_changes_nothing(blank_url: str) -> None:
    """A migrated database is opened as it is."""
    open_store(blank_url).close()
    engine = engine_of(blank_url)
    before = shape(engine)
    store = open_store(blank_url)
    store.check()
    store.close()
    assert shape(engine) == before
    engine.dispose()


def test_many_processes_migrate_once(blank_url: str) -> None:
    """Of processes that start on one empty database at once, one migrates it, and all can use it."""
    script = "import sys; from rustrak_storage.factory import open_store; s = open_store(sys.argv[1]); s.check()"
    processes = [
        subprocess.Popen([sys.executable, "-c", script, blank_url], stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    told = [(process.communicate(timeout=120)[1], process.returncode) for process in processes]
    assert told == [("", 0)] * len(processes)
    engine = engine_of(blank_url)
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {schema.VERSION_TABLE}")).scalars().all() == [HEAD]
        assert connection.execute(text("SELECT name, value FROM rustrak_state")).all() == [("started", 0)]
    engine.dispose()


def test_purging_leaves_the_project_and_its_counters(blank_url: str) -> None:
    """Of a deleted project no row is left but its own, which keeps slug and key used, and what was counted."""
    store = open_store(blank_url)
    project = store.create_project("x", sentry_key=str(uuid.uuid4()), now=testing.NOW)
    store.record([testing.digested(project, 1, environment="prod", tags=(("a", "b"),))])
    store.set_grouping(project.id, "# mine", now=testing.NOW)
    store.delete_project(project.id, now=testing.NOW)
    while store.purge():
        pass
    store.close()
    engine = engine_of(blank_url)
    with engine.connect() as connection:
        left = {
            table.name: count
            for table in schema.metadata.sorted_tables
            if (count := connection.execute(select(func.count()).select_from(table)).scalar())
        }
    assert left == {"rustrak_counter": 1, "rustrak_project": 1, "rustrak_state": 2}
    engine.dispose()


def test_a_newer_schema_is_refused(blank_url: str) -> None:
    """A database that a newer rustrak migrated is left alone, and the text says what to install."""
    store = open_store(blank_url)
    engine = engine_of(blank_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SchemaError, match="install a newer rustrak"):
        store.check()
    store.close()
    with pytest.raises(SchemaError, match="install a newer rustrak"):
        open_store(blank_url)
    engine.dispose()


def test_strange_tables_are_refused(blank_url: str) -> None:
    """Tables of those names that we did not make are left alone."""
    engine = engine_of(blank_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE rustrak_event (id INTEGER)"))
    with pytest.raises(SchemaError, match="use another database"):
        open_store(blank_url)
    assert inspect(engine).get_table_names() == ["rustrak_event"]
    engine.dispose()


def test_other_tables_do_no_harm(blank_url: str) -> None:
    """A host application's tables may stand beside ours."""
    engine = engine_of(blank_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE project (id INTEGER)"))
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
    open_store(blank_url).close()
    assert {"project", "alembic_version"} < set(inspect(engine).get_table_names())
    engine.dispose()


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite a migration happens whole or not at all, and can be tried again."""
    url = f"sqlite:///{tmp_path}/rustrak.db"

    def upgrade(connection: Any, _bar: Any) -> None:
        connection.execute(text("CREATE TABLE rustrak_event (id INTEGER)"))
        raise StoreUnavailableError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("rustrak_storage.sql.migrate._upgrade", upgrade)
        with pytest.raises(StoreUnavailableError):
            open_store(url)
    open_store(url).close()


def test_not_a_database(tmp_path: Path) -> None:
    """A file that is no SQLite database is not touched, and the text says so."""
    path = tmp_path / "rustrak.db"
    path.write_bytes(b"a diary, not a database\n" * 100)
    with pytest.raises(StoreUnavailableError, match="not a SQLite database"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == b"a diary, not a database\n" * 100


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there is told of."""
    with pytest.raises(StoreUnavailableError, match="check that its folder exists"):
        open_store(f"sqlite:///{tmp_path}/none/rustrak.db")


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_sqlite_file_is_private(tmp_path: Path) -> None:
    """Only its owner reads the SQLite file and what SQLite keeps beside it."""
    path = tmp_path / "rustrak.db"
    store = open_store(f"sqlite:///{path}")
    store.check()
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    store.close()
