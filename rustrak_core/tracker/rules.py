"""A project's rules on grouping: read, set, shown, and the mechanism that they pin."""

from datetime import datetime
from typing import Any

from rustrak_core.grouping import Rules, settings_of, with_mechanism
from rustrak_core.ports import GroupingStore, ProjectGrouping
from rustrak_core.project import ProjectId
from rustrak_core.times import to_rfc3339


def rules_of(store: GroupingStore, project_id: ProjectId) -> Rules:
    """Return the rules that hold for a project's events.

    Raises:
        UnknownProjectError: there is no such project, or it was deleted.
    """
    return settings_of(store.grouping(project_id).rules).rules


def set_rules(store: GroupingStore, project_id: ProjectId, rules: str, *, now: datetime) -> ProjectGrouping:
    """Give a project *rules*, and return how its events are grouped from now on.

    Raises:
        MalformedRulesError: something in them is no rule; nothing was changed.
        UnknownProjectError: there is no such project, or it was deleted.
    """
    store.grouping(project_id)  # what does not exist is told first
    Rules.from_toml(rules)
    return store.set_grouping(project_id, rules, now=now)


def pin_mechanism(
    store: GroupingStore, project_id: ProjectId, mechanism: str | None, *, now: datetime
) -> ProjectGrouping:
    """Have a project grouped by *mechanism*, or by the default where it is None, and change nothing else.

    Raises:
        InvalidInputError: there is no such mechanism.
        MalformedRulesError: the project's rules cannot be read, or not be changed; nothing was.
        UnknownProjectError: there is no such project, or it was deleted.
    """
    while True:
        before = store.grouping(project_id)
        wanted = with_mechanism(before.rules, mechanism)
        if wanted == before.rules:
            return before
        kept = store.set_grouping(project_id, wanted, now=now, instead_of=before.rules)
        if kept.rules == wanted:
            return kept


def grouping_to_json(grouping: ProjectGrouping) -> dict[str, Any]:
    """Return how a project's events are grouped, as the API shows it."""
    settings = settings_of(grouping.rules)
    rules = settings.rules
    return {
        "project_id": grouping.project_id,
        "mechanism": rules.mechanism,
        "pinned": rules.mechanism if rules.pinned else None,
        "used": list(grouping.used),
        "rules": grouping.rules,
        "rules_count": len(rules.rules),
        "changed_at": None if grouping.changed_at is None else to_rfc3339(grouping.changed_at),
        "problem": None if settings.problem is None else f"the rules are not in force, since {settings.problem}",
    }
