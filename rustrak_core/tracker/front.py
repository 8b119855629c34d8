"""The front door for embedding: errors in, issues out, without a server.

Nothing here starts a thread, reads a clock or opens a file by itself: a tracker does what it is told within the call.
To send what a process captures with ``sentry-sdk``, see `rustrak_core.embed`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import attrs

from rustrak_core import ambient
from rustrak_core.accepted import Accepted
from rustrak_core.digested import EventSummary, StoredEvent
from rustrak_core.envelope import Envelope
from rustrak_core.errors import InvalidInputError
from rustrak_core.grouping import Explanation
from rustrak_core.issue import Issue, IssueState, issue_state
from rustrak_core.jsontext import dumps
from rustrak_core.page import LIMIT_MAX, EventQuery, IssueQuery, IssueSort, ListQuery, page_size, search_terms, walk
from rustrak_core.ports import ProjectGrouping, Recorded, Store
from rustrak_core.project import Project, ProjectId, project_name, sentry_key
from rustrak_core.receive import Context, EnvelopeReceiver, Limits, Received, receive_store
from rustrak_core.token import DESCRIPTION_MAX, Token, TokenId, token_hash
from rustrak_core.tracker.exceptions import exception_event
from rustrak_core.tracker.intake import Ingested, record
from rustrak_core.tracker.mechanisms import Digester
from rustrak_core.tracker.merges import Merges
from rustrak_core.tracker.refs import IssueRef, ProjectRef, event_uuid, issue_key, issue_sort, project_slug
from rustrak_core.tracker.rules import pin_mechanism, rules_of, set_rules
from rustrak_core.view import event_to_json, explain_event


class Tracker(Merges):
    """Error tracking inside a Python service: give it envelopes or events, and get issues back.

    Thread-safe as its store is; it keeps no state of its own. It is a context manager that closes the store at the end.

    Args:
        store: Where issues and events are kept, as `rustrak_storage.open_store` returns it.
        clock: Returns the present in UTC.
        new_id: Returns a random UUID, for event ids and sentry keys.
        new_token: Returns 40 hex digits from a secure source.
        limits: What is refused as too large.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime] = ambient.utc_now,
        new_id: Callable[[], UUID] = ambient.new_uuid,
        new_token: Callable[[], str] = ambient.new_token_hex,
        limits: Limits | None = None,
    ) -> None:
        self.store = store
        self._digester = Digester(store)
        self.clock = clock
        self._new_id = new_id
        self._new_token = new_token
        self._limits = limits or Limits()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; calls after it raise StoreUnavailableError."""
        self.store.close()

    # --- errors in ---------------------------------------------------------------------------------------------

    def ingest(
        self,
        envelope: bytes | Envelope,
        project: ProjectRef,
        *,
        remote_addr: str | None = None,
        sdk_client: str | None = None,
    ) -> Ingested:
        """Record the events of an envelope, as any Sentry SDK writes it, decompressed.

        Args:
            envelope: The envelope. A DSN in its header is not looked at: *project* decides.
            project: Where it belongs.
            remote_addr: The address to take where the SDK asks for it with ``{{auto}}``.
            sdk_client: The client's name and version, as in ``sentry.python/2.75.0``.

        Raises:
            MalformedEnvelopeError: its framing is broken; nothing was kept. A broken item costs itself only.
            TooLargeError: it, or an event in it, is over its limit; nothing was kept.
            UnknownProjectError: there is no such project.
            StoreUnavailableError: nothing was kept, and trying again is safe.
        """
        project_id = self.project_id(project)
        return self._record(self.receive(envelope, project_id, remote_addr=remote_addr, sdk_client=sdk_client))

    def receive(
        self,
        envelope: bytes | Envelope,
        project_id: int,
        *,
        remote_addr: str | None = None,
        sdk_client: str | None = None,
    ) -> Received:
        """Read an envelope without recording it, for a host with a queue of its own; see `ingest`."""
        receiver = EnvelopeReceiver(
            self._context(ProjectId(project_id), remote_addr=remote_addr, sdk_client=sdk_client)
        )
        receiver.feed(envelope if isinstance(envelope, bytes) else envelope.serialize())
        return receiver.finish()

    def ingest_event(self, event: Mapping[str, Any], project: ProjectRef) -> Ingested:
        """Record one event, given as the attributes of Sentry's event payload; all of them may be missing.

        Raises:
            MalformedEventError: it is not an event; nothing was kept.
            TooLargeError: it is over its limit; nothing was kept.
            UnknownProjectError: there is no such project.
            StoreUnavailableError: nothing was kept, and trying again is safe.
        """
        return self._record(receive_store(dumps(dict(event)), self._context(self.project_id(project))))

    def capture_exception(self, error: BaseException, project: ProjectRef, **attributes: Any) -> Ingested:
        """Record an exception with its stack, and with those that it came from or groups.

        Args:
            error: The exception. Its local variables are not read, nor is source code.
            project: Where it belongs.
            attributes: More of the event, as in ``tags={"shop": "north"}``, ``user=...``, ``level="warning"``.

        Raises:
            UnknownProjectError: there is no such project.
            StoreUnavailableError: nothing was kept, and trying again is safe.
        """
        return self.ingest_event(exception_event(error) | attributes, project)

    def record(self, *accepted: Accepted) -> Sequence[Recorded]:
        """Record what `receive` returned, in one transaction; return what became of each event, in the order given.

        Raises:
            StoreUnavailableError: the store cannot be reached; nothing was kept.
        """
        return record(self.store, self._digester, *accepted)

    def _context(
        self, project_id: ProjectId, *, remote_addr: str | None = None, sdk_client: str | None = None
    ) -> Context:
        return Context(
            project_id=project_id,
            received_at=self.clock(),
            limits=self._limits,
            new_id=self._new_id,
            remote_addr=remote_addr,
            sdk_client=sdk_client,
        )

    def _record(self, received: Received) -> Ingested:
        return Ingested(event_id=received.event_id, recorded=tuple(self.record(received.accepted)))

    # --- projects ----------------------------------------------------------------------------------------------

    def create_project(self, name: str, *, key: str | None = None) -> Project:
        """Create a project.

        Args:
            name: 1 to 255 characters once trimmed, of any script.
            key: The sentry key to keep, 32 hex digits with or without hyphens; a random one by default.

        Raises:
            InvalidInputError: the name or the key is not valid, or a project has, or had, that key.
        """
        chosen = str(self._new_id()) if key is None else sentry_key(key)
        return self.store.create_project(project_name(name), sentry_key=chosen, now=self.clock())

    def projects(self) -> Iterator[Project]:
        """Yield all projects by id, read page by page."""
        return walk(lambda after: self.store.projects(ListQuery(limit=LIMIT_MAX, after=after)), None)

    def project(self, project: ProjectRef) -> Project:
        """Return a project as it is now.

        Raises:
            UnknownProjectError: there is no such project.
        """
        if isinstance(project, str):
            return self.store.project_by_slug(project_slug(project))
        return self.store.project(self.project_id(project))

    def rename_project(self, project: ProjectRef, name: str) -> Project:
        """Give a project another name; its slug and short ids stay.

        Raises:
            InvalidInputError: the name is not valid.
            UnknownProjectError: there is no such project.
        """
        return self.store.rename_project(self.project_id(project), project_name(name))

    def delete_project(self, project: ProjectRef) -> Project:
        """Delete a project with its issues and events, and return it as it was.

        Raises:
            UnknownProjectError: there is no such project.
        """
        return self.store.delete_project(self.project_id(project), now=self.clock())

    def project_id(self, project: ProjectRef) -> ProjectId:
        """Return a project's number; only a slug is looked up.

        Raises:
            UnknownProjectError: no project has that slug.
        """
        if isinstance(project, Project):
            return project.id
        return self.store.project_by_slug(project_slug(project)).id if isinstance(project, str) else ProjectId(project)

    # --- how events are grouped --------------------------------------------------------------------------------

    def grouping(self, project: ProjectRef) -> ProjectGrouping:
        """Return how a project wants its events grouped.

        Raises:
            UnknownProjectError: there is no such project.
        """
        return self.store.grouping(self.project_id(project))

    def set_rules(self, project: ProjectRef, rules: str) -> ProjectGrouping:
        """Give a project *rules*, a TOML document; ``""`` for none. They hold for events digested from now on.

        Raises:
            MalformedRulesError: something in it is no rule; it names the line, and nothing was changed.
            UnknownProjectError: there is no such project.
        """
        kept = set_rules(self.store, self.project_id(project), rules, now=self.clock())
        self._digester.forget()
        return kept

    def pin_mechanism(self, project: ProjectRef, mechanism: str | None) -> ProjectGrouping:
        """Have a project grouped by *mechanism* from now on, or by the default where it is None; its rules stay.

        Raises:
            InvalidInputError: there is no such mechanism.
            MalformedRulesError: the rules that the project has cannot be read, or not be changed; nothing was.
            UnknownProjectError: there is no such project.
        """
        kept = pin_mechanism(self.store, self.project_id(project), mechanism, now=self.clock())
        self._digester.forget()
        return kept

    # --- issues and events -------------------------------------------------------------------------------------

    def issues(
        self,
        project: ProjectRef,
        *,
        state: IssueState | str | None = None,
        q: str = "",
        environment: str | None = None,
        release: str | None = None,
        level: str | None = None,
        sort: IssueSort | str = IssueSort.LAST_SEEN,
        descending: bool = True,
        limit: int | None = None,
    ) -> Iterator[Issue]:
        """Yield issues of a project, read page by page; all filters must hold.

        Args:
            project: Whose issues.
            state: ``open``, ``resolved`` or ``muted``; all by default.
            q: Words that are in type, message or culprit, in any case; ``key:value`` is a tag.
            environment: Any event of the issue has it.
            release: Any event of the issue has it.
            level: Any event of the issue has it.
            sort: ``last_seen``, ``first_seen`` or ``event_count``.
            descending: Newest, or most, first.
            limit: How many at most; all by default.

        Raises:
            InvalidInputError: *state* or *sort* is none of these.
            UnknownProjectError: there is no such project.
        """
        words, tags = search_terms(q)
        query = IssueQuery(
            project_id=self.project_id(project),
            state=None if state is None else issue_state(state),
            environment=environment,
            release=release,
            level=level,
            words=words,
            tags=tags,
            sort=issue_sort(sort),
            descending=descending,
            limit=page_size(limit),
        )
        return walk(lambda after: self.store.issues(attrs.evolve(query, after=after)), limit)

    def issue(self, issue: IssueRef) -> Issue:
        """Return an issue as it is now.

        Raises:
            UnknownIssueError: there is no such issue.
        """
        return self.store.issue(issue_key(issue))

    def set_state(self, issue: IssueRef, state: IssueState | str) -> Issue:
        """Resolve, mute or reopen an issue, and return it; the state it has already changes nothing.

        Raises:
            InvalidInputError: *state* is not ``open``, ``resolved`` or ``muted``.
            UnknownIssueError: there is no such issue.
        """
        return self.store.set_issue_state(issue_key(issue), issue_state(state), now=self.clock())

    def delete_issue(self, issue: IssueRef) -> Issue:
        """Delete an issue with its events, and return it as it was; the same error later opens a new one.

        Raises:
            UnknownIssueError: there is no such issue.
        """
        return self.store.delete_issue(issue_key(issue), now=self.clock())

    def events(self, issue: IssueRef, *, limit: int | None = None) -> Iterator[EventSummary]:
        """Yield the events of an issue, newest first, read page by page.

        Args:
            issue: Whose events.
            limit: How many at most; all by default.

        Raises:
            UnknownIssueError: there is no such issue.
        """
        ref = issue_key(issue)
        number = self.store.issue(ref).id if isinstance(ref, str) else ref
        query = EventQuery(issue_id=number, limit=page_size(limit))
        return walk(lambda after: self.store.events(attrs.evolve(query, after=after)), limit)

    def event(self, event_id: UUID | str, *, project: ProjectRef | None = None) -> StoredEvent:
        """Return an event with its payload as the SDK sent it.

        Args:
            event_id: As ``capture_exception()`` returned it, with or without hyphens.
            project: Chooses where several projects hold that id; the newest otherwise.

        Raises:
            UnknownEventError: there is no such event.
        """
        project_id = None if project is None else self.project_id(project)
        return self.store.event(event_uuid(event_id), project_id=project_id)

    def event_json(self, event_id: UUID | str, *, project: ProjectRef | None = None) -> dict[str, Any]:
        """Return an event as the API shows it: the payload in one form, and why it is in its issue.

        Raises:
            UnknownEventError: there is no such event.
        """
        stored = self.event(event_id, project=project)
        return event_to_json(stored, rules_of(self.store, stored.summary.project_id))

    def explain(self, event_id: UUID | str, *, project: ProjectRef | None = None) -> Explanation:
        """Tell why an event is in its issue.

        Raises:
            UnknownEventError: there is no such event.
        """
        stored = self.event(event_id, project=project)
        return explain_event(stored, rules_of(self.store, stored.summary.project_id))

    # --- tokens, for whoever mounts the HTTP API ---------------------------------------------------------------

    def create_token(self, description: str | None = None) -> tuple[Token, str]:
        """Make an API token; return what is kept of it, and its 40 digits, which nobody can read again.

        Raises:
            InvalidInputError: the description is over 255 characters.
        """
        if description is not None and len(description) > DESCRIPTION_MAX:
            raise InvalidInputError("description", f"must have at most {DESCRIPTION_MAX} characters")
        secret = self._new_token()
        sha256 = token_hash(secret)
        if sha256 is None:
            raise InvalidInputError("new_token", "must return 40 lower-case hex digits")
        kept = self.store.create_token(sha256=sha256, prefix=secret[:4], description=description, now=self.clock())
        return kept, secret

    def tokens(self) -> Iterator[Token]:
        """Yield all API tokens by id, read page by page."""
        return walk(lambda after: self.store.tokens(ListQuery(limit=LIMIT_MAX, after=after)), None)

    def delete_token(self, token_id: int) -> Token:
        """Delete an API token, and return it as it was.

        Raises:
            UnknownTokenError: there is no such token.
        """
        return self.store.delete_token(TokenId(token_id))
