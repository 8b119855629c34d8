"""The whole API in one process: a store, an application that records within the request, and a client."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
from falcon import testing

from rustrak_core.ports import Store
from rustrak_core.token import token_hash
from rustrak_http.app import create_app
from rustrak_storage.factory import open_store

TOKEN = "a1b2c3d4" * 5
START = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


@attrs.define
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


class Api:
    """A client of the application; it sends the token unless told otherwise."""

    def __init__(self, app: Any, clock: Clock, store: Store) -> None:
        self.app = app
        self.clock = clock
        self.store = store
        self._client = testing.TestClient(app)
        self._numbers = itertools.count(1)

    def __call__(self, method: str, path: str, body: Any = None, *, token: str | None = TOKEN, **more: Any) -> Any:
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers.setdefault("Authorization", f"Bearer {token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self._client.simulate_request(method, path, body=body, headers=headers, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return self("POST", path, body, **more)

    def put(self, path: str, body: Any = None, **more: Any) -> Any:
        return self("PUT", path, body, **more)

    def patch(self, path: str, body: Any = None, **more: Any) -> Any:
        return self("PATCH", path, body, **more)

    def delete(self, path: str, **more: Any) -> Any:
        return self("DELETE", path, **more)

    def project(self, name: str = "my-app") -> dict[str, Any]:
        answer = self.post("/api/projects", {"name": name})
        assert answer.status_code == 201, answer.text
        return dict(answer.json)

    def send(self, project: dict[str, Any], event: dict[str, Any] | None = None, **fields: Any) -> str:
        """Send an event as an SDK would, and return its id as answered."""
        payload = {"event_id": f"{next(self._numbers):032x}", "platform": "python", **(event or {}), **fields}
        answer = self.envelope(project, envelope(payload))
        assert answer.status_code == 200, answer.text
        return str(answer.json["id"])

    def envelope(self, project: dict[str, Any], body: bytes, **more: Any) -> Any:
        headers = {"X-Sentry-Auth": f"Sentry sentry_key={key(project)}, sentry_version=7"} | more.pop("headers", {})
        return self.post(f"/api/{project['id']}/envelope/", body, token=None, headers=headers, **more)

    def issues(self, project: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
        answer = self.get(f"/api/projects/{project['id']}/issues", query_string=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json["data"])


def key(project: dict[str, Any]) -> str:
    """Return a project's key as SDKs send it."""
    return str(project["sentry_key"]).replace("-", "")


def envelope(payload: dict[str, Any] | bytes, item: str = "event", **headers: Any) -> bytes:
    """Return an envelope with one item."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    if isinstance(payload, dict) and item == "event":
        headers.setdefault("event_id", payload["event_id"])
    lines = [json.dumps(headers).encode(), json.dumps({"type": item, "length": len(body)}).encode(), body]
    return b"\n".join(lines)


def error(type_: str = "TypeError", value: str = "Cannot read property 'name' of null") -> dict[str, Any]:
    """Return the part of an event that is an exception."""
    frames = [{"filename": "app.py", "function": "run", "lineno": 3, "in_app": True}]
    return {"exception": {"values": [{"type": type_, "value": value, "stacktrace": {"frames": frames}}]}}


both_backends = pytest.mark.parametrize("backend", ["memory", "sqlite"])
"""For tests of what a store decides; where only HTTP is asked, the store in memory is enough."""


@pytest.fixture
def backend() -> str:
    return "memory"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file that is migrated and empty, to be copied: migrating takes longer than a test."""
    path = tmp_path_factory.mktemp("migrated") / "rustrak.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def store(request: pytest.FixtureRequest, backend: str, tmp_path: Path) -> Iterator[Store]:
    if backend == "sqlite":
        shutil.copytree(request.getfixturevalue("migrated").parent, tmp_path, dirs_exist_ok=True)
    opened = open_store("memory://" if backend == "memory" else f"sqlite:///{tmp_path}/rustrak.db")
    yield opened
    opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_api(store: Store, clock: Clock) -> Callable[..., Api]:
    """Make a client of an application made with the options given."""
    sha256 = token_hash(TOKEN)
    assert sha256 is not None
    store.create_token(sha256=sha256, prefix=TOKEN[:4], description="tests", now=clock.now)
    numbers = itertools.count(1)

    def make(**options: Any) -> Api:
        options.setdefault("clock", clock)
        options.setdefault("new_id", lambda: UUID(int=next(numbers) << 96 | 0x4000 << 64))
        return Api(create_app(store, **options), clock, store)

    return make


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    return make_api()


@pytest.fixture
def project(api: Api) -> dict[str, Any]:
    return api.project("shop")
