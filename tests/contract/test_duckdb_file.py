"""What a store in a DuckDB file promises beside the contract: one process, clear errors, readers beside a writer."""

import os
import resource
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import inspect, make_url

from rustrak_core.errors import ConfigurationError, SchemaError, StoreUnavailableError
from rustrak_core.page import EventQuery, ListQuery
from rustrak_storage.factory import open_store
from rustrak_storage.sql import schema
from rustrak_storage.sql.duck_errors import hint
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.migrate import HEAD
from rustrak_storage.testing.values import NOW, create_project, digested, record_one, user

OPEN = "import sys; from rustrak_storage.factory import open_store; open_store(sys.argv[1]).close()"


def path_of(url: str) -> Path:
    return Path(make_url(url).database or "")


def change(url: str, *statements: str) -> None:
    """Change a file that no store has open."""
    with duckdb.connect(str(path_of(url))) as connection:
        for statement in statements:
            connection.execute(statement)


def test_another_process_is_told_what_to_do(duckdb_url: str) -> None:
    """While one process has the file open, another is told so, and how to go on; once it is closed it can be opened."""
    store = open_store(duckdb_url)
    create_project(store, "x")
    for closed in (False, True):
        done = subprocess.run(
            [sys.executable, "-c", OPEN, duckdb_url], capture_output=True, text=True, timeout=120, check=False
        )
        if closed:
            assert (done.returncode, done.stderr) == (0, "")
        else:
            assert "StoreUnavailableError" in done.stderr
            assert "belongs to one process at a time" in done.stderr
            assert "use the HTTP API, or stop the server" in done.stderr
            store.close()


def test_stores_of_one_process_share_the_file(duckdb_url: str) -> None:
    """A process may open a store twice; what one records the other reads, and either may be closed first."""
    one, other = open_store(duckdb_url), open_store(duckdb_url)
    project = create_project(one, "x")
    issue = record_one(other, digested(project, 1))
    one.close()
    assert other.issue(issue.id).event_count == 1
    other.close()
    with duckdb.connect(str(path_of(duckdb_url)), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM rustrak_event").fetchone() == (1,)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks only where the system does")
def test_a_forked_child_is_told(duckdb_url: str) -> None:
    """A child that was forked beside an open store gets an error that says what to do, and the parent goes on."""
    store = open_store(duckdb_url)
    project = create_project(store, "x")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        try:
            store.projects(ListQuery())
        except StoreUnavailableError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        assert "open the store after the fork" in told.read()
    os.waitpid(child, 0)
    assert record_one(store, digested(project, 1)).event_count == 1
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks only where the system does")
@pytest.mark.parametrize("child", ["opens it", "ends"])
def test_a_forked_child_leaves_the_file_alone(duckdb_url: str, child: str) -> None:
    """A child of a process that has the file open cannot open it, and ends without a touch on file and log."""
    script = (
        "import os, sys; from rustrak_storage.factory import open_store; "
        "from rustrak_storage.testing.values import create_project, digested; store = open_store(sys.argv[1]); "
        "project = create_project(store, 'x'); store.record([digested(project, 1)]); child = os.fork(); "
        "ended = child or (sys.argv[2] == 'opens it' and open_store(sys.argv[1])) or sys.exit(7); "
        "status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]); "
        "store.record([digested(project, 2)]); print(status, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, duckdb_url, child], capture_output=True, text=True, timeout=120, check=False
    )
    if child == "opens it":
        assert "StoreUnavailableError" in done.stderr
        assert "open the store after the fork" in done.stderr
    assert done.stdout == ("1\n" if child == "opens it" else "7\n")
    store = open_store(duckdb_url)
    (project,) = store.projects(ListQuery()).items
    assert project.event_count == 2
    store.close()


def test_readers_see_one_moment_beside_a_writer(duckdb_url: str) -> None:
    """A reader sees what stood when it began, also where rows go, come again and change meanwhile."""
    store, database = open_store(duckdb_url), Database(make_url(duckdb_url).set(drivername="duckdb+rustrak"))
    project = create_project(store, "x")
    event = digested(project, 1, user=user(1), environment="prod")
    issue = record_one(store, event)
    with database.reading() as connection:
        before = connection.exec_driver_sql("SELECT id, issue_id FROM rustrak_event").all()
        store.delete_issue(issue.id, now=NOW)
        again = record_one(store, event)
        store.merge_issues(again.id, [record_one(store, digested(project, 2, "other")).id], now=NOW)
        while store.purge():
            pass
        assert connection.exec_driver_sql("SELECT id, issue_id FROM rustrak_event").all() == before
    assert len(store.events(EventQuery(issue_id=again.id)).items) == 2
    database.close()
    store.close()


@pytest.mark.skipif(os.name != "posix", reason="modes as POSIX has them")
def test_the_file_is_private(tmp_path: Path) -> None:
    """Only its owner reads the file, and the log that DuckDB keeps beside it."""
    store = open_store(f"duckdb:///{tmp_path}/errors.duckdb")
    record_one(store, digested(create_project(store, "x"), 1))
    files = list(tmp_path.iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    store.close()


def test_what_was_committed_outlives_a_kill(duckdb_url: str) -> None:
    """A process that is killed behind a commit loses nothing of it: the log is read at the next start."""
    script = (
        "import os, sys; from rustrak_storage.factory import open_store; "
        "from rustrak_storage.testing.values import create_project, digested; store = open_store(sys.argv[1]); "
        "store.record([digested(create_project(store, 'x'), 1)]); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, duckdb_url], timeout=120, check=False)
    store = open_store(duckdb_url)
    (project,) = store.projects(ListQuery()).items
    assert project.event_count == 1
    store.close()


def test_tables_are_those_of_the_schema(duckdb_url: str) -> None:
    """A new file has the tables as they are written down, and says which version they have."""
    store, database = open_store(duckdb_url), Database(make_url(duckdb_url).set(drivername="duckdb+rustrak"))
    with database.reading() as connection:
        look = inspect(connection)
        assert sorted(look.get_table_names()) == sorted([*schema.TABLES, schema.VERSION_TABLE])
        for table in schema.metadata.sorted_tables:
            found = [(each["name"], each["nullable"], each["comment"]) for each in look.get_columns(table.name)]
            assert found == [(each.name, each.nullable, each.comment) for each in table.columns]
        assert len(look.get_sequence_names()) == 4
        version = connection.exec_driver_sql(f"SELECT version_num FROM {schema.VERSION_TABLE}").scalar()
    assert version == HEAD
    database.close()
    store.close()


def test_an_older_file_is_migrated(duckdb_url: str) -> None:
    """A file that an earlier version made gets what came since, and keeps what it holds."""
    store = open_store(duckdb_url)
    event = digested(create_project(store, "x"), 1)
    record_one(store, event)
    store.close()
    older = ("DROP TABLE rustrak_term", "DROP TABLE rustrak_issue_terms")
    change(duckdb_url, *older, f"UPDATE {schema.VERSION_TABLE} SET version_num = '0005'")
    store = open_store(duckdb_url)
    store.check()
    assert store.event(event.event_id).payload == event.payload
    assert store.similar_issues(store.event(event.event_id).summary.issue_id, limit=5) == []
    store.close()


def test_a_newer_schema_is_refused(duckdb_url: str) -> None:
    """A file that a newer rustrak migrated is left alone."""
    change(duckdb_url, f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(SchemaError, match="install a newer rustrak"):
        open_store(duckdb_url)


def test_strange_tables_are_refused(tmp_path: Path) -> None:
    """A file with tables named like ours, a dataset of another program say, is left alone."""
    url = f"duckdb:///{tmp_path}/errors.duckdb"
    change(url, "CREATE TABLE rustrak_event (id INTEGER)")
    with pytest.raises(SchemaError, match="use another database"):
        open_store(url)


def test_not_a_database(tmp_path: Path) -> None:
    """A file that is no DuckDB database is not touched, and the text says so."""
    path = tmp_path / "errors.duckdb"
    path.write_bytes(b"a diary, not a database\n" * 1000)
    with pytest.raises(StoreUnavailableError, match="no DuckDB database"):
        open_store(f"duckdb:///{path}")
    assert path.read_bytes() == b"a diary, not a database\n" * 1000


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there is told of, and so is one in the place of the file."""
    with pytest.raises(StoreUnavailableError, match="check that its folder exists"):
        open_store(f"duckdb:///{tmp_path}/none/errors.duckdb")
    with pytest.raises(StoreUnavailableError, match="name a file"):
        open_store(f"duckdb:///{tmp_path}")


@pytest.mark.parametrize("asked", ["memory_limit=much", "threads=0", "threads=x", "access_mode=read_only"])
def test_settings_in_the_url(duckdb_url: str, asked: str) -> None:
    """A URL may set how much memory and how many threads DuckDB takes, and nothing that DuckDB does not understand."""
    with pytest.raises(ConfigurationError, match=r"memory_limit.*threads"):
        open_store(f"{duckdb_url}?{asked}")
    open_store(f"{duckdb_url}?memory_limit=300MB&threads=1").close()


def test_stores_of_one_process_share_settings(duckdb_url: str) -> None:
    """They are of the file: whoever asks for others than it is open with is told; who asks for none is not."""
    for first, asked in (("", "?memory_limit=300MB"), ("?memory_limit=300MB&threads=2", "?threads=1")):
        store = open_store(f"{duckdb_url}{first}")
        with pytest.raises(ConfigurationError, match=r"open already, with (memory_limit=512MB|threads=2); "):
            open_store(f"{duckdb_url}{asked}")
        for same in ("", first.lower()):
            open_store(f"{duckdb_url}{same}").close()
        store.check()
        store.close()
    open_store(f"{duckdb_url}?memory_limit=300MB").close()


INTERRUPTED = """
import os, signal, sys
from threading import Timer
from rustrak_storage.factory import open_store
from rustrak_storage.interrupting import heed_ctrl_c

heed_ctrl_c()
signal.signal(signal.SIGINT, signal.default_int_handler)
store = open_store(sys.argv[1])
Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    with store._database.reading() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM range(10000000000) AS a, range(1000) AS b")
except KeyboardInterrupt:
    print("interrupted", store.last_event_number())
store.close()
"""


def test_ctrl_c_ends_a_statement(duckdb_url: str) -> None:
    """Of a command, at once; the store can be used on."""
    open_store(duckdb_url).close()
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, duckdb_url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (60, 60)),
    )
    assert (done.stdout, done.stderr) == ("interrupted 0\n", "")


def test_a_file_that_is_gone(duckdb_url: str, tmp_path: Path) -> None:
    """A store whose tables were dropped says so, and in its text stands no SQL."""
    shutil.copy(path_of(duckdb_url), tmp_path / "other.duckdb")
    url = f"duckdb:///{tmp_path}/other.duckdb"
    change(url, "DROP TABLE rustrak_token")
    store = open_store(url)
    with pytest.raises(StoreUnavailableError, match="tables are missing") as caught:
        store.tokens(ListQuery())
    assert "rustrak_token" not in str(caught.value)
    store.close()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('IO Error: Cannot open file "x": Permission denied', "check who owns it"),
        ('Cannot execute statement of type "INSERT" on database "x" which is attached in read-only mode!', "who owns"),
        ("IO Error: Could not write file: No space left on device", "free some space"),
        ("Out of Memory Error: could not allocate block", "memory_limit"),
        ("FATAL Error: database has been invalidated because of a previous fatal error", "restart"),
        ("something else", None),
    ],
)
def test_what_is_told_of_an_error(said: str, told: str | None) -> None:
    """For what goes wrong with a file, the text says what to do."""
    found = hint(RuntimeError(said))
    assert found is None if told is None else told in (found or "")
