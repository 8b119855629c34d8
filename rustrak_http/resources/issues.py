"""``/api/projects/{project_id}/issues`` and ``/api/issues``: what the events of a project come down to."""

from collections.abc import Callable
from datetime import datetime

import falcon

from rustrak_core.errors import InvalidInputError
from rustrak_core.issue import Issue, IssueState, issue_ref, issue_state
from rustrak_core.page import IssueQuery, IssueSort, search_terms
from rustrak_core.ports import IssueStore
from rustrak_core.project import ProjectId
from rustrak_http.answers import answer
from rustrak_http.body import IssueBody, read_object
from rustrak_http.listing import Listing, list_name
from rustrak_http.paths import project_id
from rustrak_http.query import choice, filled, limit, text
from rustrak_http.shapes import issue_to_json

_STATES = tuple(state.value for state in IssueState)
_SORTS = tuple(sort.value for sort in IssueSort)
_ORDERS = ("desc", "asc")
_TERMS_MAX = 32
_LEVELS = ("fatal", "error", "warning", "info", "debug")


class ProjectIssuesResource:
    """``/api/projects/{project_id}/issues``: a project's issues, filtered and sorted."""

    def __init__(self, store: IssueStore, *, listing: Listing) -> None:
        self._store = store
        self._listing = listing

    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Answer with a page of issues, those seen last first unless asked otherwise."""
        query, of = self._query(req, _project_id(project_id))
        self._listing.write(req, resp, self._store.issues(query), issue_to_json, of=of)

    def _query(self, req: falcon.Request, project: ProjectId) -> tuple[IssueQuery, str]:
        state, sort, order = choice(req, "state", _STATES), choice(req, "sort", _SORTS), choice(req, "order", _ORDERS)
        filters = {
            "environment": filled(req, "environment"),
            "release": filled(req, "release"),
            "level": choice(req, "level", _LEVELS),
        }
        words, tags = _search(req)
        of = list_name(
            f"/api/projects/{project}/issues",
            state=state,
            sort=sort or IssueSort.LAST_SEEN.value,
            order=order or "desc",
            words=words,
            tags=tags,
            **filters,
        )
        query = IssueQuery(
            project_id=project,
            state=None if state is None else issue_state(state),
            words=words,
            tags=tags,
            sort=IssueSort(sort or IssueSort.LAST_SEEN),
            descending=order != "asc",
            limit=limit(req),
            after=self._listing.after(req, of=of, width=2),
            **filters,
        )
        return query, of


class IssueResource:
    """``/api/issues/{issue_id}``: one issue, by its number or its short id."""

    def __init__(self, store: IssueStore, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def on_get(self, _req: falcon.Request, resp: falcon.Response, issue_id: str) -> None:
        """Answer with the issue."""
        _answer(resp, self._store.issue(issue_ref(issue_id)))

    def on_patch(self, req: falcon.Request, resp: falcon.Response, issue_id: str) -> None:
        """Give the issue a state; the one it has already changes nothing."""
        ref = issue_ref(issue_id)
        self._store.issue(ref)  # what does not exist is 404, also where the body is wrong
        state = issue_state(read_object(req, IssueBody).state)
        _answer(resp, self._store.set_issue_state(ref, state, now=self._clock()))

    def on_delete(self, _req: falcon.Request, resp: falcon.Response, issue_id: str) -> None:
        """Delete the issue with its events and its grouping, and answer with it as it was."""
        _answer(resp, self._store.delete_issue(issue_ref(issue_id), now=self._clock()))


def _search(req: falcon.Request) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return words and tags of ``q``, each of which costs the store a condition.

    Raises:
        InvalidInputError: there are more than 32.
    """
    words, tags = search_terms(text(req, "q") or "")
    if len(words) + len(tags) > _TERMS_MAX:
        raise InvalidInputError("q", f"must have at most {_TERMS_MAX} words")
    return words, tags


_project_id = project_id  # falcon gives path parameters by name, and that name is taken within the methods


def _answer(resp: falcon.Response, issue: Issue) -> None:
    answer(resp, issue_to_json(issue))
