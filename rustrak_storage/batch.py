"""A batch of events, filed under issues in memory: what every backend's ``record`` does between reading and writing."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import attrs

from rustrak_core.accepted import Count, Outcome
from rustrak_core.issue import IssueId
from rustrak_core.ports import Recorded
from rustrak_core.project import Project, ProjectId
from rustrak_core.project import sentry_key as hyphenated
from rustrak_core.times import from_micros
from rustrak_storage.filing import Filed, IssueRow
from rustrak_storage.texts import clean

KeyId = tuple[int, bytes, str]
"""A grouping key of a project: project, value, mechanism."""
EventKey = tuple[int, bytes]
"""An event of a project: project, event id."""
FacetKey = tuple[int, str, str]
"""A facet: issue, key, value."""
CounterKey = tuple[int, int, str, str, str]
"""A counter: project, day since 1970-01-01, category, outcome, reason."""

_EPOCH_ORDINAL = 719_163  # date(1970, 1, 1).toordinal()


@attrs.define(kw_only=True, slots=True)
class ProjectRow:
    """A project as stores keep it. Times are microseconds; *sentry_key* is 32 hex digits.

    Attributes:
        last_number: The number in the newest short id.
        deleted_at: None while it lives; a deleted project's row stays, so that its slug and key stay used.
    """

    id: int
    name: str
    slug: str
    sentry_key: str
    created_at: int
    event_count: int = 0
    issue_count: int = 0
    last_number: int = 0
    deleted_at: int | None = None

    def to_project(self) -> Project:
        """Return the value that callers see."""
        return Project(
            id=ProjectId(self.id),
            name=self.name,
            slug=self.slug,
            sentry_key=hyphenated(self.sentry_key),
            created_at=from_micros(self.created_at),
            event_count=self.event_count,
            issue_count=self.issue_count,
        )


@attrs.define(kw_only=True, slots=True)
class Filing:
    """An event that is to be stored, its issue, and the grouping key by which it was filed.

    Attributes:
        number: Above those of all events that came before, for backends that have no other place for it.
    """

    event: Filed
    issue: IssueRow
    key: tuple[bytes, str]
    number: int = 0


@attrs.define(kw_only=True, slots=True, eq=False)
class _Decision:
    outcome: Outcome
    issue: IssueRow | None = None
    issue_id: int | None = None
    is_new: bool = False
    reopened: bool = False


@attrs.define(kw_only=True, eq=False)
class Batch:
    """Files events in the order given, and keeps what has to be written for it.

    Attributes:
        projects: Every project that the batch names and that exists, deleted ones too.
        stored: The issue of every event of the batch that is stored already, and whose issue exists.
        keys: The issue of every known grouping key of the batch.
        origins: The issue that a key belonged to before that was merged, where it was; and those of new keys.
        opened: New issues, in order of their numbers; their ids are below 0 until `number` gives them theirs.
        touched: Issues that were there and got events.
    """

    projects: Mapping[int, ProjectRow]
    stored: Mapping[EventKey, int]
    keys: dict[KeyId, IssueRow]
    origins: dict[KeyId, int] = attrs.field(factory=dict)
    opened: list[IssueRow] = attrs.field(factory=list, init=False)
    touched: dict[int, IssueRow] = attrs.field(factory=dict, init=False)
    new_keys: dict[KeyId, IssueRow] = attrs.field(factory=dict, init=False)
    filings: list[Filing] = attrs.field(factory=list, init=False)
    counters: dict[CounterKey, int] = attrs.field(factory=lambda: defaultdict(int), init=False)
    _here: dict[EventKey, IssueRow] = attrs.field(factory=dict, init=False)
    _decisions: list[_Decision] = attrs.field(factory=list, init=False)

    def file(self, events: Iterable[Filed]) -> None:
        """File *events*."""
        for event in events:
            decision = self._decide(event)
            self._decisions.append(decision)
            if event.project_id in self.projects:
                reason = "repeat" if decision.outcome is Outcome.SHED else ""
                self.counters[event.project_id, event.day, "error", decision.outcome.value, reason] += 1

    def count(self, counts: Iterable[Count]) -> None:
        """Add *counts* to the counters, those of unknown projects dropped."""
        for count in counts:
            if count.project_id in self.projects:
                day = count.day.toordinal() - _EPOCH_ORDINAL
                category, reason = clean(count.category, 64), clean(count.reason, 200)
                self.counters[count.project_id, day, category, count.outcome.value, reason] += count.quantity

    def number(self, issue_ids: Sequence[int]) -> None:
        """Give the new issues their ids, as many as there are in `opened`."""
        for row, issue_id in zip(self.opened, issue_ids, strict=True):
            row.id = issue_id

    def recorded(self) -> list[Recorded]:
        """Return what became of each event."""
        return [
            Recorded(
                outcome=decision.outcome,
                issue_id=IssueId(decision.issue.id) if decision.issue is not None else _issue_id(decision.issue_id),
                is_new=decision.is_new,
                reopened=decision.reopened,
            )
            for decision in self._decisions
        ]

    def facets(self) -> dict[FacetKey, int]:
        """Return what the stored events add to facets: how many events for each (issue, key, value)."""
        of_issue: dict[int, list[Iterator[tuple[str, str]]]] = defaultdict(list)
        for filing in self.filings:
            of_issue[filing.issue.id].append(filing.event.source.facets())
        sums: dict[FacetKey, int] = {}
        for issue_id, pairs in of_issue.items():
            # Cleaned once they are counted, for most of them have fallen together then.
            for (key, value), count in Counter(chain.from_iterable(pairs)).items():
                facet = (issue_id, clean(key, 204), clean(value, 200))
                sums[facet] = sums.get(facet, 0) + count
        return sums

    def users(self) -> dict[int, set[bytes]]:
        """Return the users of the stored events, by issue."""
        users: dict[int, set[bytes]] = defaultdict(set)
        for filing in self.filings:
            if filing.event.user is not None:
                users[filing.issue.id].add(filing.event.user)
        return users

    def _decide(self, event: Filed) -> _Decision:
        project = self.projects.get(event.project_id)
        if project is None or project.deleted_at is not None:
            return _Decision(outcome=Outcome.DELETED)
        event_key = (event.project_id, event.event_id)
        if (issue_id := self.stored.get(event_key)) is not None:
            return _Decision(outcome=Outcome.DUPLICATE, issue_id=issue_id)
        if (earlier := self._here.get(event_key)) is not None:
            return _Decision(outcome=Outcome.DUPLICATE, issue=earlier)
        issue, key = self._find(event)
        is_new = issue is None
        if issue is None:
            issue = self._open(event, project)
        elif issue.id > 0:
            self.touched[issue.id] = issue
        self._learn(event, issue, self.origins.get((event.project_id, *key)) if self.origins else None)
        reopened = issue.add(event)
        project.event_count += 1
        self._here[event_key] = issue
        self.filings.append(Filing(event=event, issue=issue, key=key))
        outcome = Outcome.SHED if event.source.payload is None else Outcome.STORED
        return _Decision(outcome=outcome, issue=issue, is_new=is_new, reopened=reopened)

    def _find(self, event: Filed) -> tuple[IssueRow | None, tuple[bytes, str]]:
        """Return the issue of the first key that is known, in the order asked, and that key; else None and its own."""
        for value, mechanism in event.asked:
            issue = self.keys.get((event.project_id, value, mechanism))
            if issue is not None:
                return issue, (value, mechanism)
        return None, event.keys[0]

    def _open(self, event: Filed, project: ProjectRow) -> IssueRow:
        project.last_number += 1
        project.issue_count += 1
        issue = event.open(-1 - len(self.opened), project.last_number)
        self.opened.append(issue)
        return issue

    def _learn(self, event: Filed, issue: IssueRow, origin: int | None) -> None:
        for value, mechanism in event.keys:
            key_id = (event.project_id, value, mechanism)
            if key_id not in self.keys:
                self.keys[key_id] = self.new_keys[key_id] = issue
                if origin is not None:  # what an issue that was merged learns stays its own
                    self.origins[key_id] = origin


def _issue_id(number: int | None) -> IssueId | None:
    return None if number is None else IssueId(number)
