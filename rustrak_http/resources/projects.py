"""``/api/projects``: the applications whose errors are kept."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import falcon

from rustrak_core.page import ListQuery
from rustrak_core.ports import KeyRing, ProjectStore
from rustrak_core.project import Project, project_name
from rustrak_http.answers import answer
from rustrak_http.base_url import BaseUrl
from rustrak_http.body import ProjectBody, read_object
from rustrak_http.listing import Listing
from rustrak_http.paths import project_id
from rustrak_http.query import limit
from rustrak_http.shapes import dsn_text, project_to_json

_LIST = "/api/projects"


class ProjectsResource:
    """``/api/projects``: all of them, and new ones."""

    def __init__(
        self,
        store: ProjectStore,
        *,
        keys: KeyRing,
        listing: Listing,
        base_url: BaseUrl,
        clock: Callable[[], datetime],
        new_id: Callable[[], UUID],
    ) -> None:
        self._store = store
        self._keys = keys
        self._listing = listing
        self._base_url = base_url
        self._clock = clock
        self._new_id = new_id

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with a page of projects, by id."""
        page = self._store.projects(ListQuery(limit=limit(req), after=self._listing.after(req, of=_LIST, width=1)))
        at = self._base_url.of(req)
        self._listing.write(req, resp, page, lambda project: _to_json(project, at), of=_LIST)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a project."""
        name = project_name(read_object(req, ProjectBody).name)
        project = self._store.create_project(name, sentry_key=str(self._new_id()), now=self._clock())
        self._keys.changed()
        answer(resp, _to_json(project, self._base_url.of(req)), 201)


class ProjectResource:
    """``/api/projects/{project_id}``: one project."""

    def __init__(self, store: ProjectStore, *, keys: KeyRing, base_url: BaseUrl, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._keys = keys
        self._base_url = base_url
        self._clock = clock

    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Answer with the project."""
        self._answer(req, resp, self._store.project(_id(project_id)))

    def on_patch(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Rename the project; its slug stays."""
        which = _id(project_id)
        self._store.project(which)  # what does not exist is 404, also where the body is wrong
        self._answer(req, resp, self._store.rename_project(which, project_name(read_object(req, ProjectBody).name)))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Delete the project with its issues and events, and answer with it as it was."""
        project = self._store.delete_project(_id(project_id), now=self._clock())
        self._keys.changed()
        self._answer(req, resp, project)

    def _answer(self, req: falcon.Request, resp: falcon.Response, project: Project) -> None:
        answer(resp, _to_json(project, self._base_url.of(req)))


_id = project_id  # falcon gives path parameters by name, and that name is taken within the methods


def _to_json(project: Project, at: str) -> dict[str, Any]:
    return project_to_json(project, dsn_text(project, at))
