"""The application under a prefix of someone else's: what it says of itself leads back to it."""

import re
import threading
from collections.abc import Callable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from falcon import testing

from rustrak_core.errors import ConfigurationError
from rustrak_http.app import create_app
from rustrak_storage.factory import open_store
from tests.http.conftest import TOKEN, Api, key

PREFIX = "/errors/räksmörgås"


def _mounted(app: Any) -> Callable[[WSGIEnvironment, StartResponse], Any]:
    prefix = PREFIX.encode().decode("latin-1")

    def dispatch(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        path = environ["PATH_INFO"]
        assert path.startswith(prefix)
        return app({**environ, "SCRIPT_NAME": prefix, "PATH_INFO": path.removeprefix(prefix)}, start_response)

    return dispatch


def test_a_prefix_is_in_dsn_and_links(api: Api) -> None:
    """API.md Projects S1: `dsn` is built from the request's own host, and where the application is mounted there."""
    api.project("a")
    project = api.project("b")
    client = testing.TestClient(_mounted(api.app))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = client.simulate_get(f"{PREFIX}/api/projects?limit=1", headers=headers, host="host.test", port=8000)
    shown = answer.json["data"][0]
    at = "host.test:8000/errors/r%C3%A4ksm%C3%B6rg%C3%A5s"
    assert shown["dsn"] == f"http://{key(shown)}@{at}/1"
    link = re.fullmatch(r'<http://([^>]+)>; rel="next"', answer.headers["link"])
    assert link is not None
    assert link[1].startswith(f"{at}/api/projects?limit=1&cursor=")
    path = link[1].removeprefix(at)
    answer = client.simulate_get(f"{PREFIX}{path}", headers=headers)
    assert [row["name"] for row in answer.json["data"]] == ["b"]
    query = f"sentry_key={key(project)}"
    sent = client.simulate_post(f"{PREFIX}/api/2/envelope/", body=b"{}", query_string=query)
    assert (sent.status_code, sent.json) == (200, {})


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "errors.test",
            "ftp://errors.test",
            "http://",
            "https://a@b.test",
            "https://a.test/?x",
            "https://a.test:x",
        ),
        *("https://a b.test", "https://a.test:65536", "https://[1.2]", "https://a.test/b c"),
    ],
)
def test_a_wrong_public_url_is_refused_at_the_start(url: str) -> None:
    """A setting that would give useless DSNs is refused, and named."""
    with pytest.raises(ConfigurationError, match="public_url"):
        create_app(open_store("memory://"), public_url=url)


def test_making_an_application_starts_no_thread() -> None:
    """DESIGN.md: no thread starts unasked, and many applications live side by side."""
    before = threading.active_count()
    apps = [create_app(open_store("memory://")) for _ in range(3)]
    assert threading.active_count() == before
    assert len({id(app) for app in apps}) == 3
