"""``/api/projects/{project_id}/grouping``: a project's rules on grouping, and the mechanism that it pins."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import falcon

from rustrak_core.errors import InvalidInputError, MalformedRulesError
from rustrak_core.ports import GroupingStore, ProjectGrouping
from rustrak_core.tracker.rules import grouping_to_json, pin_mechanism, set_rules
from rustrak_http.answers import answer
from rustrak_http.body import PinBody, RulesBody, read_object
from rustrak_http.paths import project_id


class GroupingResource:
    """``/api/projects/{project_id}/grouping``: how the project wants its events grouped.

    Args:
        store: Where rules are kept.
        clock: The present in UTC.
        changed: Called after a change, for whatever in this process goes by rules.
    """

    def __init__(self, store: GroupingStore, *, clock: Callable[[], datetime], changed: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed

    def on_get(self, _req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Answer with the rules, and with what is in force."""
        _answer(resp, self._store.grouping(_id(project_id)))

    def on_put(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Give the project other rules, all of them at once, and answer with what holds then."""
        which = _id(project_id)
        self._store.grouping(which)  # what does not exist is 404, also where the body is wrong
        with _faults_named():
            kept = set_rules(self._store, which, read_object(req, RulesBody).rules, now=self._clock())
        self._changed()
        _answer(resp, kept)

    def on_patch(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Pin a mechanism, or follow the default; the rules stay. Answer with what holds then."""
        which = _id(project_id)
        self._store.grouping(which)
        with _faults_named():
            kept = pin_mechanism(self._store, which, read_object(req, PinBody).mechanism, now=self._clock())
        self._changed()
        _answer(resp, kept)


_id = project_id  # falcon gives path parameters by name, and that name is taken within the methods


def _answer(resp: falcon.Response, grouping: ProjectGrouping) -> None:
    answer(resp, grouping_to_json(grouping))


@contextmanager
def _faults_named() -> Iterator[None]:
    """Say of a fault in rules that it is in ``rules``, as of any other field."""
    try:
        yield
    except MalformedRulesError as error:
        raise InvalidInputError("rules", str(error)) from error
