"""``/api/issues/{issue_id}/merge`` and its undo: several issues that are one bug."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import falcon

from rustrak_core.errors import UnknownIssueError
from rustrak_core.issue import IssueId, ShortId, issue_ref
from rustrak_core.ports import IssueStore, MergeStore
from rustrak_http.answers import answer
from rustrak_http.body import MergeBody, read_object
from rustrak_http.shapes import issue_to_json


class IssuesAndMerges(IssueStore, MergeStore, Protocol):
    """What merging needs: what does not exist is said before the body is read."""


class MergeResource:
    """``/api/issues/{issue_id}/merge``: make other issues part of this one."""

    def __init__(self, store: IssuesAndMerges, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def on_post(self, req: falcon.Request, resp: falcon.Response, issue_id: str) -> None:
        """Merge the issues that the body names into this one, and answer with it."""
        target, sources = _named(self._store, req, issue_id)
        answer(resp, issue_to_json(self._store.merge_issues(target, sources, now=self._clock())))


class UnmergeResource:
    """``/api/issues/{issue_id}/unmerge``: take issues out of this one again."""

    def __init__(self, store: IssuesAndMerges) -> None:
        self._store = store

    def on_post(self, req: falcon.Request, resp: falcon.Response, issue_id: str) -> None:
        """Take the issues that the body names out of this one, and answer with them."""
        target, sources = _named(self._store, req, issue_id)
        back = self._store.unmerge_issues(target, sources)
        answer(resp, {"data": [issue_to_json(issue) for issue in back]})


def _named(
    store: IssueStore, req: falcon.Request, issue_id: str
) -> tuple[IssueId | ShortId, Sequence[IssueId | ShortId]]:
    """Return the issue of the path, and those of the body.

    Raises:
        UnknownIssueError: the first does not exist, or what one of the others is called by can be no issue's.
        InvalidInputError: the body is wrong.
    """
    target = issue_ref(issue_id)
    store.issue(target)  # what does not exist is 404, also where the body is wrong
    sources = []
    for index, text in enumerate(read_object(req, MergeBody).issue_ids):
        try:
            sources.append(issue_ref(text))
        except UnknownIssueError as error:
            raise UnknownIssueError(f"issue_ids[{index}]: {error}") from None
    return target, sources
