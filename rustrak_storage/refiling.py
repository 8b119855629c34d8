"""Events filed anew: what every backend's ``refile`` and ``settle`` do between reading and writing."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import attrs

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import Place, Refiled, Refiling
from rustrak_storage.batch import ProjectRow
from rustrak_storage.filing import VALUES_MAX, Counted, IssueRow


@attrs.define(kw_only=True, eq=False)
class Shuffle:
    """Moves events among issues, in memory; the backend then writes what is different.

    Attributes:
        project: Whose events they are; its counts and its newest number change.
        found: Where the events are now, those of live issues only.
        owners: To which live issues keys lead: those that are named, and those of issues that may retire. It changes.
        issues: The live issues that are concerned; their counts change, and issues come and go.
        retired: Issues that are concerned and lead to another one, with the issue that they were merged into.
        new_ids: Returns as many ids as it is asked for, for new issues.
        opened: New issues, in order of their numbers.
        moved: Numbers of the events that are elsewhere now, by where they were and where they are.
        rekeyed: To which issues keys led and lead now, None for nowhere, where that differs.
        retiring: Issues that are left without events, with their heirs.
        handed: Keys of *retiring*, which lead to the heirs now, with the issues to which they led.
        returned: Issues that were retired and live again.
        closed: Issues that are to be removed.
    """

    project: ProjectRow
    found: Mapping[int, Place]
    owners: dict[GroupingKey, IssueId]
    issues: dict[int, IssueRow]
    retired: Mapping[int, tuple[IssueRow, IssueId]] = attrs.field(factory=dict)
    new_ids: Callable[[int], Sequence[int]] = lambda _: ()
    opened: list[IssueRow] = attrs.field(factory=list, init=False)
    moved: dict[tuple[Place, Place], list[int]] = attrs.field(factory=lambda: defaultdict(list), init=False)
    rekeyed: dict[GroupingKey, tuple[IssueId | None, IssueId | None]] = attrs.field(factory=dict, init=False)
    retiring: dict[IssueId, IssueId] = attrs.field(factory=dict, init=False)
    handed: dict[GroupingKey, IssueId] = attrs.field(factory=dict, init=False)
    returned: list[IssueId] = attrs.field(factory=list, init=False)
    closed: list[IssueId] = attrs.field(factory=list, init=False)

    def refile(self, refiling: Refiling) -> Refiled:
        """Do what `rustrak_core.ports.HistoryStore.refile` says, and return it."""
        dropped = {key: issue for key, issue in refiling.dropped.items() if self.owners.get(key) == issue}
        for key in dropped:
            self._lead(key, None)
        before = set(self.owners)
        for key, issue in refiling.targets.items():
            if key not in self.owners and issue in self.issues:
                self._lead(key, issue)
        moves = {number: move for number, move in refiling.moves.items() if self.found.get(number) == move[0]}
        self._open(moves)
        for number, (place, key) in moves.items():
            self._move(number, place, Place(self.owners[key], key))
        learned = {key: issue for key, issue in self.owners.items() if key not in before}
        self._retire(refiling.heirs)
        return Refiled(
            moved={places: tuple(numbers) for places, numbers in self.moved.items()},
            learned=learned,
            dropped=dropped,
            handed=self.handed,
            opened=tuple(IssueId(row.id) for row in self.opened),
            retired=self.retiring,
        )

    def revert(self, refiled: Refiled) -> int:
        """Do what `rustrak_core.ports.HistoryStore.revert` says, and return how many events moved."""
        for issue, heir in refiled.retired.items():
            row, into = self.retired.get(issue, (None, None))
            if row is not None and into == heir:
                self.issues[issue] = row
                self.returned.append(issue)
                self.project.issue_count += 1
        for (old, new), numbers in refiled.moved.items():
            if old.issue_id in self.issues:
                for number in numbers:
                    if self.found.get(number) == new:
                        self._move(number, new, old)
        for issue in refiled.opened:
            row = self.issues.get(issue)
            if row is not None and row.event_count == 0:
                self.closed.append(issue)
                self.project.issue_count -= 1
        self._revert_keys(refiled)
        return sum(map(len, self.moved.values()))

    def touched(self) -> list[int]:
        """Return the issues whose events are others now, or that came back, ascending."""
        places = [place for pair in self.moved for place in pair if pair[0].issue_id != pair[1].issue_id]
        return sorted({int(place.issue_id) for place in places}.union(self.returned).difference(self.closed))

    def _open(self, moves: Mapping[int, tuple[Place, GroupingKey]]) -> None:
        sources: dict[GroupingKey, int] = {}
        for place, key in moves.values():
            if key not in self.owners:
                sources.setdefault(key, place.issue_id)
        for (key, source), number in zip(sources.items(), self.new_ids(len(sources)), strict=True):
            self.project.last_number += 1
            self.project.issue_count += 1
            row = attrs.evolve(
                self.issues[source], id=number, number=self.project.last_number, event_count=0, user_count=0
            )
            self.issues[number] = row
            self.opened.append(row)
            self._lead(key, IssueId(number))

    def _move(self, number: int, old: Place, new: Place) -> None:
        if old == new:
            return
        self.moved[old, new].append(number)
        self.issues[old.issue_id].event_count -= 1
        self.issues[new.issue_id].event_count += 1

    def _retire(self, heirs: Mapping[IssueId, GroupingKey]) -> None:
        """Have issues without events lead to their heirs."""
        for issue, key in heirs.items():
            row, heir = self.issues.get(issue), self.owners.get(key)
            if row is not None and row.event_count == 0 and heir is not None and heir != issue:
                self.retiring[issue] = heir
                self.project.issue_count -= 1
        self.handed = {key: issue for key, issue in self.owners.items() if issue in self.retiring}
        for key, issue in self.handed.items():
            self._lead(key, self.retiring[issue])

    def _revert_keys(self, refiled: Refiled) -> None:
        for key, issue in refiled.handed.items():
            if issue in self.issues and self.owners.get(key) == refiled.retired.get(issue):
                self._lead(key, issue)
        kept = {issue for issue in refiled.opened if issue in self.issues and issue not in self.closed}
        for key, issue in refiled.learned.items():
            if issue not in kept and self.owners.get(key) == issue:
                self._lead(key, None)
        for key, issue in refiled.dropped.items():
            if key not in self.owners and issue in self.issues:
                self._lead(key, issue)

    def _lead(self, key: GroupingKey, issue: IssueId | None) -> None:
        """Have *key* lead to *issue*, or nowhere."""
        now = self.owners.pop(key, None)
        if issue is not None:
            self.owners[key] = issue
        self.rekeyed[key] = self.rekeyed.get(key, (now, None))[0], issue


@attrs.define(eq=False)
class Facts:
    """What an issue has by its events, gathered from all of them in the order in which they came.

    Attributes:
        facets: So many events have the value, by key and value; at most `VALUES_MAX` values a key.
        other: So many events have a value that is not kept, by key.
    """

    users: set[bytes] = attrs.field(factory=set)
    facets: dict[str, dict[str, int]] = attrs.field(factory=lambda: defaultdict(dict))
    other: dict[str, int] = attrs.field(factory=lambda: defaultdict(int))
    _issue: IssueRow = attrs.field(factory=IssueRow.blank)

    @property
    def count(self) -> int:
        """How many events there are."""
        return self._issue.event_count

    def add(self, event: Counted) -> None:
        """Take *event* into account."""
        self._issue.count(event)
        if event.user is not None:
            self.users.add(event.user)
        for key, value in event.facets:
            kept = self.facets[key]
            if value in kept:
                kept[value] += 1
            elif len(kept) < VALUES_MAX:
                kept[value] = 1
            else:
                self.other[key] += 1

    def fill(self, row: IssueRow) -> None:
        """Have *row* say what is right; one without events is left as it is but for its counts."""
        self._issue.user_count = len(self.users)
        row.become(self._issue)
