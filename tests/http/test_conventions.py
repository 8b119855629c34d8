"""API.md, Conventions: what holds on every route."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from rustrak_core.errors import SchemaError, StoreUnavailableError
from tests.http.conftest import TOKEN, Api, both_backends, envelope, error

MANAGED = [
    ("GET", "/api/projects"),
    ("POST", "/api/projects"),
    ("GET", "/api/projects/1"),
    ("PATCH", "/api/projects/1"),
    ("DELETE", "/api/projects/1"),
    ("GET", "/api/projects/1/issues"),
    ("GET", "/api/projects/1/stats"),
    ("GET", "/api/projects/1/grouping"),
    ("PUT", "/api/projects/1/grouping"),
    ("PATCH", "/api/projects/1/grouping"),
    ("GET", "/api/issues/1"),
    ("PATCH", "/api/issues/1"),
    ("DELETE", "/api/issues/1"),
    ("GET", "/api/issues/1/events"),
    ("GET", "/api/events/550e8400-e29b-41d4-a716-446655440000"),
    ("GET", "/api/tokens"),
    ("POST", "/api/tokens"),
    ("DELETE", "/api/tokens/1"),
]


@pytest.mark.parametrize(("method", "path"), MANAGED)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {'0' * 40}", f"Basic {TOKEN}", f"Bearer {TOKEN} x"],
)
def test_management_needs_a_token(api: Api, method: str, path: str, authorization: str | None) -> None:
    """API.md Conventions D1: everything under `/api/` but ingestion needs `Authorization: Bearer TOKEN`."""
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = api(method, path, token=None, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "Bearer" in answer.json["error"]


def test_the_scheme_is_read_in_any_case(api: Api) -> None:
    """API.md Conventions D1: a Bearer token is one however its scheme is written."""
    assert api.get("/api/projects", token=None, headers={"Authorization": f"bearer  {TOKEN}"}).status_code == 200


def test_lists_and_errors_have_their_shapes(api: Api) -> None:
    """API.md Conventions D2: all responses are JSON; lists are `{"data": [...]}`, errors `{"error": "..."}`."""
    answer = api.get("/api/projects")
    assert answer.json == {"data": []}
    assert answer.headers["content-type"] == "application/json"
    missing = api.get("/api/projects/7")
    assert set(missing.json) == {"error"}
    assert isinstance(missing.json["error"], str)
    assert missing.headers["content-type"] == "application/json"


def test_status_codes(api: Api) -> None:
    """API.md Conventions D3: 200 success, 201 created, 400 bad request, 401 unauthorized, 404 not found."""
    assert api.post("/api/projects", {"name": "a"}).status_code == 201
    assert api.get("/api/projects/1").status_code == 200
    assert api.post("/api/projects", {}).status_code == 400
    assert api.get("/api/projects/1", token=None).status_code == 401
    assert api.get("/api/projects/2").status_code == 404


def test_a_single_thing_is_the_bare_object(api: Api) -> None:
    """API.md Conventions S1: a single thing is the bare object; an error says how to mend it."""
    project = api.project()
    assert api.get(f"/api/projects/{project['id']}").json == project
    assert "name" in api.post("/api/projects", {}).json["error"]


@both_backends
def test_delete_answers_with_what_was_deleted(api: Api) -> None:
    """API.md Conventions S2: so DELETE answers 200 with the object that was deleted."""
    project = api.project()
    api.send(project, error())
    issue = api.issues(project)[0]
    answer = api.delete(f"/api/issues/{issue['id']}")
    assert (answer.status_code, answer.json) == (200, issue)
    expected = api.get("/api/projects/1").json
    answer = api.delete("/api/projects/1")
    assert answer.status_code == 200
    assert answer.json["name"] == expected["name"]
    assert answer.json["slug"] == expected["slug"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'"name"', "body"),
        (b"{}", "name"),
        (b'{"name": 1}', "name"),
        (b'{"name": null}', "name"),
        (b'{"name": ["a"]}', "name"),
        (b'{"name": true}', "name"),
        (b'{"name": ""}', "name"),
        (b'{"name": "   "}', "name"),
        (b'{"name": "a\\u0000b"}', "name"),
        (b'{"name": "\\ud800"}', "name"),
        (b'{"name": "a", "slug": "b"}', "slug"),
        (b'{"name": "a", "": "b"}', '""'),
        (b'{"name": "' + b"x" * 256 + b'"}', "name"),
        (b"[" * 100_000, "body"),
        (b"\xff\xfe", "body"),
    ],
)
def test_bad_bodies_name_the_path_of_the_fault(api: Api, body: bytes, path: str) -> None:
    """API.md Conventions S2: bad JSON, a wrong type, an unknown or missing field: 400, as in `name: required`."""
    answer = api.post("/api/projects", body)
    assert answer.status_code == 400
    assert answer.json["error"].startswith(f"{path}: ")
    assert api.get("/api/projects").json == {"data": []}


def test_a_missing_field_is_named_as_documented(api: Api) -> None:
    """API.md Conventions S2: naming the path of the fault (`name: required`)."""
    assert api.post("/api/projects", {}).json == {"error": "name: required"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/projects", "GET, POST, HEAD, OPTIONS"),
        ("DELETE", "/api/projects", "GET, POST, HEAD, OPTIONS"),
        ("POST", "/api/projects/1", "GET, PATCH, DELETE, HEAD, OPTIONS"),
        ("GET", "/api/tokens/1", "DELETE, OPTIONS"),
        ("POST", "/health", "GET, HEAD, OPTIONS"),
        ("BREW", "/health", "GET, HEAD, OPTIONS"),
        ("TRACE", "/openapi.json", "GET, HEAD, OPTIONS"),
    ],
)
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_wrong_methods(api: Api, method: str, path: str, allowed: str) -> None:
    """API.md Conventions S2: 405 (+ `Allow`) for a method."""
    answer = api(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allowed
    assert "error" in answer.json


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/projects"), ("PATCH", "/api/projects/1")])
def test_bodies_over_a_mebibyte(api: Api, method: str, path: str) -> None:
    """API.md Conventions S2: 413 for a body over its limit (1 MiB on management routes)."""
    api.project()
    fits = json.dumps({"name": "a", "x": ""}).encode()
    fits = fits[:-2] + b"x" * (1024 * 1024 - len(fits)) + fits[-2:]
    assert api(method, path, fits).status_code == 400
    answer = api(method, path, fits + b" ")
    assert answer.status_code == 413
    assert "1048576" in answer.json["error"]


def test_unknown_encodings_of_management_bodies(api: Api) -> None:
    """API.md Conventions S2: 415 for an unknown encoding."""
    answer = api.post("/api/projects", {"name": "a"}, headers={"Content-Encoding": "rot13"})
    assert answer.status_code == 415


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/projects/x", "/api/projects/1/nothing/at/all"])
def test_the_token_is_checked_before_the_path(api: Api, path: str) -> None:
    """API.md Conventions S2: the token is checked before the path."""
    assert api.get(path, token=None).status_code == 401
    assert api.post(path, token=None).status_code == 401
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/api/projects", "/api/projects/1", "/health", "/openapi.json", "/nothing"])
def test_head_is_get_without_a_body(api: Api, path: str) -> None:
    """API.md Conventions S2: HEAD is GET without a body."""
    api.project()
    got, head = api.get(path), api("HEAD", path)
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize(
    "content_type", [None, "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "?"]
)
def test_bodies_are_read_as_json_whatever_their_type(api: Api, content_type: str | None) -> None:
    """API.md Conventions S2: bodies are read as JSON whatever the Content-Type says."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert api.post("/api/projects", {"name": "my-app"}, headers=headers).json["name"] == "my-app"


@pytest.mark.parametrize("path", ["/api/projects", "/api/projects/1", "/health", "/api/1/envelope/", "/openapi.json"])
def test_options_are_answered_without_a_body(api: Api, path: str) -> None:
    """API.md Conventions S3: outside JSON stands the empty answer to OPTIONS."""
    api.project()
    answer = api("OPTIONS", path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert "OPTIONS" in answer.headers["allow"]


def test_a_500_shows_an_incident_and_nothing_else(
    make_api: Callable[..., Api], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """API.md Conventions S3: a 500 never shows an exception's, driver's or SQL's text, the id being in the log too."""
    api = make_api()

    def broken(*_args: Any, **_named: Any) -> Any:
        text = "SELECT secret FROM payloads"
        raise RuntimeError(text)

    monkeypatch.setattr(api.store, "projects", broken)
    with caplog.at_level(logging.ERROR):
        answer = api.get("/api/projects")
    assert answer.status_code == 500
    found = re.fullmatch(r"internal error \(incident ([0-9a-f]{6})\)", answer.json["error"])
    assert found is not None
    assert found[1] in caplog.text
    assert "RuntimeError" in caplog.text
    assert "in broken" in caplog.text
    assert "RuntimeError: " not in caplog.text
    assert api.get("/health").status_code == 200


def test_a_503_says_what_is_unavailable(make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    """API.md Conventions S3: a 503 says what is unavailable and what to do."""
    api = make_api()

    def away(*_args: Any, **_named: Any) -> Any:
        raise StoreUnavailableError("the database cannot be reached; check that it runs")

    monkeypatch.setattr(api.store, "projects", away)
    answer = api.get("/api/projects")
    assert answer.status_code == 503
    assert answer.json == {"error": "the database cannot be reached; check that it runs"}
    monkeypatch.setattr(api.store, "token_by_hash", lambda _sha256: (_ for _ in ()).throw(SchemaError("run upgrade")))
    assert api.get("/api/projects").json == {"error": "run upgrade"}


@both_backends
def test_times_end_in_z_and_have_no_zero_fraction(api: Api) -> None:
    """API.md Conventions S4: times are RFC 3339 in UTC and end in `Z`, up to six fraction digits, none when zero."""
    assert api.project()["created_at"] == "2024-01-15T10:30:00Z"
    api.clock.forward(0.25)
    assert api.project()["created_at"] == "2024-01-15T10:30:00.25Z"
    api.clock.forward(0.000001)
    assert api.project()["created_at"] == "2024-01-15T10:30:00.250001Z"


@both_backends
def test_ids_are_never_used_again(api: Api) -> None:
    """API.md Conventions S4: ids of projects, issues and tokens are integers, never used again."""
    first = api.project()
    api.send(first, error())
    issue = api.issues(first)[0]["id"]
    api.delete(f"/api/projects/{first['id']}")
    second = api.project()
    api.send(second, error())
    assert second["id"] > first["id"]
    assert api.issues(second)[0]["id"] > issue
    token = api.post("/api/tokens", {}).json["id"]
    api.delete(f"/api/tokens/{token}")
    assert api.post("/api/tokens", {}).json["id"] > token


@both_backends
def test_both_slash_forms_answer(api: Api) -> None:
    """API.md Conventions S5: trailing slashes: both forms answer in both places."""
    project = api.project()
    event = api.send(project, error())
    issue = api.issues(project)[0]["id"]
    for path in (
        "/api/projects",
        "/api/projects/1",
        "/api/projects/1/issues",
        "/api/projects/1/stats",
        f"/api/issues/{issue}",
        f"/api/issues/{issue}/events",
        f"/api/events/{event}",
        "/api/tokens",
        "/health",
        "/health/ready",
    ):
        assert api.get(path).status_code == 200
        assert api.get(path + "/").json == api.get(path).json
    for path in ("/api/1/envelope", "/api/1/envelope/"):
        query = f"sentry_key={project['sentry_key']}"
        assert api.post(path, envelope({}, "session"), token=None, query_string=query).status_code == 200


@both_backends
@pytest.mark.parametrize(
    "path",
    [
        "/api/projects/{}",
        "/api/projects/{}/issues",
        "/api/projects/{}/stats",
        "/api/issues/{}",
        "/api/issues/{}/events",
        "/api/events/{}",
    ],
)
@pytest.mark.parametrize(
    "odd",
    ["0", "-1", "7", "abc", "1.5", "1e3", "9007199254740992", "9" * 40, "%00", "%ff", "١", "a" * 5000, "1%20", "+1"],
)
def test_what_does_not_exist_is_404(api: Api, path: str, odd: str) -> None:
    """API.md Conventions S7: what does not exist is 404, whatever its id looks like."""
    api.project()
    answer = api.get(path.format(odd))
    assert answer.status_code == 404
    assert answer.json["error"]


@both_backends
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/api/projects/9"),
        ("DELETE", "/api/projects/x"),
        ("PATCH", "/api/issues/x"),
        ("DELETE", "/api/tokens/x"),
    ],
)
def test_changing_what_does_not_exist_is_404(api: Api, method: str, path: str) -> None:
    """API.md Conventions S7: what does not exist is 404, also where the body would be wrong."""
    assert api(method, path, b"nonsense").status_code == 404


@both_backends
def test_tokens_reach_everything(api: Api) -> None:
    """API.md Conventions S7: tokens reach everything for now."""
    token = api.post("/api/tokens", {}).json["token"]
    api.project()
    assert api.get("/api/projects/1", token=token).status_code == 200
    assert api.get("/api/tokens", token=token).status_code == 200


@pytest.mark.parametrize(
    "path", ["/api/projects", "/api/nothing", "/health", "/openapi.json", "/api/1/envelope/", "/nothing"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_every_response_carries_the_two_headers(api: Api, method: str, path: str) -> None:
    """API.md Conventions S8: responses carry `X-Content-Type-Options: nosniff` and `Cache-Control: no-store`."""
    for token in (None, TOKEN):
        answer = api(method, path, token=token)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


@both_backends
def test_latest_goes_by_event_time(api: Api) -> None:
    """API.md Conventions S9: "latest" and releases go by event time; one over 60 s ahead counts as received then."""
    project = api.project()
    api.send(project, error(value="new"), timestamp="2024-01-15T10:00:00Z", release="2.0", fingerprint=["a"])
    api.clock.forward(10)
    api.send(project, error(value="old"), timestamp="2024-01-14T10:00:00Z", release="1.0", fingerprint=["a"])
    issue = api.issues(project)[0]
    assert (issue["first_release"], issue["last_release"]) == ("1.0", "2.0")
    assert issue["message"] == "new"
    assert (issue["first_seen"], issue["last_seen"]) == ("2024-01-14T10:00:00Z", "2024-01-15T10:00:00Z")
    api.clock.forward(10)
    event = api.send(project, error(value="ahead"), timestamp="2030-01-01T00:00:00Z", fingerprint=["a"])
    issue = api.issues(project)[0]
    assert issue["last_seen"] == "2024-01-15T10:30:20Z"
    assert issue["message"] == "ahead"
    whole = api.get(f"/api/events/{event}").json
    assert "2030" in str(whole["timestamp"]) or whole["timestamp"] == 1893456000
    assert any("timestamp" in json.dumps(fault) for fault in whole["errors"])
    row = api.get(f"/api/issues/{issue['id']}/events").json["data"][0]
    assert (row["id"].replace("-", ""), row["timestamp"]) == (event, "2024-01-15T10:30:20Z")
