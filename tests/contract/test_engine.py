"""What the SQL store promises beside the contract: durability, errors without secrets, readers beside a writer."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zstandard
from sqlalchemy import Connection, create_engine, insert, make_url, text

from rustrak_core.errors import ConfigurationError, StoreRefusedError, StoreUnavailableError
from rustrak_core.page import ListQuery
from rustrak_core.ports import ForkableStore
from rustrak_storage.factory import open_store
from rustrak_storage.sql import SqlStore, payloads, schema
from rustrak_storage.sql.engine import Database
from rustrak_storage.testing.values import NOW, create_project, digested, record_one


def test_sqlite_commits_are_durable(sqlite_url: str) -> None:
    """A commit is on disk when it returns (the spool forgets what was committed), and readers go on meanwhile."""
    database = Database(make_url(sqlite_url))
    with database.reading() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
    database.close()


def test_readers_do_not_wait_for_a_writer(sqlite_url: str) -> None:
    """While one transaction writes, others read what stood before."""
    store = open_store(sqlite_url)
    project = create_project(store, "x")
    writer = sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE rustrak_project SET name = 'y'")
    assert store.project(project.id).name == "x"
    writer.execute("COMMIT")
    assert store.project(project.id).name == "y"
    writer.close()
    store.close()


def test_writers_wait_for_one_another(sqlite_url: str) -> None:
    """A writer waits for that of another process, and then writes."""
    store = open_store(sqlite_url)
    writer = sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(create_project, store, "x")
        timer = threading.Timer(0.2, lambda: writer.execute("COMMIT"))
        timer.start()
        assert waiting.result().name == "x"
        timer.join()
    writer.close()
    store.close()


def test_closing_empties_the_log(sqlite_url: str) -> None:
    """What was recorded stands in the file itself once a store is closed, also where others keep it open."""
    path = Path(make_url(sqlite_url).database or "")
    store, other = open_store(sqlite_url), open_store(sqlite_url)
    other.check()
    record_one(store, digested(create_project(store, "x"), 1))
    log = path.with_name(path.name + "-wal")
    assert log.stat().st_size > 0
    store.close()
    assert log.stat().st_size == 0
    other.close()
    assert not log.exists()


def test_closing_does_not_wait_for_a_reader(sqlite_url: str) -> None:
    """Whoever reads an old state keeps the log from being emptied, and nobody from closing."""
    store = open_store(sqlite_url)
    project = create_project(store, "x")
    reader = sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM rustrak_event").fetchall()
    event = digested(project, 1)
    record_one(store, event)
    store.close()
    reader.execute("COMMIT")
    reader.close()
    store = open_store(sqlite_url)
    assert store.event(event.event_id).payload == event.payload
    store.close()


@pytest.mark.parametrize("call", ["read", "write"])
def test_driver_errors_stay_within(sqlite_url: str, call: str) -> None:
    """A database that breaks is a store that is not available; the text has no SQL, and the cause no values."""
    store = open_store(sqlite_url)
    project = create_project(store, "x")
    with sqlite3.connect(make_url(sqlite_url).database or "") as other:
        other.execute("DROP TABLE rustrak_token")
        other.execute("DROP TABLE rustrak_issue_user")
    other.close()
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: store.tokens(ListQuery()),
        "write": lambda: store.create_token(sha256=b"secret" * 6, prefix="a1b2", description="secret", now=NOW),
    }
    with pytest.raises(StoreUnavailableError) as caught:
        calls[call]()
    assert "rustrak_token" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "secret" not in str(caught.value.__cause__)
    assert record_one(store, digested(project, 1)).event_count == 1
    store.close()


def test_what_is_refused_is_told_apart(sqlite_url: str) -> None:
    """What a database will never take is another error than one that is away, and is not tried for ever."""
    database = Database(make_url(sqlite_url))
    tried: list[int] = []

    def work(connection: Connection) -> None:
        tried.append(1)
        connection.execute(insert(schema.state).values(name="started", value=0))

    with pytest.raises(StoreRefusedError, match="does not take") as caught:
        database.write(work)
    assert 1 < len(tried) < 10
    assert "INSERT" not in str(caught.value)
    database.close()


def test_work_that_fails_is_rolled_back(sqlite_url: str) -> None:
    """An exception within a transaction leaves nothing of it."""
    database = Database(make_url(sqlite_url))

    def work(connection: Connection) -> None:
        connection.execute(insert(schema.state).values(name="other", value=0))
        raise KeyError

    with pytest.raises(KeyError):
        database.write(work)
    with database.reading() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM rustrak_state")).scalar() == 1
    database.close()


@pytest.mark.needs_server
@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_deadlocks_are_tried_again(emptied: Callable[[str], str], server: str) -> None:
    """Where two transactions wait for each other crosswise, both are done in the end."""
    database = Database(_driver_url(emptied(server)))
    database.write(lambda connection: connection.execute(insert(schema.state), [{"name": n, "value": 0} for n in "ab"]))
    both = threading.Barrier(2)
    tries: list[str] = []

    def work(connection: Connection, order: str) -> None:
        first = order not in tries
        tries.append(order)
        for name in order:
            connection.execute(text("UPDATE rustrak_state SET value = value + 1 WHERE name = :name"), {"name": name})
            if first and name == order[0]:
                both.wait(timeout=20)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda order: database.write(lambda connection: work(connection, order)), ["ab", "ba"]))
    with database.reading() as connection:
        values = connection.execute(text("SELECT value FROM rustrak_state WHERE name IN ('a', 'b')")).scalars().all()
    assert values == [2, 2]
    assert len(tries) == 3
    database.close()


@pytest.mark.needs_server
@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_connections_that_were_cut_are_replaced(emptied: Callable[[str], str], server: str) -> None:
    """When the server cuts connections, as a restart does, the next call makes new ones."""
    url = emptied(server)
    store = open_store(url)
    project = create_project(store, "x")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        _cut_others(connection)
    engine.dispose()
    assert store.project(project.id) == project
    assert record_one(store, digested(project, 1)).event_count == 1
    store.close()


@pytest.mark.needs_server
@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_work_whose_connection_broke_is_done_again(emptied: Callable[[str], str], server: str) -> None:
    """A connection that breaks before the commit costs another try; what was written on it is not there twice."""
    url = emptied(server)
    database = Database(_driver_url(url))
    other = create_engine(url, isolation_level="AUTOCOMMIT")
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        connection.execute(insert(schema.state).values(name="cut", value=7))
        if len(tries) == 1:
            with other.connect() as second:
                _cut_others(second)
        connection.execute(text("UPDATE rustrak_state SET value = value + 1 WHERE name = 'cut'"))

    database.write(work)
    with database.reading() as connection:
        assert connection.execute(text("SELECT value FROM rustrak_state WHERE name = 'cut'")).scalars().all() == [8]
    assert len(tries) == 2
    other.dispose()
    database.close()


@pytest.mark.needs_server
def test_a_commit_without_an_answer_is_not_done_again(emptied: Callable[[str], str]) -> None:
    """Whether it was committed nobody knows, so that it is said instead: the spool waits, and looks how far it is."""
    url = emptied("postgres")
    database = Database(_driver_url(url))
    other = create_engine(url, isolation_level="AUTOCOMMIT")
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        connection.execute(insert(schema.state).values(name="cut", value=7))
        with other.connect() as second:
            _cut_others(second)

    with pytest.raises(StoreUnavailableError):
        database.write(work)
    assert len(tries) == 1
    other.dispose()
    database.close()


@pytest.mark.needs_server
def test_who_only_reads_is_left(emptied: Callable[[str], str]) -> None:
    """After a failover a server may go on as one that takes no writes: its connections are given up."""
    database = Database(_driver_url(emptied("postgres")))
    tries: list[int] = []

    def work(connection: Connection) -> None:
        tries.append(1)
        if len(tries) == 1:
            connection.execute(text("SET TRANSACTION READ ONLY"))
        connection.execute(insert(schema.state).values(name="moved", value=7))

    database.write(work)
    assert len(tries) == 2
    database.close()


@pytest.mark.needs_server
def test_the_pool_is_as_large_as_asked_for(emptied: Callable[[str], str]) -> None:
    """The URL says how many connections a process has open at most; a wrong number is refused, with what to write."""
    database = Database(make_url(emptied("postgres") + "?pool_size=3"))
    pool: Any = database._engine.pool
    assert (pool.size(), pool._max_overflow) == (3, 0)
    database.close()
    for wrong in ("1", "many", "-3", "0"):
        with pytest.raises(ConfigurationError, match=r"pool_size must be a number from 2 to 1000"):
            open_store(f"postgresql://u@127.0.0.1:1/x?pool_size={wrong}")


def _cut_others(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
        return
    query = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    for number in connection.execute(text(query)).scalars().all():
        connection.execute(text(f"KILL {int(number)}"))


def _driver_url(url: str) -> Any:
    return make_url(url)


def test_payloads_name_their_codec(sqlite_url: str) -> None:
    """Payloads are packed where that is worth it, in a table of their own that tells how; what was shed has no size."""
    store = open_store(sqlite_url)
    assert isinstance(store, SqlStore)
    project = create_project(store, "x")
    sent = [hashlib.shake_256(b"no two alike").digest(300), b'{"a": "b"}' * 500, None]
    store.record([digested(project, n, payload=payload) for n, payload in enumerate(sent)])
    with sqlite3.connect(make_url(sqlite_url).database or "") as other:
        rows = other.execute(
            "SELECT codec, dictionary, size, LENGTH(data) FROM rustrak_payload ORDER BY event"
        ).fetchall()
    other.close()
    assert [row[:3] for row in rows] == [("plain", None, 300), ("packed", None, 5000), ("packed", None, 0)]
    assert 300 < rows[0][3] < 500
    assert rows[1][3] < 200
    assert rows[2][3] < 150
    store.close()


def test_payload_that_is_damaged(sqlite_url: str) -> None:
    """A payload that cannot be read is our error, and costs no other event."""
    store = open_store(sqlite_url)
    project = create_project(store, "x")
    events = [digested(project, n, payload=b'{"a": "b"}' * 50) for n in (1, 2)]
    store.record(events)
    with sqlite3.connect(make_url(sqlite_url).database or "") as other:
        other.execute("UPDATE rustrak_payload SET data = x'00' WHERE event = 1")
    other.close()
    with pytest.raises(StoreUnavailableError, match="payload cannot be read"):
        store.event(events[0].event_id)
    assert store.event(events[1].event_id).payload == events[1].payload
    store.close()


def test_unknown_codec() -> None:
    """A codec of a later version is refused."""
    with pytest.raises(ValueError, match="unknown codec"):
        payloads.decode("later", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\x28\xb5\x2f\xfd\xe0" + (2**61).to_bytes(8, "little") + bytes(20),  # says that it unpacks to two exabytes
        zstandard.compress(b"{}" * 40)[:-1],
        zstandard.compress(b"{}" * 40) + b"x",
        zstandard.compress(b"{}" * 40)[:12] + b"x" * 9,
    ],
)
def test_damaged_data(data: bytes) -> None:
    """Whatever stands where a payload should, it is named as damage, and takes no memory."""
    with pytest.raises(ValueError, match="damaged"):
        payloads.decode("packed", data)


def test_facets_say_when_there_are_more(sqlite_url: str, tmp_path: Path) -> None:
    """Of one key a thousand values are kept; how many events have another one is kept beside."""
    store = open_store(sqlite_url)
    project = create_project(store, "x")
    store.record([digested(project, n, tags=(("n", str(n)),)) for n in range(1003)])
    store.record([digested(project, 5000 + n, tags=(("n", str(n)),)) for n in (1, 1002)])
    with sqlite3.connect(make_url(sqlite_url).database or "") as other:
        kept = other.execute("SELECT value_count, other FROM rustrak_facet_key WHERE key = 'tag:n'").fetchall()
        count = other.execute("SELECT COUNT(*), SUM(count) FROM rustrak_facet WHERE key = 'tag:n'").fetchall()
    other.close()
    assert kept == [(1000, 4)]
    assert count == [(1000, 1001)]
    store.close()


def test_a_store_goes_on_after_it_disconnected(tmp_path: Path) -> None:
    """It opens connections anew when it is asked, here and in a process that is forked meanwhile."""
    store = open_store(f"sqlite:///{tmp_path / 'kept.db'}")
    assert isinstance(store, ForkableStore)
    project = create_project(store, "kept")
    store.disconnect()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = int(store.project(project.id).slug != project.slug)
            store.close()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.project(project.id) == project
    store.close()


def test_sqlite_loads_no_dialect_of_postgresql(tmp_path: Path) -> None:
    """Every process of a server holds what the store loads, so one on SQLite does without the largest other dialect."""
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    open_store(url).close()  # whose migrations load all
    probe = (
        "import sys; from rustrak_storage.factory import open_store; open_store(sys.argv[1]).close();"
        "print([name for name in sys.modules if name.startswith('sqlalchemy.dialects.postgresql')])"
    )
    done = subprocess.run([sys.executable, "-c", probe, url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
