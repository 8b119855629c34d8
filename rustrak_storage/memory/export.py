"""Events in memory, read in the order in which they came."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import ExportStore, IssueKey, Member, Membership, NumberedEvent, Selection
from rustrak_core.project import ProjectId
from rustrak_storage.batch import Filing, KeyId
from rustrak_storage.filing import IssueRow
from rustrak_storage.memory.base import MemoryPart
from rustrak_storage.memory.views import stored


class MemoryExport(MemoryPart, ExportStore):
    """See `rustrak_core.ports.ExportStore`. Of an issue that is gone, no event has a number."""

    _numbers: dict[int, Filing]
    _issues: dict[int, IssueRow]
    _origins: dict[KeyId, int]
    _refilings: dict[ProjectId, int]

    def last_event_number(self) -> int:
        """See `rustrak_core.ports.ExportStore.last_event_number`."""
        with self._lock:
            self._check_open()
            return max(self._numbers, default=0)

    def export(self, selection: Selection, *, after: int = 0, upto: int, limit: int = 1000) -> Sequence[NumberedEvent]:
        """See `rustrak_core.ports.ExportStore.export`."""
        with self._lock:
            numbers = sorted(filing.number for filing in self._wanted(selection, upto) if filing.number > after)
            return [NumberedEvent(number, stored(self._numbers[number])) for number in numbers[: max(limit, 1)]]

    def export_events(self, numbers: Collection[int]) -> Sequence[NumberedEvent]:
        """See `rustrak_core.ports.ExportStore.export_events`."""
        with self._lock:
            self._check_open()
            found = sorted(number for number in numbers if number in self._numbers)
            return [NumberedEvent(number, stored(self._numbers[number])) for number in found]

    def memberships(self, selection: Selection, *, upto: int) -> dict[IssueId, Membership]:
        """See `rustrak_core.ports.ExportStore.memberships`."""
        numbers: dict[int, list[int]] = defaultdict(list)
        with self._lock:
            for filing in self._wanted(selection, upto):
                numbers[filing.issue.id].append(filing.number)
        return {IssueId(issue): Membership.of(found) for issue, found in numbers.items()}

    def refilings(self) -> Mapping[ProjectId, int]:
        """See `rustrak_core.ports.ExportStore.refilings`."""
        with self._lock:
            self._check_open()
            return dict(self._refilings)

    def filings(self, selection: Selection, *, upto: int) -> Mapping[IssueId, Mapping[GroupingKey, Membership]]:
        """See `rustrak_core.ports.ExportStore.filings`."""
        numbers: dict[IssueId, dict[GroupingKey, list[int]]] = defaultdict(lambda: defaultdict(list))
        with self._lock:
            for filing in self._wanted(selection, upto):
                numbers[IssueId(filing.issue.id)][_key(filing)].append(filing.number)
        return {issue: {key: Membership.of(each) for key, each in keys.items()} for issue, keys in numbers.items()}

    def members(self, issue_id: IssueId, selection: Selection, *, upto: int) -> Sequence[Member]:
        """See `rustrak_core.ports.ExportStore.members`."""
        with self._lock:
            found = [filing for filing in self._wanted(selection, upto) if filing.issue.id == issue_id]
        found.sort(key=lambda filing: filing.number)
        return [Member(filing.number, _key(filing)) for filing in found]

    def issue_keys(self, issues: Collection[IssueId]) -> Mapping[IssueId, Sequence[IssueKey]]:
        """See `rustrak_core.ports.ExportStore.issue_keys`."""
        with self._lock:
            self._check_open()
            found: dict[IssueId, list[IssueKey]] = defaultdict(list)
            wanted = set(issues) & self._issues.keys()
            for key, row in self._keys.items():
                if row.id in wanted:
                    origin = self._origins.get(key)
                    grouping_key = GroupingKey(mechanism=key[2], value=key[1].hex())
                    found[IssueId(row.id)].append(IssueKey(grouping_key, None if origin is None else IssueId(origin)))
        return {issue: sorted(keys, key=IssueKey.order) for issue, keys in found.items()}

    def _wanted(self, selection: Selection, upto: int) -> Iterator[Filing]:
        self._check_open()
        for number, filing in self._numbers.items():
            source = filing.event.source
            if (
                number <= upto
                and (selection.project_ids is None or source.project_id in selection.project_ids)
                and (selection.since is None or source.timestamp >= selection.since)
                and (selection.until is None or source.timestamp < selection.until)
            ):
                yield filing


def _key(filing: Filing) -> GroupingKey:
    value, mechanism = filing.key
    return GroupingKey(mechanism=mechanism, value=value.hex())
