"""``/api/issues/{issue_id}/events`` and ``/api/events``: single events, in a list and whole."""

from typing import Protocol

import falcon

from rustrak_core.errors import InvalidInputError, UnknownEventError
from rustrak_core.issue import IssueId, issue_ref
from rustrak_core.page import EventQuery
from rustrak_core.ports import EventStore, GroupingStore, IssueStore
from rustrak_core.project import ProjectId
from rustrak_core.tracker.rules import rules_of
from rustrak_core.view import event_to_json, summary_to_json
from rustrak_http.answers import answer
from rustrak_http.listing import Listing
from rustrak_http.paths import event_id, number
from rustrak_http.query import limit, text


class IssuesAndEvents(IssueStore, EventStore, Protocol):
    """What a list of an issue's events needs, since a path may name the issue by its short id."""


class EventsAndRules(EventStore, GroupingStore, Protocol):
    """What an event with its explanation needs."""


class IssueEventsResource:
    """``/api/issues/{issue_id}/events``: the events of an issue."""

    def __init__(self, store: IssuesAndEvents, *, listing: Listing) -> None:
        self._store = store
        self._listing = listing

    def on_get(self, req: falcon.Request, resp: falcon.Response, issue_id: str) -> None:
        """Answer with a page of events, the newest first."""
        ref = issue_ref(issue_id)
        issue = ref if isinstance(ref, int) else self._store.issue(ref).id
        of = f"/api/issues/{issue}/events"
        after = self._listing.after(req, of=of, width=3)
        page = self._store.events(EventQuery(issue_id=IssueId(issue), limit=limit(req), after=after))
        self._listing.write(req, resp, page, summary_to_json, of=of)


class EventResource:
    """``/api/events/{event_id}``: one event, with all that the SDK sent."""

    def __init__(self, store: EventsAndRules) -> None:
        self._store = store

    def on_get(self, req: falcon.Request, resp: falcon.Response, event_id: str) -> None:
        """Answer with the event; ``?project_id=`` chooses where several projects hold the same id."""
        stored = self._store.event(_event_id(event_id), project_id=_chosen_project(req))
        answer(resp, event_to_json(stored, rules_of(self._store, stored.summary.project_id)))


_event_id = event_id  # falcon gives path parameters by name, and that name is taken within the methods


def _chosen_project(req: falcon.Request) -> ProjectId | None:
    value = text(req, "project_id")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()):
        raise InvalidInputError("project_id", "must be a project's number")
    chosen = number(value)
    if chosen is None:
        raise UnknownEventError("no such event in that project")
    return ProjectId(chosen)
