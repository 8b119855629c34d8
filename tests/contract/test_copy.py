"""A whole store, moved from any database to any other: all that it holds, once, or nothing that anyone takes for it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from rustrak_core.digested import GroupingKey
from rustrak_core.errors import ConfigurationError, SchemaError, StoreRefusedError, StoreUnavailableError
from rustrak_core.issue import ShortId
from rustrak_storage.factory import check_database, copy_database, open_store, upgrade_database
from rustrak_storage.sql import SqlStore, copying, schema
from rustrak_storage.testing.values import NOW, create_project, digested
from rustrak_storage.upkeep import Bar
from tests.contract import whole
from tests.contract.conftest import clear
from tests.contract.whole import beside, tables_of
from tests.databases import text_of

SERVERS = [pytest.param(name, marks=pytest.mark.needs_server) for name in ("postgres", "mariadb")]
PAIRS = [
    pytest.param(*pair, marks=pytest.mark.needs_server if set(pair) - {"sqlite", "duckdb"} else ())
    for pair in (
        ("sqlite", "sqlite"),
        ("sqlite", "postgres"),
        ("postgres", "mariadb"),
        ("mariadb", "duckdb"),
        ("duckdb", "sqlite"),
        ("duckdb", "duckdb"),
    )
]
ROOT = Path(__file__).parent.parent.parent
Url = Callable[[str], str]


@pytest.fixture
def source_url(request: pytest.FixtureRequest) -> Url:
    """The URL of an empty store on a kind of database."""

    def of(kind: str) -> str:
        if kind in {"sqlite", "duckdb"}:
            url: str = request.getfixturevalue(f"{kind}_url")
        else:
            url = request.getfixturevalue("emptied")(kind)
        return url

    return of


@pytest.fixture
def target_url(request: pytest.FixtureRequest, tmp_path: Path) -> Url:
    """The URL of a database without any table, of a kind."""

    def of(kind: str) -> str:
        if kind in {"sqlite", "duckdb"}:
            return f"{kind}:///{tmp_path}/target.db"
        url = request.getfixturevalue("blank_database")(kind)
        clear(url)
        return text_of(url)

    return of


@pytest.fixture(params=["sqlite", "duckdb", *SERVERS])
def target(request: pytest.FixtureRequest, target_url: Url) -> str:
    """The URL of a database without any table, on each of the databases."""
    return target_url(request.param)


@pytest.fixture
def source(sqlite_url: str) -> str:
    """The URL of a store with two projects and forty events."""
    store = open_store(sqlite_url)
    for name in ("Shop", "Till"):
        project = create_project(store, name)
        store.record([digested(project, number, f"issue {number % 4}") for number in range(20)])
    store.close()
    return sqlite_url


def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that a store holds, but for facts about a process at work."""
    with beside(url) as connection:
        found = {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in schema.metadata.sorted_tables
        }
    found["rustrak_state"] = [row for row in found["rustrak_state"] if row[0] != "training"]
    return found


def ids_after(url: str) -> tuple[int, int, int, int]:
    """Return the ids that a new project, token, issue and event get."""
    store = open_store(url)
    assert isinstance(store, SqlStore)
    project = create_project(store, "New")
    token = store.create_token(sha256=b"new" * 10 + b"!!", prefix="a1b2", description=None, now=NOW)
    (recorded,) = store.record([digested(project, 1)])
    number = store.last_event_number()
    store.close()
    assert recorded.issue_id is not None
    return project.id, token.id, recorded.issue_id, number


@pytest.mark.parametrize(("kind", "other"), PAIRS)
def test_all_is_copied(source_url: Url, target_url: Url, kind: str, other: str) -> None:
    """Whatever a store can hold: every row of every table, as it was; and it works on."""
    here, there = source_url(kind), target_url(other)
    whole.fill(here)
    before = rows_of(here)
    assert [name for name, rows in before.items() if not rows] == [], "fill it, so that its copying is tried"
    copied = copy_database(here, there)
    assert {each.table: each.rows for each in copied} == {name: len(rows) for name, rows in before.items()}
    assert len({each.checksum for each in copied}) == len(copied)
    assert rows_of(there) == before == rows_of(here)
    assert check_database(there, payloads=None).findings == []
    store, old = open_store(there), open_store(here)
    issue = store.issue(ShortId("SHOP-1"))
    assert issue == old.issue(ShortId("SHOP-1"))
    (recorded,) = store.record([digested(issue.project_id, 7000, "issue 0")])
    assert recorded.issue_id == issue.id
    (opened,) = store.record([digested(issue.project_id, 7001, "never seen")])
    assert opened.issue_id is not None
    assert store.issue(opened.issue_id).short_id == "SHOP-7"
    old.close()
    store.close()


@pytest.mark.parametrize(("kind", "other"), PAIRS)
def test_no_id_is_used_again(source_url: Url, target_url: Url, kind: str, other: str) -> None:
    """Also the highest ones, whose rows were deleted before."""
    here, there = source_url(kind), target_url(other)
    store = open_store(here)
    project = create_project(store, "x")
    token = store.create_token(sha256=b"t" * 32, prefix="a1b2", description=None, now=NOW)
    (recorded,) = store.record([digested(project, 1)])
    event = store.last_event_number()
    assert recorded.issue_id is not None
    store.delete_token(token.id)
    store.delete_issue(recorded.issue_id, now=NOW)
    while store.purge():
        pass
    store.close()
    copy_database(here, there)
    expected = (project.id, token.id, recorded.issue_id, event)
    assert all(new > old for new, old in zip(ids_after(there), expected, strict=True))


def test_a_destination_that_is_not_empty(source: str, target: str) -> None:
    """It is refused and stays as it is, whatever is in it."""
    store = open_store(target)
    project = create_project(store, "Precious")
    store.delete_project(project.id, now=NOW)
    store.close()
    before = rows_of(target)
    with pytest.raises(ConfigurationError, match="holds a store already"):
        copy_database(source, target)
    assert rows_of(target) == before
    open_store(target).close()


def test_an_empty_store_is_a_destination(source: str, target: str) -> None:
    """One with tables and nothing in them; once it has a copy, it is refused."""
    upgrade_database(target)
    copy_database(source, target)
    assert rows_of(target) == rows_of(source)
    with pytest.raises(ConfigurationError, match="holds a store already"):
        copy_database(source, target)


class Interrupted(BaseException):
    """What ends a process."""


def bar_that(at: int, what: Callable[[], object]) -> Bar:
    """Return what is told how far a copy is, and does *what* when batch number *at* is done."""
    told: list[int] = []

    @contextmanager
    def bar(_what: str, _total: int) -> Iterator[Callable[[int], None]]:
        def advance(steps: int) -> None:
            told.append(steps)
            if len(told) == at:
                what()

        yield advance

    return bar


def stop() -> None:
    raise Interrupted


@pytest.mark.parametrize("at", [1, 6, 15])
def test_interrupted_it_begins_anew(source: str, target: str, at: int) -> None:
    """What is there of it is refused by whoever opens it, until the next copy is complete."""
    with pytest.raises(Interrupted):
        copy_database(source, target, bar=bar_that(at, stop))
    for use in (open_store, upgrade_database):
        with pytest.raises(SchemaError, match=r"copy that is not complete.*`rustrak db copy`"):
            use(target)
    (finding,) = check_database(target, payloads=None).findings
    assert "not complete" in finding.found
    with pytest.raises(SchemaError, match="copy that is not complete"):
        copy_database(target, f"{source}2")
    store = open_store(source)
    store.delete_issue(ShortId("SHOP-1"), now=NOW)
    while store.purge():
        pass
    store.close()
    copy_database(source, target)
    assert rows_of(target) == rows_of(source)
    open_store(target).close()


def test_whoever_has_it_open_is_told(source: str, target: str) -> None:
    """A server that runs on the destination already is not ready while it is filled."""
    store = open_store(target)

    def look() -> None:
        with pytest.raises(SchemaError, match="copy that is not complete"):
            store.check()

    copy_database(source, target, bar=bar_that(2, look))
    store.check()
    store.close()


@pytest.mark.slow
def test_killed(source: str, target: str) -> None:
    """A process that is killed in the midst of it leaves a copy that is refused, and is done again."""
    script = (
        "import sys\nfrom rustrak_storage.factory import copy_database\nfrom tests.contract.test_copy import bar_that\n"
        "def wait():\n    print('half', flush=True)\n    sys.stdin.read()\n"
        "copy_database(*sys.argv[1:], bar=bar_that(4, wait))\n"
    )
    command = [sys.executable, "-c", script, source, target]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(SchemaError, match="copy that is not complete"):
        open_store(target)
    copy_database(source, target)
    assert rows_of(target) == rows_of(source)


def test_two_at_once(source: str, target: str) -> None:
    """The later one is done whole, and the earlier one ends."""
    with pytest.raises(StoreUnavailableError, match="another copy to the same destination was begun"):
        copy_database(source, target, bar=bar_that(3, lambda: copy_database(source, target)))
    assert rows_of(target) == rows_of(source)
    open_store(target).close()


def test_what_is_recorded_meanwhile(source: str, target: str) -> None:
    """The source may be in use: the copy is of the moment at which it began."""
    before = rows_of(source)
    store = open_store(source)
    late = [digested(store.project_by_slug("shop"), 800 + number, f"late {number}") for number in range(9)]
    copy_database(source, target, bar=bar_that(3, lambda: store.record(late)))
    store.close()
    assert rows_of(target) == before
    assert rows_of(source) != before
    assert check_database(target, payloads=None).findings == []


def test_another_writes_to_the_destination(source: str, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not as it was in the source is found, named, and not used."""
    key = GroupingKey(mechanism="message@1", value="ab" * 16)

    def write() -> None:
        with beside(target) as connection:
            row = {"project_id": 1, "value": bytes.fromhex(key.value), "mechanism": key.mechanism, "issue_id": None}
            connection.execute(insert(schema.newer_key).values(row))

    compare = copying._compare

    def meddled(*args: Any) -> None:
        write()
        compare(*args)

    monkeypatch.setattr(copying, "_compare", meddled)
    with pytest.raises(StoreRefusedError, match="table rustrak_newer_key is not as in the source: 1 rows of 0"):
        copy_database(source, target)
    with pytest.raises(SchemaError, match="copy that is not complete"):
        open_store(target)


def test_an_older_source(source: str, target: str) -> None:
    """It must be brought to this version before; nothing is made at the destination."""
    with beside(source) as connection:
        connection.execute(text("UPDATE rustrak_schema_version SET version_num = '0003'"))
    with pytest.raises(SchemaError, match="`rustrak db upgrade`"):
        copy_database(source, target)
    assert tables_of(target) == []


def test_no_two_databases(source: str, tmp_path: Path) -> None:
    """A source that is not there, the same database twice, and stores whose ids nobody can choose."""
    there = f"sqlite:///{tmp_path}/there.db"
    with pytest.raises(ConfigurationError, match=r"there is no database at .*none\.db"):
        copy_database(f"sqlite:///{tmp_path}/none.db", there)
    with pytest.raises(ConfigurationError, match="the same database"):
        copy_database(source, f"{source}?timeout=5")
    for pair in ((source, "memory://"), ("memory://", there)):
        with pytest.raises(ConfigurationError, match="memory:// keeps no tables of ours"):
            copy_database(*pair)
    assert not (tmp_path / "there.db").exists()


def test_memory_is_bounded(sqlite_url: str) -> None:
    """Large payloads come a few at a time, and one that is larger than a batch alone."""
    store = open_store(sqlite_url)
    project = create_project(store, "x")
    sizes = [10, 3_000_000, 3_000_000, 9_000_000, *[10] * 50]
    store.record([digested(project, n, payload=os.urandom(size)) for n, size in enumerate(sizes)])
    assert isinstance(store, SqlStore)
    with store._database.reading() as connection:
        found = [len(rows) for rows in copying.pages(connection, schema.payload)]
    store.close()
    assert found == [2, 1, 1, 50]


def test_sums_tell_rows_apart() -> None:
    """Their order makes no difference; a value, its type, its place or how often a row is there does."""
    rows: list[tuple[Any, ...]] = [(1, "a", b"x", None), (2, "b", b"y", "c")]

    def of(*rows: tuple[Any, ...]) -> str:
        total = copying.Sum()
        total.add(rows)
        return total.checksum

    same = of(*rows)
    assert of(*reversed(rows)) == same
    others = [
        of(rows[0]),
        of(*rows, rows[0]),
        of((1, "a", b"x", ""), rows[1]),
        of((1, b"a", b"x", None), rows[1]),
        of((2, "a", b"x", None), (1, "b", b"y", "c")),
    ]
    assert len({same, *others}) == 6
