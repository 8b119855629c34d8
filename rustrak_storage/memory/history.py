"""Events filed anew, in memory."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import attrs

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import Confirm, FiledEvent, HistoryStore, Place, Refiled, Refiling
from rustrak_core.project import ProjectId
from rustrak_core.times import to_micros
from rustrak_storage.batch import EventKey, Filing, KeyId
from rustrak_storage.filing import IssueRow
from rustrak_storage.memory.merges import MemoryMerges, Merged
from rustrak_storage.merging import below
from rustrak_storage.refiling import Shuffle


class MemoryHistory(MemoryMerges, HistoryStore):
    """See `rustrak_core.ports.HistoryStore`."""

    _events: dict[EventKey, Filing]
    _numbers: dict[int, Filing]
    _unsettled: set[int]
    _refilings: dict[ProjectId, int]
    _last_issue: int

    def _remove(self, issue: IssueRow) -> None:
        raise NotImplementedError

    def scan(self, project_id: ProjectId, *, after: int = 0, limit: int = 1000) -> Sequence[FiledEvent]:
        """See `rustrak_core.ports.HistoryStore.scan`."""
        with self._lock:
            self._live(project_id)
            numbers = sorted(
                number
                for number, filing in self._numbers.items()
                if number > after and filing.issue.project_id == project_id
            )
            return [_filed_event(self._numbers[number]) for number in numbers[: max(limit, 1)]]

    def owners(self, project_id: ProjectId, keys: Collection[GroupingKey]) -> Mapping[GroupingKey, IssueId]:
        """See `rustrak_core.ports.HistoryStore.owners`."""
        with self._lock:
            self._live(project_id)
            found = {key: self._keys.get(_key_id(project_id, key)) for key in keys}
            return {key: IssueId(row.id) for key, row in found.items() if row is not None}

    def origins(self, project_id: ProjectId) -> Mapping[GroupingKey, IssueId]:
        """See `rustrak_core.ports.HistoryStore.origins`."""
        with self._lock:
            self._live(project_id)
            found = {key: origin for key, origin in self._origins.items() if key[0] == project_id}
            return {_key(key[1:]): IssueId(origin) for key, origin in found.items()}

    def refile(
        self,
        project_id: ProjectId,
        refiling: Refiling,
        *,
        now: datetime,
        confirm: Confirm | None = None,
    ) -> Refiled:
        """See `rustrak_core.ports.HistoryStore.refile`."""
        with self._lock:
            shuffle = self._shuffle(project_id)
            refiled = shuffle.refile(refiling)
            if refiled and confirm is not None:
                confirm(refiled)
            self._take(shuffle, to_micros(now))
            return refiled

    def revert(self, project_id: ProjectId, refiled: Refiled, *, now: datetime) -> int:
        """See `rustrak_core.ports.HistoryStore.revert`."""
        with self._lock:
            shuffle = self._shuffle(project_id)
            moved = shuffle.revert(refiled)
            self._take(shuffle, to_micros(now))
            return moved

    def settle(self, project_id: ProjectId) -> bool:
        """See `rustrak_core.ports.HistoryStore.settle`."""
        with self._lock:
            self._live(project_id)
            mine = sorted(n for n in self._unsettled if n in self._issues and self._issues[n].project_id == project_id)
            if not mine:
                return False
            self._unsettled.discard(mine[0])
            self._settle(self._issues[mine[0]])
            return True

    def _shuffle(self, project_id: int) -> Shuffle:
        """Return all of the project, copied, so that nothing is different yet if something is raised."""
        return Shuffle(
            project=attrs.evolve(self._live(project_id)),
            found={
                number: Place(IssueId(filing.issue.id), _key(filing.key))
                for number, filing in self._numbers.items()
                if filing.issue.project_id == project_id
            },
            owners={
                _key((value, mechanism)): IssueId(row.id)
                for (project, value, mechanism), row in self._keys.items()
                if project == project_id
            },
            issues={row.id: attrs.evolve(row) for row in self._issues.values() if row.project_id == project_id},
            retired={
                number: (attrs.evolve(one.row), IssueId(one.parent))
                for number, one in self._merged.items()
                if one.row.project_id == project_id
            },
            new_ids=lambda count: range(self._last_issue + 1, self._last_issue + 1 + count),
        )

    def _take(self, shuffle: Shuffle, now: int) -> None:
        project = self._projects[shuffle.project.id]
        project.issue_count, project.last_number = shuffle.project.issue_count, shuffle.project.last_number
        self._last_issue += len(shuffle.opened)
        for row in shuffle.opened:
            self._issues[row.id] = row
        for back in shuffle.returned:
            self._return(back)
        self._file_anew(shuffle, now)
        for touched in shuffle.touched():
            self._issues[touched].event_count = shuffle.issues[touched].event_count
            self._unsettled.add(touched)
        for key, (_before, after) in shuffle.rekeyed.items():
            key_id = _key_id(project.id, key)
            self._keys.pop(key_id, None)
            if after is None:
                self._origins.pop(key_id, None)
            else:
                self._keys[key_id] = self._issues[after]
        for gone, heir in shuffle.retiring.items():
            self._retire(
                self._issues[gone], self._issues[heir], [_key_id(project.id, key) for key in shuffle.handed], now
            )
        for closed in shuffle.closed:
            self._remove(self._issues[closed])

    def _file_anew(self, shuffle: Shuffle, now: int) -> None:
        for (_old, new), numbers in shuffle.moved.items():
            for number in numbers:
                self._refile(number, new)
        if shuffle.moved:
            project = ProjectId(shuffle.project.id)
            self._refilings[project] = max(now, self._refilings.get(project, 0) + 1)

    def _retire(self, row: IssueRow, heir: IssueRow, keys: Iterable[KeyId], now: int) -> None:
        """Have an issue that has no events left lead to its heir, as if somebody had merged it."""
        for key in keys:
            self._origins.setdefault(key, row.id)
        for one in self._merged.values():
            if one.root is row:
                one.root = heir
        self._merged[row.id] = Merged(row=self._issues.pop(row.id), parent=heir.id, root=heir, at=now)
        self._events_of.pop(row.id, None)
        self._forget(row)

    def _return(self, number: int) -> None:
        """Have an issue that was retired live again, with what was merged into it before."""
        one = self._merged.pop(number)
        self._issues[number] = one.row
        parents = {each: merged.parent for each, merged in self._merged.items() if merged.root is one.root}
        for each in below(number, parents):
            self._merged[each].root = one.row
        for key in [key for key, origin in self._origins.items() if origin == number]:
            del self._origins[key]

    def _refile(self, number: int, place: Place) -> None:
        filing = self._numbers[number]
        event = (filing.event.project_id, filing.event.event_id)
        del self._events_of[filing.issue.id][event]
        filing.issue = self._issues[place.issue_id]
        filing.key = (bytes.fromhex(place.key.value), place.key.mechanism)
        self._events_of[filing.issue.id][event] = filing

    def _settle(self, row: IssueRow) -> None:
        self._recount(row)
        if not row.event_count:  # those that were its own were deleted with another issue
            self._remove(row)
            self._projects[row.project_id].issue_count -= 1


def _filed_event(filing: Filing) -> FiledEvent:
    source = filing.event.source
    return FiledEvent(
        number=filing.number,
        event_id=source.event_id,
        issue_id=IssueId(filing.issue.id),
        key=_key(filing.key),
        kind=source.kind,
        hints=source.hints,
        payload=source.payload,
    )


def _key(own: tuple[bytes, str]) -> GroupingKey:
    return GroupingKey(mechanism=own[1], value=own[0].hex())


def _key_id(project_id: int, key: GroupingKey) -> KeyId:
    return project_id, bytes.fromhex(key.value), key.mechanism
