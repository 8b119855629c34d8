"""The contract, kept by MariaDB."""

from collections.abc import Callable

import pytest

from rustrak_storage import testing

pytestmark = pytest.mark.needs_server


@pytest.fixture
def store_url(emptied: Callable[[str], str]) -> str:
    return emptied("mariadb")


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
