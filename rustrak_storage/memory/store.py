"""The store in memory: for tests, for trying things out, and the plainest statement of what a store does."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import attrs

from rustrak_core.accepted import Count, Outcome, SpoolAdvance, SpoolPosition
from rustrak_core.digested import Digested, EventSummary, StoredEvent
from rustrak_core.errors import (
    InvalidInputError,
    StalePositionError,
    UnknownEventError,
    UnknownProjectError,
    UnknownTokenError,
)
from rustrak_core.issue import Issue, IssueId, IssueState, ShortId
from rustrak_core.page import EventQuery, IssueQuery, Keyset, ListQuery, Page
from rustrak_core.ports import Ledger, Recorded, Store
from rustrak_core.project import Project, ProjectId, key_hex, slugs
from rustrak_core.times import to_micros
from rustrak_core.token import Token, TokenId
from rustrak_storage.batch import Batch, CounterKey, EventKey, Filing, ProjectRow
from rustrak_storage.filing import VALUES_MAX, Filed, IssueRow, filed, short_id
from rustrak_storage.memory.backfill import MemoryBackfill
from rustrak_storage.memory.base import by_id
from rustrak_storage.memory.export import MemoryExport
from rustrak_storage.memory.grouping import MemoryGrouping
from rustrak_storage.memory.history import MemoryHistory
from rustrak_storage.memory.similar import MemorySimilar
from rustrak_storage.memory.views import event_keyset, stored, summary
from rustrak_storage.merging import refuse_merged
from rustrak_storage.texts import clean

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class MemoryStore(MemoryGrouping, MemoryHistory, MemoryBackfill, MemorySimilar, MemoryExport, Store):
    """Keeps everything in this process, until it is closed. Thread-safe; a fork gets a copy."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self._started = False
        self._tokens: dict[int, Token] = {}
        self._last_token = self._last_issue = 0
        self._events: dict[EventKey, Filing] = {}
        self._numbers: dict[int, Filing] = {}
        self._last_event = 0
        self._unsettled: set[int] = set()
        self._refilings: dict[ProjectId, int] = {}
        self._counters: dict[CounterKey, int] = defaultdict(int)
        self._positions: dict[str, SpoolPosition] = {}

    # Projects

    def create_project(self, name: str, *, sentry_key: str, now: datetime) -> Project:
        """See `rustrak_core.ports.ProjectStore.create_project`."""
        with self._lock:
            self._check_open()
            digits = key_hex(sentry_key)
            if digits is None or any(row.sentry_key == digits for row in self._projects.values()):
                raise InvalidInputError("sentry_key", "a project has, or had, that key; choose another")
            self._started = True
            number = ProjectId(len(self._projects) + 1)
            taken = {row.slug for row in self._projects.values()}
            slug = next(slug for slug in slugs(name, number) if slug not in taken)
            row = ProjectRow(id=number, name=name, slug=slug, sentry_key=digits, created_at=to_micros(now))
            self._projects[number] = row
            return row.to_project()

    def projects(self, query: ListQuery) -> Page[Project]:
        """See `rustrak_core.ports.ProjectStore.projects`."""
        with self._lock:
            self._check_open()
            rows = sorted(row.id for row in self._projects.values() if row.deleted_at is None)
            chosen, after = by_id(rows, query)
            return Page(items=[self._projects[number].to_project() for number in chosen], after=after)

    def project(self, project_id: ProjectId) -> Project:
        """See `rustrak_core.ports.ProjectStore.project`."""
        with self._lock:
            return self._live(project_id).to_project()

    def project_by_slug(self, slug: str) -> Project:
        """See `rustrak_core.ports.ProjectStore.project_by_slug`."""
        with self._lock:
            self._check_open()
            for row in self._projects.values():
                if row.slug == slug and row.deleted_at is None:
                    return row.to_project()
            raise UnknownProjectError("no such project")

    def rename_project(self, project_id: ProjectId, name: str) -> Project:
        """See `rustrak_core.ports.ProjectStore.rename_project`."""
        with self._lock:
            row = self._live(project_id)
            row.name = name
            return row.to_project()

    def delete_project(self, project_id: ProjectId, *, now: datetime) -> Project:
        """See `rustrak_core.ports.ProjectStore.delete_project`."""
        with self._lock:
            row = self._live(project_id)
            before = row.to_project()
            for issue in [issue for issue in self._issues.values() if issue.project_id == project_id]:
                self._remove(issue)
            for key in [key for key in self._counters if key[0] == project_id]:
                del self._counters[key]
            self._groupings.pop(project_id, None)
            self._refilings.pop(project_id, None)
            row.deleted_at = to_micros(now)
            return before

    # Tokens

    def create_token(self, *, sha256: bytes, prefix: str, description: str | None, now: datetime) -> Token:
        """See `rustrak_core.ports.TokenStore.create_token`."""
        with self._lock:
            self._check_open()
            if any(token.sha256 == sha256 for token in self._tokens.values()):
                raise InvalidInputError("token", "a token with that hash exists; make a new one")
            self._started = True
            self._last_token += 1
            token = Token(
                id=TokenId(self._last_token), prefix=prefix, sha256=sha256, description=description, created_at=now
            )
            self._tokens[token.id] = token
            return token

    def tokens(self, query: ListQuery) -> Page[Token]:
        """See `rustrak_core.ports.TokenStore.tokens`."""
        with self._lock:
            self._check_open()
            chosen, after = by_id(sorted(self._tokens), query)
            return Page(items=[self._tokens[number] for number in chosen], after=after)

    def token_by_hash(self, sha256: bytes) -> Token | None:
        """See `rustrak_core.ports.TokenStore.token_by_hash`."""
        with self._lock:
            self._check_open()
            return next((token for token in self._tokens.values() if token.sha256 == sha256), None)

    def touch_token(self, token_id: TokenId, *, now: datetime) -> None:
        """See `rustrak_core.ports.TokenStore.touch_token`."""
        with self._lock:
            self._check_open()
            token = self._tokens.get(token_id)
            if token is not None and (token.last_used_at is None or (now - token.last_used_at).total_seconds() >= 60):
                self._tokens[token_id] = attrs.evolve(token, last_used_at=now)

    def delete_token(self, token_id: TokenId) -> Token:
        """See `rustrak_core.ports.TokenStore.delete_token`."""
        with self._lock:
            self._check_open()
            token = self._tokens.pop(token_id, None)
            if token is None:
                raise UnknownTokenError("no such token")
            return token

    # Issues

    def record(
        self, events: Sequence[Digested], *, counts: Sequence[Count] = (), advance: SpoolAdvance | None = None
    ) -> Sequence[Recorded]:
        """See `rustrak_core.ports.IssueStore.record`."""
        ready = [filed(event) for event in events]
        with self._lock:
            self._check_open()
            if advance is not None and self._positions.get(advance.end.lane) != advance.start:
                raise StalePositionError("the lane was recorded by another worker; read again from its position")
            # Nothing below can fail, so nothing has to be taken back.
            known = {key: self._events[key].issue.id for key in map(_event_key, ready) if key in self._events}
            batch = Batch(projects=self._projects, stored=known, keys=self._keys, origins=self._origins)
            batch.file(ready)
            batch.count(counts)
            self._keep(batch)
            if advance is not None:
                self._positions[advance.end.lane] = advance.end
            return batch.recorded()

    def mechanisms(self, project_id: ProjectId) -> Sequence[str]:
        """See `rustrak_core.ports.IssueStore.mechanisms`."""
        with self._lock:
            self._check_open()
            return sorted(self._mechanisms(project_id))

    def issues(self, query: IssueQuery) -> Page[Issue]:
        """See `rustrak_core.ports.IssueStore.issues`."""
        with self._lock:
            project = self._live(query.project_id)
            found = [row for row in self._issues.values() if row.project_id == project.id and self._matches(row, query)]
            sign = -1 if query.descending else 1
            keyed = sorted((sign * getattr(row, query.sort.value), sign * row.id, row) for row in found)
            if query.after is not None:
                behind = tuple(sign * value for value in query.after.values)
                keyed = [entry for entry in keyed if entry[:2] > behind]
            chosen = [row for _value, _id, row in keyed[: query.limit]]
            more = len(keyed) > query.limit
            after = Keyset(values=(getattr(chosen[-1], query.sort.value), chosen[-1].id)) if more else None
            return Page(items=[self._shown(row) for row in chosen], after=after)

    def issue(self, ref: IssueId | ShortId) -> Issue:
        """See `rustrak_core.ports.IssueStore.issue`."""
        with self._lock:
            return self._shown(self._issue(ref))

    def set_issue_state(self, ref: IssueId | ShortId, state: IssueState, *, now: datetime) -> Issue:
        """See `rustrak_core.ports.IssueStore.set_issue_state`."""
        with self._lock:
            row = self._issue(ref)
            row.set_state(state, now)
            return self._shown(row)

    def delete_issue(self, ref: IssueId | ShortId, *, now: datetime) -> Issue:  # noqa: ARG002 - nothing is marked here
        """See `rustrak_core.ports.IssueStore.delete_issue`."""
        with self._lock:
            row = self._issue(ref)
            project = self._projects[row.project_id]
            refuse_merged(self._node(ref), short_id(project.slug, row.number))
            before = self._shown(row)
            self._remove(row)
            project.issue_count -= 1
            return before

    # Events

    def events(self, query: EventQuery) -> Page[EventSummary]:
        """See `rustrak_core.ports.EventStore.events`."""
        with self._lock:
            row = self._issue(query.issue_id)
            found = sorted(self._events_of[row.id].values(), key=lambda filing: filing.event.rank, reverse=True)
            if query.after is not None:
                found = [filing for filing in found if event_keyset(filing).values < query.after.values]
            chosen = found[: query.limit]
            after = event_keyset(chosen[-1]) if len(found) > query.limit else None
            return Page(items=[summary(filing) for filing in chosen], after=after)

    def event(self, event_id: UUID, *, project_id: ProjectId | None = None) -> StoredEvent:
        """See `rustrak_core.ports.EventStore.event`."""
        with self._lock:
            self._check_open()
            wanted = list(self._projects) if project_id is None else [int(project_id)]
            found = [
                self._events[key] for key in ((number, event_id.bytes) for number in wanted) if key in self._events
            ]
            if not found:
                raise UnknownEventError("no such event")
            return stored(max(found, key=lambda filing: (filing.event.rank, filing.event.project_id)))

    # Counters

    def ledger(self, project_id: ProjectId, *, since: date, until: date) -> Ledger:
        """See `rustrak_core.ports.CounterStore.ledger`."""
        with self._lock:
            self._live(project_id)
            counts = [
                Count(
                    project_id=ProjectId(number),
                    day=date.fromordinal(day + _EPOCH_ORDINAL),
                    category=category,
                    outcome=Outcome(outcome),
                    reason=reason,
                    quantity=quantity,
                )
                for (number, day, category, outcome, reason), quantity in self._counters.items()
                if number == project_id and since.toordinal() <= day + _EPOCH_ORDINAL <= until.toordinal()
            ]
            counts.sort(key=lambda count: (-count.day.toordinal(), count.category, count.outcome, count.reason))
            return Ledger(counts=counts, positions=sorted(self._positions.values()))

    def position(self, lane: str) -> SpoolPosition | None:
        """See `rustrak_core.ports.CounterStore.position`."""
        with self._lock:
            self._check_open()
            return self._positions.get(lane)

    # Maintenance

    def first_start(
        self, *, name: str, sentry_key: str, token_sha256: bytes, token_prefix: str, now: datetime
    ) -> tuple[Project, Token] | None:
        """See `rustrak_core.ports.Maintenance.first_start`."""
        with self._lock:
            self._check_open()
            if self._started:
                return None
            project = self.create_project(name, sentry_key=sentry_key, now=now)
            return project, self.create_token(sha256=token_sha256, prefix=token_prefix, description=None, now=now)

    def purge(self, *, limit: int = 1000) -> int:  # noqa: ARG002 - the port's signature
        """Return 0: here, what is deleted is gone at once."""
        self.check()
        return 0

    def check(self) -> None:
        """See `rustrak_core.ports.Maintenance.check`."""
        with self._lock:
            self._check_open()

    def examine(self) -> None:
        """See `rustrak_core.ports.Maintenance.examine`: nothing here is ever away."""
        self.check()

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._closed = True
            events = (self._events, self._events_of, self._numbers)
            for kept in (self._projects, self._tokens, self._issues, self._merged, self._keys, *events):
                kept.clear()

        # Within

    def _keep(self, batch: Batch) -> None:
        batch.number(range(self._last_issue + 1, self._last_issue + 1 + len(batch.opened)))
        self._last_issue += len(batch.opened)
        for row in batch.opened:
            self._issues[row.id] = row
        for filing in batch.filings:
            key = _event_key(filing.event)
            self._last_event += 1
            filing.number = self._last_event
            self._numbers[filing.number] = filing
            self._events[key] = self._events_of[filing.issue.id][key] = filing
        self._index_opened(batch)
        for (issue_id, name, value), count in batch.facets().items():
            known = self._facets[issue_id, name]
            if value in known or len(known) < VALUES_MAX:
                known[value] = known.get(value, 0) + count
        for issue_id, users in batch.users().items():
            self._users[issue_id] |= users
            self._issues[issue_id].user_count = len(self._users[issue_id])
        for counter, quantity in batch.counters.items():
            self._counters[counter] += quantity

    def _remove(self, issue: IssueRow) -> None:
        for key, filing in self._events_of.pop(issue.id, {}).items():
            del self._events[key]
            del self._numbers[filing.number]
        for key_id in [key_id for key_id, row in self._keys.items() if row is issue]:
            del self._keys[key_id]
            self._origins.pop(key_id, None)
        for number in [number for number, one in self._merged.items() if one.root is issue]:
            del self._merged[number]
            self._terms.pop(number, None)
        self._forget(issue)
        self._terms.pop(issue.id, None)
        del self._issues[issue.id]

    def _matches(self, row: IssueRow, query: IssueQuery) -> bool:
        wanted = [("environment", query.environment), ("release", query.release), ("level", query.level)]
        wanted += [(f"tag:{key}", value) for key, value in query.tags]
        return (
            (query.state is None or row.state == query.state.value)
            and all(value is None or value in self._facets.get((row.id, key), ()) for key, value in wanted)
            and all(clean(word, len(word)).casefold() in row.search for word in query.words)
        )


def _event_key(event: Filed) -> EventKey:
    return event.project_id, event.event_id
