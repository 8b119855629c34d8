"""How far backfills are, in memory, and the keys that they have found."""

from collections.abc import Collection, Mapping

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import Backfill, BackfillStore
from rustrak_core.project import ProjectId
from rustrak_storage.batch import KeyId
from rustrak_storage.filing import IssueRow
from rustrak_storage.memory.base import MemoryPart


class MemoryBackfill(MemoryPart, BackfillStore):
    """See `rustrak_core.ports.BackfillStore`."""

    _issues: dict[int, IssueRow]

    def __init__(self) -> None:
        super().__init__()
        self._backfills: dict[int, Backfill] = {}
        self._newer: dict[KeyId, IssueId | None] = {}

    def backfill(self, project_id: ProjectId) -> Backfill | None:
        """See `rustrak_core.ports.BackfillStore.backfill`."""
        with self._lock:
            self._check_open()
            return self._backfills.get(project_id)

    def move_backfill(
        self,
        before: Backfill | None,
        after: Backfill,
        keys: Mapping[GroupingKey, Collection[IssueId]] | None = None,
    ) -> bool:
        """See `rustrak_core.ports.BackfillStore.move_backfill`."""
        with self._lock:
            project = self._live(after.project_id).id
            if self._backfills.get(project) != before:
                return False
            if before is not None and before.mechanism != after.mechanism:
                for noted in [noted for noted in self._newer if noted[0] == project]:
                    del self._newer[noted]
            self._backfills[project] = after
            for key, issues in (keys or {}).items():
                self._note((project, bytes.fromhex(key.value), key.mechanism), issues)
            return True

    def attach_newer_keys(self, project_id: ProjectId, *, limit: int = 1000) -> int:
        """See `rustrak_core.ports.BackfillStore.attach_newer_keys`."""
        with self._lock:
            self._live(project_id)
            taken = [noted for noted in self._newer if noted[0] == project_id][: max(limit, 1)]
            for noted in taken:
                issue = self._newer.pop(noted)
                row = None if issue is None else self._issues.get(issue)
                if row is not None and row.project_id == project_id:
                    self._keys.setdefault(noted, row)
            return len(taken)

    def _note(self, noted: KeyId, issues: Collection[IssueId]) -> None:
        if issues:
            (first, *others) = {self._newer.get(noted, next(iter(issues))), *issues}
            self._newer[noted] = None if others else first
