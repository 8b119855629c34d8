"""What `rustrak_core.ports` promises of a store, as tests that any backend inherits.

Inherit the classes in a test module of yours, and give a fixture ``store_url`` with the URL of an empty store::

    from rustrak_storage import testing

    @pytest.fixture
    def store_url(tmp_path):
        return f"mine:///{tmp_path}/store"

    class TestProjects(testing.ProjectStoreContract):
        pass

`SharedStoreContract` is for backends whose data outlives the store and is seen by other processes. To have failures
explained, call ``pytest.register_assert_rewrite("rustrak_storage.testing")`` in ``conftest.py`` before that import.
How a backend registers, and one that is whole, is told in docs/how-to/write-a-backend.md.
"""

from rustrak_storage.testing.backfill import BackfillContract
from rustrak_storage.testing.counters import CounterStoreContract
from rustrak_storage.testing.events import EventStoreContract
from rustrak_storage.testing.export import BareExportContract, ExportStoreContract
from rustrak_storage.testing.grouping import GroupingStoreContract
from rustrak_storage.testing.history import HistoryStoreContract
from rustrak_storage.testing.issues import IssueListContract, IssueStoreContract
from rustrak_storage.testing.maintenance import MaintenanceContract
from rustrak_storage.testing.merges import MergeContract
from rustrak_storage.testing.projects import ProjectStoreContract
from rustrak_storage.testing.races import RaceContract, SharedStoreContract
from rustrak_storage.testing.record import RecordContract
from rustrak_storage.testing.similar import SimilarContract
from rustrak_storage.testing.tokens import TokenStoreContract
from rustrak_storage.testing.unmerges import UnmergeContract
from rustrak_storage.testing.values import digested

__all__ = [
    "BackfillContract",
    "BareExportContract",
    "CounterStoreContract",
    "EventStoreContract",
    "ExportStoreContract",
    "GroupingStoreContract",
    "HistoryStoreContract",
    "IssueListContract",
    "IssueStoreContract",
    "MaintenanceContract",
    "MergeContract",
    "ProjectStoreContract",
    "RaceContract",
    "RecordContract",
    "SharedStoreContract",
    "SimilarContract",
    "TokenStoreContract",
    "UnmergeContract",
    "digested",
]
