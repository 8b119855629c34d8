"""Merging issues in memory, and taking them apart."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain

import attrs

from rustrak_core.errors import UnknownIssueError
from rustrak_core.issue import MERGED_MAX, Issue, IssueId, MergedIssue, ShortId
from rustrak_core.ports import MergeStore
from rustrak_core.times import from_micros, to_micros
from rustrak_storage.batch import EventKey, Filing, KeyId
from rustrak_storage.filing import VALUES_MAX, IssueRow, short_id, split_short_id
from rustrak_storage.memory.base import MemoryPart
from rustrak_storage.merging import Branch, Node, check_count, to_merge, to_unmerge
from rustrak_storage.texts import clean


@attrs.define(kw_only=True)
class Merged:
    """An issue that was merged, as it was then.

    Attributes:
        parent: The issue that it was merged into.
        root: The issue that has its keys and events now.
        at: When, in microseconds.
    """

    row: IssueRow
    parent: int
    root: IssueRow
    at: int


class MemoryMerges(MemoryPart, MergeStore):
    """See `rustrak_core.ports.MergeStore`."""

    def __init__(self) -> None:
        super().__init__()
        self._issues: dict[int, IssueRow] = {}
        self._merged: dict[int, Merged] = {}
        self._origins: dict[KeyId, int] = {}
        self._events_of: dict[int, dict[EventKey, Filing]] = defaultdict(dict)
        self._facets: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
        self._users: dict[int, set[bytes]] = defaultdict(set)

    def merge_issues(self, target: IssueId | ShortId, sources: Sequence[IssueId | ShortId], *, now: datetime) -> Issue:
        """See `rustrak_core.ports.MergeStore.merge_issues`."""
        check_count(sources)
        with self._lock:
            into, named = self._nodes(target, sources)
            row = self._issues[into.root]
            merged = [self._issues[number] for number in to_merge(into, named)]
            _regress(row, [self._events_of[one.id] for one in merged if one.state == "open"], merged)
            for source in merged:
                self._merge(row, source, to_micros(now))
            self._recount(row)
            return self._shown(row)

    def unmerge_issues(self, target: IssueId | ShortId, sources: Sequence[IssueId | ShortId]) -> Sequence[Issue]:
        """See `rustrak_core.ports.MergeStore.unmerge_issues`."""
        check_count(sources)
        with self._lock:
            out_of, named = self._nodes(target, sources)
            row = self._issues[out_of.root]
            parents = {number: one.parent for number, one in self._merged.items() if one.root is row}
            for branch in to_unmerge(named, parents):
                self._take_out(row, branch)
            return [self._shown(self._issues[each.id]) for each in dict.fromkeys(named)]

    def _issue(self, ref: int | str) -> IssueRow:
        """Return the issue that answers for *ref*."""
        return self._issues[self._node(ref).root]

    def _shown(self, row: IssueRow) -> Issue:
        """Return the issue as callers see it."""
        slug = self._projects[row.project_id].slug
        led = [one for one in self._merged.values() if one.root is row]
        led.sort(key=lambda one: (one.at, one.row.id), reverse=True)
        merged = [
            MergedIssue(id=IssueId(one.row.id), short_id=short_id(slug, one.row.number), merged_at=from_micros(one.at))
            for one in led[:MERGED_MAX]
        ]
        return row.to_issue(slug, tuple(merged))

    def _node(self, ref: int | str) -> Node:
        self._check_open()
        row = self._named(ref)
        if row is None:
            raise UnknownIssueError("no such issue; list them to find its id")
        merged = self._merged.get(row.id)
        return Node(id=row.id, project_id=row.project_id, root=row.id if merged is None else merged.root.id)

    def _named(self, ref: int | str) -> IssueRow | None:
        if isinstance(ref, int):
            merged = self._merged.get(ref)
            return self._issues.get(ref) if merged is None else merged.row
        slug, number = split_short_id(ref)
        project = next((row.id for row in self._projects.values() if row.slug == slug), None)
        rows = chain(self._issues.values(), (one.row for one in self._merged.values()))
        return next((row for row in rows if row.project_id == project and row.number == number), None)

    def _nodes(self, target: int | str, sources: Sequence[int | str]) -> tuple[Node, list[Node]]:
        named = []
        for index, source in enumerate(sources):
            try:
                named.append(self._node(source))
            except UnknownIssueError as error:
                raise UnknownIssueError(f"issue_ids[{index}]: {error}") from None
        return self._node(target), named

    def _merge(self, row: IssueRow, source: IssueRow, now: int) -> None:
        for key in [key for key, issue in self._keys.items() if issue is source]:
            self._keys[key] = row
            self._origins.setdefault(key, source.id)
        self._move(self._events_of.pop(source.id, {}), row)
        for one in self._merged.values():
            if one.root is source:
                one.root = row
        self._merged[source.id] = Merged(row=self._issues.pop(source.id), parent=row.id, root=row, at=now)
        self._forget(source)
        self._projects[row.project_id].issue_count -= 1

    def _take_out(self, row: IssueRow, branch: Branch) -> None:
        back = self._merged.pop(branch.top).row
        self._issues[back.id] = back
        for number in branch.below:
            self._merged[number].root = back
        own = {key for key, origin in self._origins.items() if origin in branch.all}
        for key in own:
            self._keys[key] = back
            if self._origins[key] == back.id:
                del self._origins[key]
        of_row = self._events_of[row.id]
        moved = {event: filing for event, filing in of_row.items() if (event[0], *filing.key) in own}
        for event in moved:
            del of_row[event]
        self._move(moved, back)
        _reopen(back, [moved])
        self._recount(back)
        self._recount(row)
        self._projects[row.project_id].issue_count += 1

    def _move(self, filings: Mapping[EventKey, Filing], row: IssueRow) -> None:
        for filing in filings.values():
            filing.issue = row
        self._events_of[row.id].update(filings)

    def _recount(self, row: IssueRow) -> None:
        """Make all that an issue has by its events anew from these."""
        self._forget(row)
        fresh = row.emptied()
        for filing in sorted(self._events_of[row.id].values(), key=lambda filing: filing.number):
            event = filing.event
            fresh.count(event)
            if event.user is not None:
                self._users[row.id].add(event.user)
            for key, text in event.source.facets():
                known, value = self._facets[row.id, clean(key, 204)], clean(text, 200)
                if value in known or len(known) < VALUES_MAX:
                    known[value] = known.get(value, 0) + 1
        fresh.user_count = len(self._users[row.id])
        row.become(fresh)

    def _forget(self, row: IssueRow) -> None:
        """Remove the facets and the users of an issue."""
        for facet in [facet for facet in self._facets if facet[0] == row.id]:
            del self._facets[facet]
        self._users.pop(row.id, None)


def _regress(row: IssueRow, opened: Sequence[Mapping[EventKey, Filing]], sources: Sequence[IssueRow]) -> None:
    """Reopen a resolved issue if an open source has an event received since; else it was resolved with the last."""
    if row.resolved_at is not None and not _reopen(row, opened):
        row.resolved_at = max([row.resolved_at, *(source.resolved_at or 0 for source in sources)])


def _reopen(row: IssueRow, filings: Sequence[Mapping[EventKey, Filing]]) -> bool:
    events = sorted((filing.event for some in filings for filing in some.values()), key=lambda event: event.received_at)
    return any(row.reopen(event.received_at, event.release) for event in events)
