"""What a plan does to a project's issues, as data: counts, and the worst cases with the reasons of both sides."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from rustrak_core import grouping
from rustrak_core.digest import read_payload
from rustrak_core.digested import GroupingKey
from rustrak_core.errors import UnknownIssueError
from rustrak_core.grouping import Rules
from rustrak_core.issue import IssueId
from rustrak_core.project import ProjectId
from rustrak_core.regroup import Flow, Plan, Source, Split

_ISSUES_MAX: Final = 20
"""Issues that are named of one merge, and parts of one split."""


class Report:
    """Tells of a plan.

    Args:
        source: Where titles, and examples of events, are read.
        project_id: Whose they are.
        plan: What is to become of them.
        before: The rules by which events were filed, as far as that is known.
        after: Those of the plan.
    """

    def __init__(self, source: Source, project_id: ProjectId, plan: Plan, *, before: Rules, after: Rules) -> None:
        self._source = source
        self._project_id = project_id
        self._plan = plan
        self._rules = (before, after)
        self._flows: dict[IssueId, list[Flow]] = defaultdict(list)
        for flow in plan.flows:
            self._flows[flow.issue_id].append(flow)

    def to_json(self, *, cases: int, reasons: int) -> dict[str, Any]:
        """Return the report: counts, and so many of the worst cases, so many of them with reasons."""
        plan = self._plan
        merges = sorted(plan.merges().items(), key=lambda merge: -self._moving(merge[1]))
        return {
            "project_id": self._project_id,
            "events": plan.events,
            "issues": plan.issues,
            "moved": plan.moved,
            "rekeyed": plan.rekeyed,
            "unread": plan.unread,
            "merged": len(plan.heirs),
            "split": len(plan.splits),
            "opened": plan.opened,
            "merges": [self._merge(*merge, why=index < reasons) for index, merge in enumerate(merges[:cases])],
            "splits": [self._split(split, why=index < reasons) for index, split in enumerate(plan.splits[:cases])],
        }

    def _merge(self, into: IssueId | GroupingKey, issues: Sequence[IssueId], *, why: bool) -> dict[str, Any]:
        ordered = sorted(issues, key=lambda issue: -_events(self._flows[issue]))
        return {
            "into": self._goal(into),
            "events": self._moving(issues),
            "issues": [
                {**self._issue(issue), "events": _events(self._flows[issue])} for issue in ordered[:_ISSUES_MAX]
            ],
            "issues_count": len(issues),
            "why": self._why(*self._sides(into, ordered)) if why else None,
        }

    def _sides(self, into: IssueId | GroupingKey, issues: Sequence[IssueId]) -> tuple[Flow, Flow]:
        """Return events of two issues that come together: those that move, and those that are there, or come too."""
        plan = self._plan
        moving = max((flow for flow in self._flows[issues[0]] if plan.goal(flow) == into), key=lambda flow: flow.events)
        others = [flow for flow in plan.flows if plan.goal(flow) == into and flow.issue_id != moving.issue_id]
        # Those with the same new key say best why.
        best = max(others, key=lambda flow: (flow.key == moving.key, flow.events), default=moving)
        return moving, best

    def _split(self, split: Split, *, why: bool) -> dict[str, Any]:
        parts = list(split.parts.items())
        return {
            **self._issue(split.issue_id),
            "events": _events(self._flows[split.issue_id]),
            "moved": split.moved,
            "parts": [{"into": self._goal(goal), "events": _events(flows)} for goal, flows in parts[:_ISSUES_MAX]],
            "parts_count": len(parts),
            "opened": len(opened := [flows for goal, flows in parts if isinstance(goal, GroupingKey)]),
            "opened_events": sum(map(_events, opened)),
            "why": self._why(*(max(flows, key=lambda flow: flow.events) for _goal, flows in parts[:2]))
            if why
            else None,
        }

    def _goal(self, goal: IssueId | GroupingKey) -> dict[str, Any] | None:
        """Return an issue, None for one that is new."""
        return None if isinstance(goal, GroupingKey) else self._issue(goal)

    def _issue(self, number: IssueId) -> dict[str, Any]:
        try:
            short_id, title = self._source.name(number)
        except UnknownIssueError:  # deleted meanwhile
            short_id, title = str(number), "(deleted)"
        return {"issue_id": number, "short_id": short_id, "title": title}

    def _why(self, *flows: Flow) -> list[dict[str, Any]]:
        """Return for an event of each of *flows* how it is grouped now, and how it would be."""
        return [found for flow in flows if (found := self._explained(flow)) is not None]

    def _explained(self, flow: Flow) -> dict[str, Any] | None:
        event = self._source.event(flow.first)
        if event is None or event.payload is None:
            return None
        payload = read_payload(event.payload, event.kind, event.hints) or {}
        before, after = self._rules
        return {
            "event_id": str(event.event_id),
            "issue": self._issue(event.issue_id)["short_id"],
            "before": grouping.explain(payload, event.key, kind=event.kind, rules=before).to_json(),
            "after": grouping.explain(payload, kind=event.kind, rules=after).to_json(),
        }

    def _moving(self, issues: Sequence[IssueId]) -> int:
        return sum(_events(self._flows[issue]) for issue in issues)


def _events(flows: Sequence[Flow]) -> int:
    return sum(flow.events for flow in flows)
