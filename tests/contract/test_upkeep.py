"""The database as a whole: brought to this version, and looked at; what is wrong is named with what to do."""

import os
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from rustrak_core.errors import ConfigurationError
from rustrak_storage.factory import check_database, open_store, upgrade_database
from rustrak_storage.sql.invariants import INVARIANTS
from rustrak_storage.sql.migrate import HEAD
from rustrak_storage.testing.values import create_project, digested
from rustrak_storage.upkeep import Upgraded
from tests.contract import whole
from tests.contract.test_migrations import EVENTS
from tests.contract.test_migrations import fill as fill_0001
from tests.contract.whole import beside


@pytest.fixture(
    params=[
        "sqlite",
        "duckdb",
        pytest.param("postgres", marks=pytest.mark.needs_server),
        pytest.param("mariadb", marks=pytest.mark.needs_server),
    ]
)
def whole_url(request: pytest.FixtureRequest) -> str:
    """The URL of a store that holds something of everything, on each of the databases."""
    if request.param in {"sqlite", "duckdb"}:
        url: str = request.getfixturevalue(f"{request.param}_url")
    else:
        url = request.getfixturevalue("emptied")(request.param)
    whole.fill(url)
    return url


def do(url: str, *statements: str) -> None:
    """Change a database behind the store's back."""
    with beside(url) as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_upgrade_tells_from_where_to_where(blank_url: str) -> None:
    """From nothing, from an older version, and from this one."""
    assert upgrade_database(blank_url) == Upgraded(before=None, after=HEAD)
    assert upgrade_database(blank_url) == Upgraded(before=HEAD, after=HEAD)


def test_upgrade_shows_how_far_it_is(blank_url: str) -> None:
    """A step that takes long on many events tells of each batch."""
    fill_0001(blank_url)
    shown: list[tuple[str, int]] = []

    @contextmanager
    def bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
        shown.append((what, total))
        yield lambda steps: shown.append(("more", steps))

    assert upgrade_database(blank_url, bar=bar) == Upgraded(before="0001", after=HEAD)
    assert shown[0] == ("Packing payloads anew", len(EVENTS))
    assert sum(steps for _more, steps in shown[1:]) == len(EVENTS)


def test_all_is_well(whole_url: str) -> None:
    """With something of everything, work under way and rows that wait to be purged, nothing is found or changed."""
    done = check_database(whole_url, payloads=None)
    assert done.findings == []
    assert (done.schema, done.newest) == (HEAD, HEAD)
    assert done.looked_at["payloads"] == done.looked_at["events"] > whole.EVENTS
    assert check_database(whole_url, payloads=7).looked_at["payloads"] == 7
    assert check_database(whole_url, payloads=0).findings == []


DAMAGE = {
    "user-counts": ["UPDATE rustrak_issue SET user_count = 77 WHERE number = 3 AND project_id = {shop}"],
    "project-counts": ["UPDATE rustrak_project SET issue_count = issue_count + 1 WHERE id = {till}"],
    "short-ids": ["UPDATE rustrak_project SET last_number = last_number - 1 WHERE id = {shop}"],
    "facet-counts": ["DELETE FROM rustrak_facet WHERE value = 'north 1'"],
    "counters": ["UPDATE rustrak_counter SET quantity = 1 WHERE outcome = 'stored'"],
    "payloads": ["UPDATE rustrak_payload SET codec = 'later' WHERE event = {event}"],
    "event-counts": ["UPDATE rustrak_issue SET event_count = event_count + 1 WHERE number = 3 AND project_id = {shop}"],
    "grouping-keys": ["UPDATE rustrak_grouping_key SET issue_id = {merged} WHERE project_id = {till}"],
    "merges": ["UPDATE rustrak_issue SET leads_to = 99999999 WHERE leads_to IS NOT NULL"],
    "events": ["UPDATE rustrak_event SET issue_id = 99999999 WHERE id = {event}"],
    "payload-rows": ["UPDATE rustrak_payload SET event = 99999999 WHERE event = {event}"],
    "dictionaries": ["DELETE FROM rustrak_dictionary"],
}
"""What is damaged, one after another, each with the check that finds it and did not before."""


def test_what_is_wrong_is_named(whole_url: str) -> None:
    """Each with where it is and what to do; the database stays as it is."""
    with beside(whole_url) as connection:
        ids = {
            "shop": connection.execute(text("SELECT id FROM rustrak_project WHERE slug = 'shop'")).scalar(),
            "till": connection.execute(
                text("SELECT id FROM rustrak_project WHERE slug <> 'shop' ORDER BY id")
            ).scalar(),
            "event": connection.execute(text("SELECT MIN(id) + 20 FROM rustrak_event")).scalar(),
            "merged": connection.execute(text("SELECT MIN(id) FROM rustrak_issue WHERE leads_to > 0")).scalar(),
        }
    before: set[str] = set()
    for name, statements in DAMAGE.items():
        assert name not in before
        do(whole_url, *(statement.format(**ids) for statement in statements))
        findings = check_database(whole_url, payloads=None).findings
        mine = [finding for finding in findings if finding.check == name]
        assert mine, name
        assert all(finding.todo and any(c.isdigit() for c in finding.found) for finding in mine)
        before = {finding.check for finding in findings}
    assert {finding.check for finding in check_database(whole_url, payloads=None).findings} == before


def test_every_invariant_is_tried() -> None:
    """A new one needs a case above."""
    assert set(INVARIANTS) < set(DAMAGE)


def test_findings_are_cut(sqlite_url: str) -> None:
    """Of a fault that is everywhere, some cases are told, and that there are more."""
    whole.fill(sqlite_url)
    do(sqlite_url, "UPDATE rustrak_payload SET codec = 'later'")
    done = check_database(sqlite_url, payloads=None)
    assert len(done.findings) == 20
    assert done.cut == ["payloads"]


def test_no_more_is_fetched_than_is_told(whole_url: str) -> None:
    """Of a fault that is in every row, drivers that fetch all that a statement gives get no more than is looked for."""
    do(whole_url, "UPDATE rustrak_payload SET event = event + 99999999")
    fetched: list[int] = []

    def note(_connection: object, cursor: Any, *_: object) -> None:
        fetched.append(cursor.rowcount)

    event.listen(Engine, "after_cursor_execute", note)
    try:
        done = check_database(whole_url, payloads=0)
    finally:
        event.remove(Engine, "after_cursor_execute", note)
    assert {"events", "payload-rows"} <= set(done.cut)
    assert max(fetched) <= 50 or whole_url.startswith("sqlite"), sorted(fetched)


def test_payloads_are_read_in_bounded_memory(sqlite_url: str) -> None:
    """However many large payloads are read, some of them are in memory at a time."""
    store = open_store(sqlite_url)
    project = create_project(store, "x")
    size = 200_000
    for number in range(200):
        store.record([digested(project, number, payload=b'{"x": "%s"}' % os.urandom(size // 2).hex().encode())])
    store.close()
    tracemalloc.start()
    try:
        assert check_database(sqlite_url, payloads=None).findings == []
        assert tracemalloc.get_traced_memory()[1] < 75 * size
    finally:
        tracemalloc.stop()


def test_a_damaged_file(sqlite_url: str) -> None:
    """An index that lacks a row is found where all is looked at."""
    whole.fill(sqlite_url)
    path = sqlite_url.removeprefix("sqlite:///")
    with sqlite3.connect(path, isolation_level=None) as other:
        sql = "SELECT sql FROM sqlite_master WHERE name = 'ix_rustrak_event_issue'"
        kept = other.execute(sql).fetchone()[0]
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'ix_rustrak_event_issue'", [f"{kept} WHERE 0"])
    other.close()
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM rustrak_payload WHERE event = 20")
        other.execute("DELETE FROM rustrak_event WHERE id = 20")
    other.close()
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("PRAGMA writable_schema = ON")
        other.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'ix_rustrak_event_issue'", [kept])
    other.close()
    findings = check_database(sqlite_url, payloads=None).findings
    assert "file" in {finding.check for finding in findings}
    assert "file" not in {finding.check for finding in check_database(sqlite_url, payloads=10).findings}


@pytest.mark.parametrize("version", ["0003", "9999"])
def test_another_version_is_a_finding(blank_url: str, version: str) -> None:
    """It says what to do, and no more is looked at."""
    upgrade_database(blank_url)
    do(blank_url, f"UPDATE rustrak_schema_version SET version_num = '{version}'")
    done = check_database(blank_url, payloads=None)
    (finding,) = done.findings
    assert (finding.check, done.schema) == ("schema", version)
    assert ("rustrak db upgrade" if version == "0003" else "pip install --upgrade") in finding.todo


def test_no_schema(blank_url: str) -> None:
    """A database without tables gets none by being looked at."""
    if blank_url.startswith("sqlite"):
        with pytest.raises(ConfigurationError, match="there is no database at"):
            check_database(blank_url, payloads=None)
        assert not Path(blank_url.removeprefix("sqlite:///")).exists()
        return
    (finding,) = check_database(blank_url, payloads=None).findings
    assert "no schema" in finding.found
    assert check_database(blank_url, payloads=None).schema is None


@pytest.mark.parametrize("url", ["memory://", "nosql://me:hunter2@host/db", "sqlite://"])
def test_not_a_database_of_ours(url: str) -> None:
    """What has no tables of ours is refused, and no password repeated."""
    for call in (upgrade_database, lambda url: check_database(url, payloads=None)):
        with pytest.raises(ConfigurationError, match=r"^database URL: ") as caught:
            call(url)
        assert "hunter2" not in str(caught.value)
