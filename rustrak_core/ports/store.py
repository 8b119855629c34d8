"""What a store must do: projects, tokens, issues and their events, counters."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

import attrs

from rustrak_core.accepted import Count, Outcome, SpoolAdvance, SpoolPosition
from rustrak_core.digested import Digested, EventSummary, StoredEvent
from rustrak_core.issue import Issue, IssueId, IssueState, ShortId
from rustrak_core.page import EventQuery, IssueQuery, ListQuery, Page
from rustrak_core.ports.backfill import BackfillStore
from rustrak_core.ports.export import ExportStore
from rustrak_core.ports.grouping import GroupingStore
from rustrak_core.ports.history import HistoryStore
from rustrak_core.ports.merges import MergeStore
from rustrak_core.ports.similar import SimilarStore
from rustrak_core.project import Project, ProjectId
from rustrak_core.token import Token, TokenId


@attrs.frozen(kw_only=True)
class Recorded:
    """What became of one event.

    Attributes:
        outcome: ``stored``, ``shed`` (stored without a payload), ``duplicate`` (the project holds that event id
            already) or ``deleted`` (its project is gone).
        issue_id: The issue it belongs to; None where *outcome* is ``deleted``.
        is_new: It opened that issue.
        reopened: It reopened that issue (a regression).
    """

    outcome: Outcome
    issue_id: IssueId | None = None
    is_new: bool = False
    reopened: bool = False


class ProjectStore(Protocol):
    """Keeps projects. Ids are integers below 2^53 and never used again; nor are slugs."""

    def create_project(self, name: str, *, sentry_key: str, now: datetime) -> Project:
        """Create a project; *name* is trimmed and valid, *sentry_key* a hyphenated UUID.

        The slug is the first of `rustrak_core.project.slugs` that no project has or had.

        Raises:
            InvalidInputError: a project that exists, or existed, has that key.
        """
        ...

    def projects(self, query: ListQuery) -> Page[Project]:
        """Return projects by id, oldest first; deleted ones are not among them."""
        ...

    def project(self, project_id: ProjectId) -> Project:
        """Return a project.

        Raises:
            UnknownProjectError: there is none, or it was deleted.
        """
        ...

    def project_by_slug(self, slug: str) -> Project:
        """Return the project that has *slug*.

        Raises:
            UnknownProjectError: there is none, or it was deleted.
        """
        ...

    def rename_project(self, project_id: ProjectId, name: str) -> Project:
        """Give a project another name; its slug stays.

        Raises:
            UnknownProjectError: there is none, or it was deleted.
        """
        ...

    def delete_project(self, project_id: ProjectId, *, now: datetime) -> Project:
        """Delete a project with its issues and events, and return it as it was.

        It is gone at once for readers and for `record`; its rows go later, by `Maintenance.purge`. Its counters stay:
        what of it is recorded from now on is counted as deleted.

        Raises:
            UnknownProjectError: there is none, or it was deleted already.
        """
        ...


class TokenStore(Protocol):
    """Keeps API tokens, never one that works: hashes only. Ids are never used again."""

    def create_token(self, *, sha256: bytes, prefix: str, description: str | None, now: datetime) -> Token:
        """Keep a new token."""
        ...

    def tokens(self, query: ListQuery) -> Page[Token]:
        """Return tokens by id, oldest first."""
        ...

    def token_by_hash(self, sha256: bytes) -> Token | None:
        """Return the token with that hash, or None."""
        ...

    def touch_token(self, token_id: TokenId, *, now: datetime) -> None:
        """Note that a token was used; does nothing if that is known to within a minute, or the token is gone."""
        ...

    def delete_token(self, token_id: TokenId) -> Token:
        """Delete a token, and return it as it was.

        Raises:
            UnknownTokenError: there is none.
        """
        ...


class IssueStore(Protocol):
    """Keeps issues and the events that belong to them."""

    def record(
        self, events: Sequence[Digested], *, counts: Sequence[Count] = (), advance: SpoolAdvance | None = None
    ) -> Sequence[Recorded]:
        """File *events* of any projects under their issues, opening those that are new, in one transaction.

        In the order given: an event whose project is gone is ``deleted``; one whose (project, event id) is stored
        already, or stands earlier in the batch, is a ``duplicate`` and changes nothing; any other is stored, opens its
        issue where none of its keys is known (`Digested.asked` says in which order they are asked), reopens a resolved
        one (`rustrak_core.issue.reopens`), and moves counts, first and last seen, releases, facets and users. Short ids
        count up per project without gaps or repeats.

        An event whose payload was shed is stored like any other but for that, and its outcome is ``shed``.

        Outcomes of events are counted by the store itself, per project and day of receipt (category ``error``);
        *counts* are added to the same counters, those of unknown projects dropped. Counters and the lane's position
        commit with the events, so that a replay counts nothing twice.

        Returns:
            What became of each event, in the order given.

        Raises:
            StalePositionError: the lane's position is not ``advance.start``; nothing was recorded.
            StoreUnavailableError: the database cannot be reached; nothing was recorded, and trying again is safe.
        """
        ...

    def mechanisms(self, project_id: ProjectId) -> Sequence[str]:
        """Return the mechanisms in grouping keys of a project's issues, sorted; none where there is no such project."""
        ...

    def issues(self, query: IssueQuery) -> Page[Issue]:
        """Return issues of a project, as *query* says. The keyset is (sort value, id), times in microseconds.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...

    def issue(self, ref: IssueId | ShortId) -> Issue:
        """Return an issue by its number (an int) or its short id (a str).

        Raises:
            UnknownIssueError: there is none, or it was deleted.
        """
        ...

    def set_issue_state(self, ref: IssueId | ShortId, state: IssueState, *, now: datetime) -> Issue:
        """Give an issue a state, and return it; the state it has already changes nothing.

        Raises:
            UnknownIssueError: there is none, or it was deleted.
        """
        ...

    def delete_issue(self, ref: IssueId | ShortId, *, now: datetime) -> Issue:
        """Delete an issue with its events and grouping keys, and return it as it was.

        It is gone at once, with all that was merged into it; the same error later opens a new issue with a new short
        id. Rows go by `Maintenance.purge`.

        Raises:
            UnknownIssueError: there is none, or it was deleted already.
            InvalidInputError: it was merged into another issue, which would be deleted in its place.
        """
        ...


class EventStore(Protocol):
    """Reads events, which `IssueStore.record` writes."""

    def events(self, query: EventQuery) -> Page[EventSummary]:
        """Return events of an issue, newest first.

        Raises:
            UnknownIssueError: there is no such issue, or it was deleted.
        """
        ...

    def event(self, event_id: UUID, *, project_id: ProjectId | None = None) -> StoredEvent:
        """Return an event with its payload. Where several projects hold that id, *project_id* chooses, else the newest.

        Raises:
            UnknownEventError: there is none, or its issue or project was deleted.
        """
        ...


@attrs.frozen(kw_only=True)
class Ledger:
    """A project's counters, and how far each lane was recorded when they were read: one moment, for an exact sum."""

    counts: Sequence[Count]
    positions: Sequence[SpoolPosition]


class CounterStore(Protocol):
    """Reads counters and positions, which `IssueStore.record` writes."""

    def ledger(self, project_id: ProjectId, *, since: date, until: date) -> Ledger:
        """Return the counters of a project for the days *since* to *until*, both included, newest day first.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...

    def position(self, lane: str) -> SpoolPosition | None:
        """Return how far a lane has been recorded, or None where nothing of it was."""
        ...


class Maintenance(Protocol):
    """What keeps a store well."""

    def first_start(
        self, *, name: str, sentry_key: str, token_sha256: bytes, token_prefix: str, now: datetime
    ) -> tuple[Project, Token] | None:
        """Create the first project and token of a store that never had a project, in one transaction.

        Returns:
            What was created; None where any project or token exists or existed. Of many callers, one gets them.
        """
        ...

    def purge(self, *, limit: int = 1000) -> int:
        """Remove up to *limit* rows of what was deleted, in one transaction, and return how many; 0 at the end."""
        ...

    def check(self) -> None:
        """Return if the store can be read now and its schema is ours.

        Raises:
            StoreUnavailableError: it cannot be reached, or its schema differs (`SchemaError`).
        """
        ...

    def examine(self) -> None:
        """Return if what is kept can be read, as far as a quick look tells; a server asks before it serves.

        Raises:
            StoreUnavailableError: something is missing or damaged without which events cannot be read, or as `check`.
        """
        ...

    def close(self) -> None:
        """Release connections and files. Calls after it raise StoreUnavailableError."""
        ...


@runtime_checkable
class ForkableStore(Protocol):
    """What a store can do so that processes forked from this one go on with it; others are opened in each."""

    def disconnect(self) -> None:
        """Close all connections and files; whoever asks next, here or in a forked process, opens its own."""
        ...


class Store(
    ProjectStore,
    TokenStore,
    GroupingStore,
    IssueStore,
    MergeStore,
    SimilarStore,
    EventStore,
    CounterStore,
    HistoryStore,
    BackfillStore,
    ExportStore,
    Maintenance,
    Protocol,
):
    """All that a backend keeps."""
