"""Newer grouping keys of issues, worked out from their stored events: after an upgrade, no known error is new again."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from rustrak_core.digested import GroupingKey
from rustrak_core.errors import UnknownProjectError
from rustrak_core.grouping import Rules, mechanisms_in, settings_of
from rustrak_core.issue import IssueId
from rustrak_core.page import LIMIT_MAX, ListQuery, walk
from rustrak_core.ports import Backfill, BackfillStage, FiledEvent, Store
from rustrak_core.project import ProjectId
from rustrak_core.regroup.history import rekey

SLICE: Final = 100
"""Events that are read at once, some twenty milliseconds of work."""

_EVERY_S: Final = 60.0


def backfill_step(store: Store, project_id: ProjectId, *, limit: int = SLICE) -> bool:
    """Do the next piece of a project's backfill; return whether there is more for this process to do.

    Raises:
        UnknownProjectError: there is no such project.
        StoreUnavailableError: the store cannot be reached; nothing is lost.
    """
    kept = store.grouping(project_id)
    rules = settings_of(kept.rules).rules
    state = store.backfill(project_id)
    if state is None or state.mechanism != rules.mechanism:
        if set(kept.used) <= {rules.mechanism} or not is_due(store, project_id, rules):
            return False
        return store.move_backfill(state, Backfill(project_id=project_id, mechanism=rules.mechanism))
    if state.stage is BackfillStage.READING:
        page = store.scan(project_id, after=state.upto, limit=limit)
        if not page:
            return store.move_backfill(state, attrs.evolve(state, stage=BackfillStage.ATTACHING))
        return store.move_backfill(state, attrs.evolve(state, upto=page[-1].number), newer_keys(page, rules))
    if state.stage is BackfillStage.ATTACHING:
        if store.attach_newer_keys(project_id, limit=limit):
            return True
        store.move_backfill(state, attrs.evolve(state, stage=BackfillStage.DONE))
    return False


def is_due(store: Store, project_id: ProjectId, rules: Rules) -> bool:
    """Tell whether a project has live issues that were opened by another mechanism than that of *rules*."""
    return any(name != rules.mechanism for name in mechanisms_in(store.mechanisms(project_id)))


def newer_keys(events: Iterable[FiledEvent], rules: Rules) -> Mapping[GroupingKey, set[IssueId]]:
    """Return the keys that *rules* give *events* which were filed by another mechanism, with the issues of these."""
    found: dict[GroupingKey, set[IssueId]] = defaultdict(set)
    for event in events:
        if event.key.mechanism.rpartition(":")[2] == rules.mechanism:
            continue
        key = rekey(event.kind, event.hints, event.payload, rules)
        if key is not None and key != event.key:
            found[key].add(event.issue_id)
    return found


class Backfiller:
    """Does the backfills of all projects, a slice at a time, when there is nothing else to do.

    It looks for what is due once a minute. Of several processes one goes on with a project, and the others leave it.

    Args:
        store: Where projects and events are.
        monotonic: Seconds of a clock that only goes forward.
    """

    def __init__(self, store: Store, *, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._waiting: deque[ProjectId] = deque()
        self._look_at = float("-inf")

    def work(self) -> bool:
        """Do one slice, if there is any to do; return whether more may be done at once.

        Raises:
            StoreUnavailableError: the store cannot be reached; nothing is lost.
        """
        if not self._waiting:
            now = self._monotonic()
            if now < self._look_at:
                return False
            self._look_at = now + _EVERY_S
            pages = walk(lambda after: self._store.projects(ListQuery(limit=LIMIT_MAX, after=after)), None)
            self._waiting.extend(project.id for project in pages)
            if not self._waiting:
                return False
        try:
            more = backfill_step(self._store, self._waiting[0])
        except UnknownProjectError:  # deleted meanwhile
            more = False
        if not more:
            self._waiting.popleft()
        return bool(self._waiting)

    def rest(self) -> None:
        """Leave what is at hand for a minute, since it fails."""
        self._waiting.clear()
        self._look_at = self._monotonic() + _EVERY_S
