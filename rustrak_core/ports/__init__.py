"""What a store, a spool and a ring of keys must do, in the field's words.

Every call of a store is one transaction: it happens whole, or raises and changes nothing. Calls are thread-safe, and
safe among processes that share a database. What is returned are values. Times are aware UTC datetimes and keep their
microseconds. A driver's errors never leave a backend: a database that cannot be reached is a `StoreUnavailableError`.
`rustrak_storage.testing` says the same in tests.
"""

from rustrak_core.ports.backfill import Backfill, BackfillStage, BackfillStore
from rustrak_core.ports.export import (
    MEMBERSHIP_PRIME,
    BareEvent,
    BareExportStore,
    ExportStore,
    IssueKey,
    Member,
    Membership,
    NumberedEvent,
    Selection,
)
from rustrak_core.ports.grouping import GroupingStore, ProjectGrouping
from rustrak_core.ports.history import Confirm, FiledEvent, HistoryStore, Place, Refiled, Refiling
from rustrak_core.ports.keys import KeyRing
from rustrak_core.ports.merges import MergeStore
from rustrak_core.ports.similar import SimilarStore
from rustrak_core.ports.spool import (
    Attempt,
    EagerIntake,
    Intake,
    Spool,
    SpooledBatch,
    SpoolReader,
    SpoolStats,
    Stage,
    Tried,
)
from rustrak_core.ports.store import (
    CounterStore,
    EventStore,
    ForkableStore,
    IssueStore,
    Ledger,
    Maintenance,
    ProjectStore,
    Recorded,
    Store,
    TokenStore,
)

__all__ = [
    "MEMBERSHIP_PRIME",
    "Attempt",
    "Backfill",
    "BackfillStage",
    "BackfillStore",
    "BareEvent",
    "BareExportStore",
    "Confirm",
    "CounterStore",
    "EagerIntake",
    "EventStore",
    "ExportStore",
    "FiledEvent",
    "ForkableStore",
    "GroupingStore",
    "HistoryStore",
    "Intake",
    "IssueKey",
    "IssueStore",
    "KeyRing",
    "Ledger",
    "Maintenance",
    "Member",
    "Membership",
    "MergeStore",
    "NumberedEvent",
    "Place",
    "ProjectGrouping",
    "ProjectStore",
    "Recorded",
    "Refiled",
    "Refiling",
    "Selection",
    "SimilarStore",
    "Spool",
    "SpoolReader",
    "SpoolStats",
    "SpooledBatch",
    "Stage",
    "Store",
    "TokenStore",
    "Tried",
]
