"""How projects want their events grouped, in memory."""

from datetime import datetime

import attrs

from rustrak_core.grouping import mechanisms_in
from rustrak_core.page import ListQuery, Page
from rustrak_core.ports import GroupingStore, ProjectGrouping
from rustrak_core.project import ProjectId
from rustrak_storage.memory.base import MemoryPart, by_id


class MemoryGrouping(MemoryPart, GroupingStore):
    """See `rustrak_core.ports.GroupingStore`."""

    def __init__(self) -> None:
        super().__init__()
        self._groupings: dict[int, ProjectGrouping] = {}
        self._grouping_changes = 0

    def grouping(self, project_id: ProjectId) -> ProjectGrouping:
        """See `rustrak_core.ports.GroupingStore.grouping`."""
        with self._lock:
            number = ProjectId(self._live(project_id).id)
            known = self._groupings.get(number)
            return known or ProjectGrouping(project_id=number, used=mechanisms_in(self._mechanisms(number)))

    def groupings(self, query: ListQuery) -> Page[ProjectGrouping]:
        """See `rustrak_core.ports.GroupingStore.groupings`."""
        with self._lock:
            self._check_open()
            chosen, after = by_id(sorted(number for number, kept in self._groupings.items() if kept.rules), query)
            return Page(items=[self._groupings[number] for number in chosen], after=after)

    def set_grouping(
        self, project_id: ProjectId, rules: str, *, now: datetime, instead_of: str | None = None
    ) -> ProjectGrouping:
        """See `rustrak_core.ports.GroupingStore.set_grouping`."""
        with self._lock:
            known = self.grouping(project_id)
            if instead_of is not None and known.rules != instead_of:
                return known
            self._grouping_changes += 1
            return self._keep_grouping(attrs.evolve(known, rules=rules, changed_at=now))

    def use_mechanism(self, project_id: ProjectId, mechanism: str) -> ProjectGrouping:
        """See `rustrak_core.ports.GroupingStore.use_mechanism`."""
        with self._lock:
            known = self.grouping(project_id)
            used = dict.fromkeys((*known.used, mechanism))
            return self._keep_grouping(attrs.evolve(known, used=tuple(used)))

    def grouping_changes(self) -> int:
        """See `rustrak_core.ports.GroupingStore.grouping_changes`."""
        with self._lock:
            self._check_open()
            return self._grouping_changes

    def _keep_grouping(self, grouping: ProjectGrouping) -> ProjectGrouping:
        self._groupings[grouping.project_id] = grouping
        return grouping
