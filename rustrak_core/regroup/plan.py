"""Which issue each key is to lead to, and what that does to issues."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.regroup.history import Flow


@attrs.frozen(kw_only=True)
class Split:
    """An issue whose events go to several.

    Attributes:
        parts: The flows of each issue that they go to, by its id; by its key where it is new. The most events first.
    """

    issue_id: IssueId
    parts: Mapping[IssueId | GroupingKey, Sequence[Flow]]

    @property
    def moved(self) -> int:
        """How many events leave the issue."""
        return sum(flow.events for issue, flows in self.parts.items() if issue != self.issue_id for flow in flows)


@attrs.frozen(kw_only=True)
class Plan:
    """What is to become of a project's events.

    Attributes:
        flows: Of all events.
        targets: For each key that events get, the issue that it is to lead to; None for a new one.
        learned: Those of *targets* that lead nowhere yet and are to lead to an issue that is there.
        heirs: Issues that lose all of their events, with a key of the issue that gets most of them.
        splits: Issues whose events go to several issues, those with the most moving events first.
        dropped: Keys by which events of several issues are filed now, so that they can lead to none any more.
    """

    flows: Sequence[Flow]
    targets: Mapping[GroupingKey, IssueId | None]
    learned: Mapping[GroupingKey, IssueId]
    heirs: Mapping[IssueId, GroupingKey]
    splits: Sequence[Split]
    dropped: Mapping[GroupingKey, IssueId]

    def goal(self, flow: Flow) -> IssueId | GroupingKey:
        """Return the issue that the events of *flow* go to: its id, or its key where it is new."""
        return flow.issue_id if flow.key is None else self.goal_of(flow.key)

    def goal_of(self, key: GroupingKey) -> IssueId | GroupingKey:
        """Return the issue that *key* is to lead to: its id, or the key itself where it is new."""
        issue = self.targets[key]
        return key if issue is None else issue

    def moves(self, flow: Flow) -> bool:
        """Tell whether the events of *flow* are to be in another issue."""
        return self.goal(flow) != flow.issue_id

    def changes(self, flow: Flow) -> bool:
        """Tell whether the events of *flow* are to be in another issue, or filed by another key."""
        return flow.key is not None and (flow.key != flow.filed or self.moves(flow))

    @property
    def events(self) -> int:
        """How many events there are."""
        return sum(flow.events for flow in self.flows)

    @property
    def moved(self) -> int:
        """How many events are to be in another issue."""
        return sum(flow.events for flow in self.flows if self.moves(flow))

    @property
    def rekeyed(self) -> int:
        """How many events stay in their issue, but are to be filed by another key."""
        return sum(flow.events for flow in self.flows if self.changes(flow) and not self.moves(flow))

    @property
    def unread(self) -> int:
        """How many events stay as they are, since their payload is gone or cannot be read."""
        return sum(flow.events for flow in self.flows if flow.key is None)

    @property
    def opened(self) -> int:
        """How many issues are new."""
        return sum(issue is None for issue in self.targets.values())

    @property
    def issues(self) -> int:
        """How many issues have events now."""
        return len({flow.issue_id for flow in self.flows})

    def merges(self) -> Mapping[IssueId | GroupingKey, Sequence[IssueId]]:
        """Return which issues lose all of their events, by the issue that gets most of these."""
        found: dict[IssueId | GroupingKey, list[IssueId]] = defaultdict(list)
        for issue, key in self.heirs.items():
            found[self.goal_of(key)].append(issue)
        return found


def make_plan(
    flows: Sequence[Flow],
    owners: Mapping[GroupingKey, IssueId],
    *,
    origins: Mapping[GroupingKey, IssueId] | None = None,
    heirs: Mapping[IssueId, GroupingKey] | None = None,
) -> Plan:
    """Return what is to become of events.

    A key leads where it leads already; else to the issue that has most of its events, the oldest of several, as long
    as no other key with more events there claimed that; else to a new issue. Where somebody merged issues, the events
    of each are looked at by themselves, so that what was merged stays together.

    Args:
        flows: Of all events.
        owners: To which issues keys lead already.
        origins: Keys of issues that were merged into others, with the issues that were.
        heirs: Those of a plan that was begun, which hold on.
    """
    targets = _targets(flows, owners, origins or {})
    goals: dict[IssueId, dict[IssueId | GroupingKey, list[Flow]]] = defaultdict(lambda: defaultdict(list))
    for flow in flows:
        target = flow.issue_id if flow.key is None else targets[flow.key]
        goals[flow.issue_id][flow.key if target is None and flow.key is not None else target or flow.issue_id].append(
            flow
        )
    learned = {key: issue for key, issue in targets.items() if issue is not None and key not in owners}
    return Plan(
        flows=flows,
        targets=targets,
        learned=learned,
        heirs=_heirs(goals) | dict(heirs or {}),
        splits=_splits(goals),
        dropped=_dropped(flows, targets),
    )


def _targets(
    flows: Iterable[Flow], owners: Mapping[GroupingKey, IssueId], origins: Mapping[GroupingKey, IssueId]
) -> dict[GroupingKey, IssueId | None]:
    counts: dict[tuple[GroupingKey, IssueId, IssueId | None], int] = defaultdict(int)
    for flow in flows:
        if flow.key is not None:
            counts[flow.key, flow.issue_id, origins.get(flow.filed)] += flow.events
    targets: dict[GroupingKey, IssueId | None] = {key: owners.get(key) for key, _issue, _origin in counts}
    claimed = {(issue, origins.get(key)) for key, issue in targets.items() if issue is not None}
    wanted = [claim for claim in counts if targets[claim[0]] is None and claim[1:] not in claimed]
    # Sorting is stable: of keys with as many events of an issue, the one that was met first claims it.
    for key, issue, origin in sorted(wanted, key=lambda claim: (-counts[claim], claim[1])):
        if targets[key] is None and (issue, origin) not in claimed:
            targets[key] = issue
            claimed.add((issue, origin))
    return targets


def _heirs(
    goals: Mapping[IssueId, Mapping[IssueId | GroupingKey, Sequence[Flow]]],
) -> dict[IssueId, GroupingKey]:
    heirs = {}
    for issue, parts in goals.items():
        if issue not in parts:
            most = max(parts.values(), key=_events)  # the first of several
            heirs[issue] = next(flow.key for flow in most if flow.key is not None)
    return heirs


def _splits(goals: Mapping[IssueId, Mapping[IssueId | GroupingKey, Sequence[Flow]]]) -> list[Split]:
    found = [
        Split(issue_id=issue, parts=dict(sorted(parts.items(), key=lambda part: -_events(part[1]))))
        for issue, parts in goals.items()
        if len(parts) > 1
    ]
    return sorted(found, key=lambda split: -split.moved)


def _dropped(flows: Iterable[Flow], targets: Mapping[GroupingKey, IssueId | None]) -> dict[GroupingKey, IssueId]:
    """Return keys that no event gets any more, and whose events would be apart: they would say where new ones go."""
    goals: dict[GroupingKey, set[IssueId | GroupingKey]] = defaultdict(set)
    issues: dict[GroupingKey, IssueId] = {}
    for flow in flows:
        if flow.key is not None and flow.filed not in targets:
            issue = targets[flow.key]
            goals[flow.filed].add(flow.key if issue is None else issue)
            issues[flow.filed] = flow.issue_id
    return {key: issues[key] for key, apart in goals.items() if len(apart) > 1}


def _events(flows: Collection[Flow]) -> int:
    return sum(flow.events for flow in flows)
