"""API.md, Ingestion S2 and S3: who may send, where, and by which method."""

import io
from typing import Any

import pytest

from tests.http.conftest import Api, envelope, key
from tests.http.sending import CSP, EVENT_ID, SERVED, body_for, call, headers_for


@pytest.mark.parametrize("path", SERVED)
@pytest.mark.parametrize("number", ["2", "abc", "0", "-1", "9007199254740992", "1.0", "%00", "%ff", "1x", "٣"])
def test_the_project_comes_first(api: Api, project: dict[str, Any], path: str, number: str) -> None:
    """API.md Ingestion S2: project first: one that is no number, unknown or deleted is 404 whatever the credentials."""
    for query in ("", f"sentry_key={key(project)}", "sentry_key=nonsense"):
        answer = api.post(
            f"/api/{number}/{path}/", body_for(path), token=None, query_string=query, headers=headers_for(path)
        )
        assert answer.status_code == 404
        assert set(answer.json) == {"error", "detail"}


@pytest.mark.parametrize("path", SERVED)
def test_a_deleted_project_is_404(api: Api, project: dict[str, Any], path: str) -> None:
    """API.md Ingestion S2: a deleted project is 404, at once."""
    query = f"sentry_key={key(project)}"

    def send() -> int:
        sent = api.post(f"/api/1/{path}/", body_for(path), token=None, query_string=query, headers=headers_for(path))
        return int(sent.status_code)

    assert send() == 200
    api.delete("/api/projects/1")
    assert send() == 404


@pytest.mark.parametrize("path", SERVED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Sentry-Auth": ""},
        {"X-Sentry-Auth": "Sentry "},
        {"X-Sentry-Auth": "Sentry sentry_version=7"},
        {"X-Sentry-Auth": "Sentry sentry_key=abc"},
        {"X-Sentry-Auth": f"Sentry sentry_key={'0' * 32}"},
        {"X-Sentry-Auth": "Bearer sentry_key=x"},
        {"Authorization": "Bearer nonsense"},
    ],
)
def test_bad_credentials_are_401(api: Api, project: dict[str, Any], path: str, headers: dict[str, str]) -> None:
    """API.md Ingestion S2: every failure (none, malformed, unknown key) is 401, no 403."""
    answer = api.post(f"/api/1/{path}/", body_for(path), token=None, headers={**headers_for(path), **headers})
    assert answer.status_code == 401
    assert api.issues(project) == []
    assert api.get("/api/projects/1/stats").json == {"data": []}


def test_keys_of_another_project_are_401(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S2: the key of another, or of a deleted project is 401."""
    other = api.project("other")
    for _ in range(2):
        answer = api.post("/api/1/envelope/", body_for("envelope"), token=None, query_string=f"sentry_key={key(other)}")
        assert answer.status_code == 401
        api.delete("/api/projects/2")


@pytest.mark.parametrize("dsn", ["nonsense", 7, f"https://{'0' * 32}@x.test/1", "https://@x.test/1", {}])
def test_a_bad_dsn_is_401(api: Api, project: dict[str, Any], dsn: Any) -> None:
    """API.md Ingestion S2: a `dsn` that is malformed, or has an unknown key, is 401."""
    answer = api.post("/api/1/envelope/", envelope({"event_id": EVENT_ID}, dsn=dsn), token=None)
    assert answer.status_code == 401


def test_sources_that_disagree_are_400(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S2: two sources that disagree, path and `dsn` included, 400."""
    other = api.project("other")
    mine, theirs = key(project), key(other)
    header = {"X-Sentry-Auth": f"Sentry sentry_key={mine}"}

    def send(body: bytes, query: str = "", headers: dict[str, str] | None = None) -> int:
        sent = api.post("/api/1/envelope/", body, token=None, query_string=query, headers=headers or {})
        return int(sent.status_code)

    def of(sentry_key: str, number: int) -> bytes:
        return envelope({"event_id": EVENT_ID}, dsn=f"https://{sentry_key}@x.test/{number}")

    assert send(body_for("envelope"), f"sentry_key={theirs}", header) == 400
    assert send(body_for("envelope"), f"sentry_key={mine}&sentry_key={theirs}") == 400
    assert send(of(theirs, 1), headers=header) == 400
    assert send(of(mine, 2), headers=header) == 400
    assert send(of(theirs, 2)) == 400
    assert api.issues(project) == []
    assert send(of(mine, 1), f"sentry_key={project['sentry_key']}", header) == 200


def test_keys_are_compared_without_hyphens(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S2: keys are compared without hyphens, and in any case."""
    header = {"X-Sentry-Auth": f"Sentry sentry_key={project['sentry_key'].upper()}"}
    query = f"sentry_key={key(project)}"
    answer = api.post("/api/1/envelope/", body_for("envelope"), token=None, headers=header, query_string=query)
    assert answer.status_code == 200


def test_credentials_come_before_the_body(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S2: header or query before the body is read; a stranger learns nothing of his envelope."""

    class Unread(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            pytest.fail("the body was read")

    environ = {"CONTENT_LENGTH": "10", "wsgi.input": Unread()}
    wrong = {"QUERY_STRING": f"sentry_key={'0' * 32}"}
    assert call(api, "/api/1/envelope/", b"", **wrong, **environ)[0] == "401"
    assert call(api, "/api/1/store/", b"", **environ)[0] == "401"
    for broken in (b"", b"\n", b"nonsense", b"{}\nnonsense", b'{}\n{"type":"event","length":9}\n{}'):
        assert api.post("/api/1/envelope/", broken, token=None).status_code == 401


@pytest.mark.parametrize("path", ["envelope", "store", "security"])
def test_unknown_encodings_are_415(api: Api, project: dict[str, Any], path: str) -> None:
    """API.md Ingestion S3: unknown encoding: 415."""
    headers = {"Content-Encoding": "rot13", **headers_for(path)}
    answer = api.post(
        f"/api/1/{path}/", body_for(path), token=None, query_string=f"sentry_key={key(project)}", headers=headers
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("content_type", [None, "text/html", "application/xml"])
def test_other_content_types_of_security_are_415(api: Api, project: dict[str, Any], content_type: str | None) -> None:
    """API.md Ingestion S3: unknown content type of `/security/`: 415."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = api.post("/api/1/security/", CSP, token=None, query_string=f"sentry_key={key(project)}", headers=headers)
    assert answer.status_code == 415
    row = api.get("/api/projects/1/stats").json["data"][0]
    assert (row["received"], row["invalid"]) == (1, 1)


def test_a_sender_without_a_key_is_one_before_anything_else(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S2: credentials come right after the project, so that no key is 401 whatever is sent."""
    for path in ("store", "security"):
        for headers in ({"Content-Type": "text/html"}, {"Content-Encoding": "rot13"}):
            assert api.post(f"/api/{project['id']}/{path}/", b"x", token=None, headers=headers).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/api/store/",
        "/api/1/minidump/",
        "/api/1/minidump",
        "/api/1/unreal/abc/",
        "/api/1/nel/",
        "/api/1/cron/nightly/",
        f"/api/1/cron/nightly/{'a' * 32}/",
        "/api/1/integration/otlp/v1/traces/",
        f"/api/1/events/{EVENT_ID}/attachments/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_ingestion_paths_not_served_yet_are_404(api: Api, project: dict[str, Any], method: str, path: str) -> None:
    """API.md Ingestion S3: the paths of SDK.md section 1 need no token and carry CORS; those not served yet are 404."""
    answer = api(method, path, token=None)
    assert answer.status_code == 404
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-sentry-error"] == answer.json["detail"]


@pytest.mark.parametrize("path", ["/api/events/1/attachments/", "/api/projects/store/", "/api/issues/envelope/"])
def test_management_paths_stay_management(api: Api, path: str) -> None:
    """A path below the documented nouns is no ingestion path, whatever its end looks like."""
    assert api.post(path, token=None).status_code == 401


@pytest.mark.parametrize("path", SERVED)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_wrong_methods_on_served_paths_are_405(api: Api, project: dict[str, Any], path: str, method: str) -> None:
    """API.md Ingestion S3: a wrong method on a served one, GET on `/store/` too, is 405."""
    answer = api(method, f"/api/1/{path}/?sentry_data=x", token=None)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/api/1//envelope/", "//api/1/envelope//", "/api//1/envelope"])
def test_duplicate_slashes_are_folded(api: Api, project: dict[str, Any], path: str) -> None:
    """API.md Ingestion S1: all of SDK.md (section 1): duplicate slashes are folded."""
    environ = {"QUERY_STRING": f"sentry_key={key(project)}", "CONTENT_LENGTH": str(len(body_for("envelope")))}
    assert call(api, path, body_for("envelope"), **environ)[0] == "200"


@pytest.mark.parametrize("path", SERVED)
def test_preflights(api: Api, path: str) -> None:
    """API.md Ingestion S1: all of SDK.md (section 8): OPTIONS is answered without credentials."""
    headers = {"Origin": "https://shop.test", "Access-Control-Request-Method": "POST"}
    answer = api("OPTIONS", f"/api/1/{path}/", token=None, headers=headers)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert "x-sentry-auth" in answer.headers["access-control-allow-headers"]
    assert "content-encoding" in answer.headers["access-control-allow-headers"]
    assert answer.headers["access-control-max-age"] == "3600"
    assert "access-control-allow-credentials" not in answer.headers
