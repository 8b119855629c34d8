"""Done when 3 of the main job: each recorded request is answered as SDK.md asks, each event reads back intact."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rustrak_core import ambient
from rustrak_core.ports import Store
from rustrak_core.receive import Admission, Limits
from rustrak_core.token import token_hash
from rustrak_http.app import create_app
from rustrak_http.cli.http import server_class
from rustrak_http.express import ExpressLane
from rustrak_http.server import ServerSettings, listen
from rustrak_http.worker import DigestWorker
from rustrak_storage.factory import open_store
from rustrak_storage.keys import StoredKeyRing
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader
from tests.corpus.recorded import CLIENTS, Facts, Request, facts_of, requests_of

KEY = "01234567-89ab-cdef-0123-456789abcdef"


@dataclass(frozen=True)
class Answer:
    """What a request got."""

    status: int
    headers: dict[str, str]
    json: Any


class Server:
    """Rustrak on a free port of the loopback, with project 1 and a token."""

    def __init__(self, port: int, token: str, digest_all: Callable[[], None]) -> None:
        self._port = port
        self._token = token
        self.digest_all = digest_all

    def send(self, request: Request) -> Answer:
        """Send a recorded request, byte for byte."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=20) as connection:
            connection.sendall(request.wire())
            response = HTTPResponse(connection, method=request.method)
            response.begin()
            return _answer(response)

    def get(self, path: str) -> Answer:
        """Read from the API."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            return _answer(connection.getresponse())
        finally:
            connection.close()


def _answer(response: HTTPResponse) -> Answer:
    body = response.read()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, json.loads(body) if body else None)


@contextmanager
def _serving(app: Any, *, server: str = "waitress", lane: ExpressLane | None = None) -> Iterator[int]:
    serving = server_class(server)(
        app, listen("127.0.0.1", 0), ServerSettings(body_bytes=20 << 20, threads=4, lane=lane)
    )
    thread = threading.Thread(target=serving.run)
    thread.start()
    try:
        yield serving.port
    finally:
        serving.stop()
        thread.join()


def _furnish(store: Store) -> str:
    token = ambient.new_token_hex()
    digest = token_hash(token)
    assert digest is not None
    store.create_token(sha256=digest, prefix=token[:4], description=None, now=ambient.utc_now())
    assert store.create_project("recorded", sentry_key=KEY, now=ambient.utc_now()).id == 1
    return token


@pytest.fixture(params=["direct", "waitress", "granian"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Rustrak that records within the request, on memory; and that spools and digests later, on SQLite."""
    if request.param == "direct":
        store = open_store("memory://")
        with _serving(create_app(store)) as port:
            yield Server(port, _furnish(store), lambda: None)
        store.close()
        return
    store = open_store(f"sqlite:///{tmp_path / 'rustrak.db'}")
    spool = DirectorySpool(tmp_path / "spool")

    def digest_all() -> None:
        spool.close()
        reader = DirectorySpoolReader(tmp_path / "spool")
        worker = DigestWorker(store, reader)
        while worker.run_once():
            pass
        reader.close()

    keys = StoredKeyRing(store)
    lane = ExpressLane(
        keys=keys,
        intake=spool,
        limits=Limits(),
        clock=ambient.utc_now,
        new_id=ambient.new_uuid,
        admission=Admission(None),
    )
    with _serving(create_app(store, spool=spool, keys=keys), server=request.param, lane=lane) as port:
        yield Server(port, _furnish(store), digest_all)
    store.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_recorded_client(server: Server, client: str, record_property: Callable[[str, object], None]) -> None:
    """What the client sent is answered as it expects, and its events are found by its own ids, with nothing lost."""
    requests = requests_of(client)
    faults = [fault for request in requests for fault in _answer_faults(request, server.send(request))]
    server.digest_all()
    sent: dict[str, Facts] = {}
    for request in requests:
        event = request.event()
        if event is not None:
            sent.setdefault(UUID(request.event_id or event["event_id"]).hex, facts_of(event))
    titles: dict[int, set[tuple[str, str]]] = {}
    for event_id, facts in sent.items():
        answer = server.get(f"/api/events/{event_id}")
        if answer.status != 200:
            faults.append(f"{event_id}: {answer.status} {answer.json}")
            continue
        faults.extend(_event_faults(event_id, facts, answer.json))
        titles.setdefault(answer.json["issue_id"], set()).add((facts.type, column(facts.message)))
    for issue_id, expected in titles.items():
        issue = server.get(f"/api/issues/{issue_id}").json
        if (issue["type"], issue["message"]) not in expected:
            faults.append(f"issue {issue['short_id']}: {issue['type']}: {issue['message']!r} is not of {expected}")
    record_property(
        "corpus",
        f"{client:34} {len(requests):3} requests answered  {len(sent):3} events read back"
        f"  {len(titles):3} issues  {'intact' if not faults else f'{len(faults)} FAULTS'}",
    )
    assert not faults, "\n".join(faults)
    assert server.get("/api/projects/1").json["event_count"] == len(sent)


def column(text: str) -> str:
    """Return a message as columns hold it: cut to 8,192 characters, without NUL; the payload is whole."""
    clean = text.replace("\0", "\ufffd")
    return clean if len(clean) <= 8192 else clean[:8189] + "..."


def _answer_faults(request: Request, answer: Answer) -> Iterator[str]:
    if answer.headers.get("access-control-allow-origin") != "*":
        yield f"{request.name}: a browser could not read the answer"
    if answer.status != 200:
        yield f"{request.name}: {answer.status} {answer.json}"
    elif request.method == "OPTIONS":
        asked = request.header("access-control-request-headers").lower()
        if "POST" not in answer.headers["access-control-allow-methods"]:
            yield f"{request.name}: POST is not allowed"
        if asked not in answer.headers["access-control-allow-headers"].lower():
            yield f"{request.name}: {asked} is not allowed"
    elif answer.json != ({"id": request.event_hex} if request.event_hex else {}):
        yield f"{request.name}: {answer.json}, not its id {request.event_id}"


def _event_faults(event_id: str, sent: Facts, answer: dict[str, Any]) -> Iterator[str]:
    if UUID(answer["id"]).hex != event_id:
        yield f"{event_id}: is shown as {answer['id']}"
    shown = facts_of(answer)
    for field in fields(Facts):
        was, now = getattr(sent, field.name), getattr(shown, field.name)
        if was != now:
            yield f"{event_id}: {field.name} was {was!r:.300}, is {now!r:.300}"


def test_there_is_a_recording_of_each_kind() -> None:
    """The corpus is whole: ten clients, 255 requests, events and telemetry, both endpoints and a preflight."""
    requests = [request for client in CLIENTS for request in requests_of(client)]
    kinds = Counter((r.method, r.target.split("?")[0]) for r in requests)
    assert kinds == {
        ("POST", "/api/1/envelope/"): 208,
        ("POST", "/api/1/store/"): 46,
        ("OPTIONS", "/api/1/envelope/"): 1,
    }
    assert sum(request.event() is not None for request in requests) == 181


def test_the_decoding_sees_what_changes() -> None:
    """The comparison is no tautology: another tag, frame, breadcrumb or user makes other facts."""
    events = [event for request in requests_of("sentry-python-2.75.0") if (event := request.event())]
    event = next(e for e in events if "exception" in e and e["breadcrumbs"]["values"])
    facts = facts_of(event)
    assert facts.frames[0]
    assert facts.breadcrumbs
    changed = json.loads(json.dumps(event))
    changed["tags"]["kit_run"] = "other"
    changed["exception"]["values"][-1]["stacktrace"]["frames"][0]["lineno"] += 1
    assert changed["breadcrumbs"]["values"].pop()
    changed["user"] = {"id": "other"}
    changed = facts_of(changed)
    assert all(getattr(changed, name) != getattr(facts, name) for name in ("tags", "frames", "breadcrumbs", "user"))
