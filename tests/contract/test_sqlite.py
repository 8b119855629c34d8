"""The contract, kept by SQLite, without ever looking through a table that grows."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from rustrak_storage import testing

_GROW = {
    *("rustrak_event", "rustrak_payload", "rustrak_issue", "rustrak_issue_user", "rustrak_facet", "rustrak_facet_key"),
    *("rustrak_term", "rustrak_issue_terms", "rustrak_grouping_key", "rustrak_newer_key"),
}
_WHOLE = (
    # An export compares how many events each issue has with what it exported before.
    "SELECT rustrak_event.issue_id, count(*)",
    # Where events were filed anew since, key by key.
    "SELECT rustrak_event.issue_id, rustrak_event.mechanism, rustrak_event.grouping_value, count(*)",
    # And it reads which issues there are.
    "SELECT rustrak_issue.id FROM rustrak_issue JOIN rustrak_project",
)
"""Statements that are meant to read a table whole."""


class _Plans:
    """The plans of all statements, each asked for once."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self.scans: dict[str, str] = {}

    def look(
        self, connection: Connection, _cursor: object, statement: str, parameters: Any, _context: object, many: bool
    ) -> None:
        """Note a statement that reads a table whole."""
        verb = statement.split(None, 1)[0].upper()
        if statement in self._seen or verb not in {"SELECT", "WITH", "UPDATE", "DELETE", "INSERT"}:
            return
        self._seen.add(statement)
        driver: Any = connection.connection.driver_connection
        plan = driver.execute(f"EXPLAIN QUERY PLAN {statement}", parameters[0] if many else parameters).fetchall()
        for *_numbers, step in plan:
            scanned = re.match(r"SCAN (\w+)", step)
            if scanned and scanned[1] in _GROW and not statement.replace("\n", "").startswith(_WHOLE):
                self.scans[statement] = step


@cache
def _plans() -> _Plans:
    return _Plans()


@pytest.fixture(autouse=True)
def no_table_is_read_whole() -> Iterator[None]:
    """What takes a moment in a small store is to take no longer in a large one."""
    plans = _plans()
    event.listen(Engine, "before_cursor_execute", plans.look)
    yield
    event.remove(Engine, "before_cursor_execute", plans.look)
    found, plans.scans = plans.scans, {}
    assert not found


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    return sqlite_url


class TestProjects(testing.ProjectStoreContract):
    pass


class TestTokens(testing.TokenStoreContract):
    pass


class TestRecording(testing.RecordContract):
    pass


class TestGrouping(testing.GroupingStoreContract):
    pass


class TestIssues(testing.IssueStoreContract):
    pass


class TestIssueLists(testing.IssueListContract):
    pass


class TestMerges(testing.MergeContract):
    pass


class TestUnmerges(testing.UnmergeContract):
    pass


class TestSimilar(testing.SimilarContract):
    pass


class TestEvents(testing.EventStoreContract):
    pass


class TestHistory(testing.HistoryStoreContract):
    pass


class TestBackfill(testing.BackfillContract):
    pass


class TestExport(testing.ExportStoreContract):
    pass


class TestBareExport(testing.BareExportContract):
    pass


class TestCounters(testing.CounterStoreContract):
    pass


class TestMaintenance(testing.MaintenanceContract):
    pass


class TestRaces(testing.RaceContract):
    pass


class TestShared(testing.SharedStoreContract):
    pass
