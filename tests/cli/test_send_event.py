"""`rustrak send-event`, against a server on the loopback."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from rustrak_core.tracker import Tracker
from rustrak_http.app import create_app
from rustrak_storage import open_store
from tests.cli.conftest import Rustrak

UNKNOWN_KEY = "0123456789abcdef0123456789abcdef"


class Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve a WSGI application on a free port of the loopback; give its host and port."""
    with make_server("127.0.0.1", 0, app, handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def answering(status: str, body: bytes) -> Callable[..., list[bytes]]:
    """Return an application that always answers the same."""

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return app


@pytest.fixture
def tracker() -> Iterator[Tracker]:
    with Tracker(open_store("memory://")) as tracker:
        yield tracker


def test_it_arrives(rustrak: Rustrak, tracker: Tracker) -> None:
    """The event is in the project that the DSN names, under the id that was printed, with what was asked for."""
    project = tracker.create_project("shop")
    with serving(create_app(tracker.store)) as host:
        dsn = f"http://{project.sentry_key}@{host}/{project.id}"
        done = rustrak.json("send-event", dsn, "--message", "hëllo", "--release", "1.0", "--environment", "ci")
    event = tracker.event_json(done["id"])
    assert event["exception"]["values"][0]["value"] == "hëllo"
    assert (event["release"], event["environment"], event["level"]) == ("1.0", "ci", "error")
    assert done == {
        "id": event["id"],
        "project_id": project.id,
        "url": f"http://{host}/api/events/{event['id']}?project_id=1",
    }


def test_it_says_how_to_read_it(rustrak: Rustrak, tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a DSN that of SENTRY_DSN is used; what is printed leads to the event."""
    project = tracker.create_project("shop")
    with serving(create_app(tracker.store)) as host:
        monkeypatch.setenv("SENTRY_DSN", f"http://{project.sentry_key.replace('-', '')}@{host}/1")
        out = rustrak("send-event").out
    event = next(tracker.events("SHOP-1"))
    assert f"rustrak event {event.id}\n" in out
    assert f"http://{host}/api/events/{event.id}" in out


def test_a_key_that_is_refused(rustrak: Rustrak, tracker: Tracker) -> None:
    """The server's reason is told, and the key is not."""
    tracker.create_project("shop")
    with serving(create_app(tracker.store)) as host:
        line = rustrak.fails("send-event", f"http://{UNKNOWN_KEY}@{host}/1")
        assert "refused the event: 401" in line
        assert UNKNOWN_KEY not in line
        assert "404" in rustrak.fails("send-event", f"http://{UNKNOWN_KEY}@{host}/9")


def test_nobody_listens(rustrak: Rustrak) -> None:
    """A port where nobody listens is told as that."""
    with serving(answering("200 OK", b"")) as host:
        pass
    line = rustrak.fails("send-event", f"http://{UNKNOWN_KEY}@{host}/1")
    assert f"cannot reach http://{host}" in line
    assert "is the server running" in line


def test_nobody_answers(rustrak: Rustrak) -> None:
    """A server that accepts and stays silent is given up after --timeout."""
    released = threading.Event()

    def app(_environ: Any, start_response: Any) -> list[bytes]:
        released.wait(30)
        start_response("200 OK", [])
        return []

    with serving(app) as host:
        line = rustrak.fails("send-event", f"http://{UNKNOWN_KEY}@{host}/1", "--timeout", "0.2")
        released.set()
    assert "cannot reach" in line


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"id": "1"}', b"\xff", b"[" * 100_000])
def test_some_other_server(rustrak: Rustrak, body: bytes) -> None:
    """A 200 of a server that is no error tracker is not taken for success."""
    with serving(answering("200 OK", body)) as host:
        assert "not as an error tracker" in rustrak.fails("send-event", f"http://{UNKNOWN_KEY}@{host}/1")


@pytest.mark.parametrize("body", [b"", b"\x1b[2J", b'{"error": "a\\u001b[2Jb"}', b'{"error": 1}', b"[]"])
def test_a_strange_refusal(rustrak: Rustrak, body: bytes) -> None:
    """Whatever a server says with its refusal, one clean line comes of it."""
    with serving(answering("500 Internal Server Error", body)) as host:
        line = rustrak.fails("send-event", f"http://{UNKNOWN_KEY}@{host}/1")
    assert "500" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("dsn", ["rubbish", f"ftp://{UNKNOWN_KEY}@localhost/1", f"http://{UNKNOWN_KEY}@localhost/x"])
def test_no_dsn(rustrak: Rustrak, dsn: str) -> None:
    """What is no DSN is refused with how one looks, and not repeated, for it may hold a key."""
    line = rustrak.fails("send-event", dsn)
    assert "http://KEY@HOST/PROJECT" in line
    assert dsn not in line


def test_a_dsn_that_is_left_out(rustrak: Rustrak) -> None:
    """Who gives none is told where to find it."""
    err = rustrak("send-event", code=2).err
    assert "SENTRY_DSN" in err
    assert "rustrak project list" in err
