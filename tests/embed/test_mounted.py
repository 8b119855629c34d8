"""The HTTP application inside Flask and Django, spoken to by the real SDK under a path prefix."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import sentry_sdk
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from rustrak_core import Project, Tracker
from rustrak_http.app import create_app

ROOT = Path(__file__).parents[2]


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


@pytest.fixture
def flask_app(tracker: Tracker) -> Flask:
    """A Flask application with a page of its own, and Rustrak below ``/in/errors``."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: "a shop")
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/in/errors": create_app(tracker.store)})  # type: ignore[method-assign]
    return app


def test_flask_and_rustrak_answer_side_by_side(flask_app: Flask, tracker: Tracker, project: Project) -> None:
    """What is below the prefix is Rustrak's, all else Flask's; errors too."""
    client = flask_app.test_client()
    secret = tracker.create_token()[1]
    assert client.get("/").text == "a shop"
    assert client.get("/in/errors/health").json == {"status": "ok"}
    assert client.get("/in/errors/api/projects").status_code == 401
    assert client.get("/in/other").status_code == 404
    answer = client.get("/in/errors/api/projects", headers={"Authorization": f"Bearer {secret}"})
    assert answer.json is not None
    assert [row["slug"] for row in answer.json["data"]] == [project.slug]


def test_the_dsn_of_a_mounted_application_works(flask_app: Flask, tracker: Tracker, project: Project) -> None:
    """The DSN that the API shows has the prefix in it, and the real SDK delivers to it."""
    secret = tracker.create_token()[1]
    with serving(flask_app) as host:
        answer = flask_app.test_client().get(
            f"/in/errors/api/projects/{project.id}",
            headers={"Authorization": f"Bearer {secret}", "Host": host},
        )
        assert answer.json is not None
        dsn = answer.json["dsn"]
        assert dsn.endswith(f"@{host}/in/errors/{project.id}")
        client = sentry_sdk.Client(dsn, default_integrations=False, auto_enabling_integrations=False)
        event_id = client.capture_event({"message": "hello"})
        client.close(timeout=30)
    assert event_id is not None
    assert tracker.event(event_id).message == "hello"


DJANGO = """
import re, sys, threading
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django, sentry_sdk
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from rustrak_core import Tracker
from rustrak_http.app import create_app
from rustrak_storage import open_store

page = Path(sys.argv[1]).read_text()
(mounted_code,) = re.findall(r"```python\\n(.*?def mounted.*?)```", page, re.S)
exec(mounted_code)

urls = type("urls", (), {"urlpatterns": [path("", lambda request: HttpResponse("a shop"))]})
settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="test")
django.setup()
tracker = Tracker(open_store("sqlite:///errors.db"))
project = tracker.create_project("shop")
application = mounted(get_wsgi_application(), create_app(tracker.store), at="/errors")

class Silent(WSGIRequestHandler):
    def log_message(self, *_): pass

import http.client
with make_server("127.0.0.1", 0, application, handler_class=Silent) as server:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host = f"127.0.0.1:{server.server_port}"

    def get(path):
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.status, answer.read()
        connection.close()
        return body

    try:
        assert get("/") == (200, b"a shop"), get("/")
        assert get("/errors/health") == (200, b'{"status":"ok"}'), get("/errors/health")
        assert get("/errors")[0] == 404
        assert get("/errorsome")[0] == 404
        assert get("/errors/api/projects")[0] == 401
        key = project.sentry_key.replace("-", "")
        client = sentry_sdk.Client(f"http://{key}@{host}/errors/1", default_integrations=False)
        event_id = client.capture_event({"message": "hello"})
        client.close(timeout=30)
    finally:
        server.shutdown()
        thread.join()
assert tracker.event(event_id).message == "hello"
tracker.close()
print("done")
"""


def test_inside_django(tmp_path: Path) -> None:
    """The `mounted` of the how-to divides requests between Django and Rustrak, and the real SDK delivers below it."""
    done = subprocess.run(
        [sys.executable, "-c", DJANGO, str(ROOT / "docs" / "how-to" / "mount-django.md")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
