"""How each project's events are to be grouped: by its rules, and by which mechanisms of its own choice or of old."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

import attrs

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.digested import Digested
from rustrak_core.errors import MalformedRulesError, UnknownProjectError
from rustrak_core.grouping import Rules, mechanisms_in, settings_of
from rustrak_core.ports import GroupingStore, IssueStore, ProjectGrouping
from rustrak_core.project import ProjectId

_CHANGES = timedelta(seconds=2)
_FRESH = timedelta(minutes=1)
_FRESH_WITHOUT = timedelta(minutes=10)
"""A project without issues by other mechanisms gets none, unless an older version records beside this one."""

_PROJECTS_MAX = 10_000


class GroupedStore(GroupingStore, IssueStore, Protocol):
    """What a `Digester` asks."""


@attrs.frozen(kw_only=True)
class _Way:
    """How a project's events are digested.

    Attributes:
        asked_at: When the store was asked.
        changes: What `GroupingStore.grouping_changes` was before that.
        rules: None where the default holds.
        former, later: Mechanisms whose keys are asked for before and after those of *rules*.
    """

    asked_at: datetime
    changes: int
    rules: Rules | None = None
    former: tuple[str, ...] = ()
    later: tuple[str, ...] = ()

    def holds(self, at: datetime, changes: int) -> bool:
        """Whether it need not be asked for again."""
        fresh = _FRESH if self.former or self.later else _FRESH_WITHOUT
        return self.changes == changes and abs(at - self.asked_at) <= fresh


class Digester:
    """Digests events as their projects' rules have it, so that errors that are known come to their issues.

    It asks the store every two seconds whether any project's rules have changed. For each project it asks which those
    are, and which mechanisms have opened issues that live: once a minute, in ten where there is one mechanism only, and
    after a change of rules. Its clock are events' own times of receipt. Thread-safe as the store is.

    Args:
        store: Where rules and issues are kept.
        unreadable: Told of each project whose rules this version cannot read. Its events are grouped without.
    """

    def __init__(
        self,
        store: GroupedStore,
        *,
        unreadable: Callable[[ProjectId, MalformedRulesError], None] = lambda *_: None,
    ) -> None:
        self._store = store
        self._unreadable = unreadable
        self._told: dict[ProjectId, str] = {}
        self._ways: dict[ProjectId, _Way] = {}
        self._changes: tuple[datetime, int] | None = None

    def digest(self, event: AcceptedEvent) -> Digested:
        """Return what is to be recorded of *event*.

        Raises:
            MalformedEventError: it is none; see `rustrak_core.digest.digest`.
            StoreUnavailableError: the store cannot be asked.
        """
        way = self._way(event.project_id, event.received_at)
        return digest(event, rules=way.rules, former=way.former, later=way.later)

    def forget(self) -> None:
        """Ask anew with the next event: somebody in this process has changed rules."""
        self._changes = None

    def _way(self, project_id: ProjectId, at: datetime) -> _Way:
        changes = self._changes
        if changes is None or abs(at - changes[0]) >= _CHANGES:
            changes = self._changes = at, self._store.grouping_changes()
        way = self._ways.get(project_id)
        if way is None or not way.holds(at, changes[1]):
            if len(self._ways) >= _PROJECTS_MAX:
                self._ways.clear()
            way = self._ways[project_id] = self._ask(project_id, at, changes[1])
        return way

    def _ask(self, project_id: ProjectId, at: datetime, changes: int) -> _Way:
        try:
            kept = self._store.grouping(project_id)
            settings = settings_of(kept.rules)
            if settings.problem is not None:
                self._tell(kept, settings.problem)
            rules = settings.rules
            if rules.mechanism not in kept.used:
                kept = self._store.use_mechanism(project_id, rules.mechanism)
        except UnknownProjectError:  # it was deleted, and the store drops its events
            return _Way(asked_at=at, changes=changes)
        former, later = _around(rules.mechanism, kept.used, mechanisms_in(self._store.mechanisms(project_id)))
        return _Way(asked_at=at, changes=changes, rules=rules, former=former, later=later)

    def _tell(self, kept: ProjectGrouping, problem: MalformedRulesError) -> None:
        """Tell of rules that cannot be read, once for each text."""
        if self._told.get(kept.project_id) != kept.rules:
            if len(self._told) >= _PROJECTS_MAX:
                self._told.clear()
            self._told[kept.project_id] = kept.rules
            self._unreadable(kept.project_id, problem)


def _around(mechanism: str, used: tuple[str, ...], living: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which *living* mechanisms a project came to use before *mechanism*, and which after it.

    Those that are not among *used* are of a version that noted none, and come first.
    """
    order = [*(name for name in living if name not in used), *used]
    at = order.index(mechanism)
    return tuple(name for name in order[:at] if name in living), tuple(
        name for name in order[at + 1 :] if name in living
    )
