"""API.md, Ingestion: what is taken, and who may bring it."""

import base64
import gzip
import io
import json
import zlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

import brotli
import pytest

from rustrak_core.errors import OverloadError, SpoolUnavailableError, StoreUnavailableError
from rustrak_core.ports import KeyRing
from rustrak_core.receive import Limits
from tests.http.conftest import Api, envelope, error, key
from tests.http.test_projects import FakeSpool

EVENT_ID = "550e8400e29b41d4a716446655440000"
SERVED = ["envelope", "store", "security", "csp-report"]
EXPOSED = "x-sentry-error, x-sentry-rate-limits, retry-after"
CSP = {"csp-report": {"document-uri": "https://shop.test/", "violated-directive": "script-src", "blocked-uri": "eval"}}


def _body(path: str) -> bytes:
    payload = {"event_id": EVENT_ID, **error()}
    if path == "envelope":
        return envelope(payload)
    return json.dumps(payload if path == "store" else CSP).encode()


def _headers(path: str) -> dict[str, str]:
    return {} if path in {"envelope", "store"} else {"Content-Type": "application/csp-report"}


@pytest.fixture
def project(api: Api) -> dict[str, Any]:
    return api.project("shop")


@pytest.mark.parametrize("header", ["X-Sentry-Auth", "Authorization"])
@pytest.mark.parametrize("dashes", [False, True])
def test_the_documented_ways_in(api: Api, project: dict[str, Any], header: str, dashes: bool) -> None:
    """API.md Ingestion D1: POST /api/{project_id}/envelope/, by the DSN's `sentry_key` or `X-Sentry-Auth`."""
    sentry_key = project["sentry_key"] if dashes else key(project)
    headers = {header: f"Sentry sentry_key={sentry_key}, sentry_version=7, sentry_client=test/1.0"}
    answer = api.post("/api/1/envelope/", _body("envelope"), token=None, headers=headers)
    assert (answer.status_code, answer.json) == (200, {"id": EVENT_ID})
    query = f"sentry_key={sentry_key}&sentry_version=7"
    answer = api.post("/api/1/envelope/", _body("envelope"), token=None, query_string=query)
    assert (answer.status_code, answer.json) == (200, {"id": EVENT_ID})
    assert api.get(f"/api/events/{EVENT_ID}").json["id"] == str(UUID(EVENT_ID))


def test_the_envelopes_dsn_is_enough(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S2: else the envelope's `dsn` as soon as its first line is there."""
    body = envelope({"event_id": EVENT_ID}, dsn=f"https://{key(project)}@elsewhere.test/1")
    assert api.post("/api/1/envelope/", body, token=None).json == {"id": EVENT_ID}


def test_answers_name_the_event(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S1: 200 `{"id": "<32 hex>"}`; `{}` where nothing needs an event id."""
    dashed = str(UUID(EVENT_ID)).upper()
    assert api.envelope(project, envelope({"event_id": dashed})).json == {"id": EVENT_ID}
    assert api.envelope(project, envelope({}, "session")).json == {}
    assert api.envelope(project, b"{}").json == {}
    made = api.envelope(project, b'{}\n{"type":"event"}\n{"message":"no id"}').json["id"]
    assert api.get(f"/api/events/{made}").status_code == 200


@pytest.mark.parametrize("content_type", ["application/csp-report", "application/reports+json", "application/json"])
@pytest.mark.parametrize("path", ["security", "csp-report"])
def test_csp_reports_become_events(api: Api, project: dict[str, Any], path: str, content_type: str) -> None:
    """API.md Ingestion S1: from `/security/` the answer is `{}`, and the report is an event."""
    query = f"sentry_key={key(project)}&sentry_release=1.0&sentry_environment=production"
    headers = {"Content-Type": f"{content_type}; charset=utf-8", "Origin": "https://shop.test"}
    answer = api.post(f"/api/1/{path}/", CSP, token=None, query_string=query, headers=headers)
    assert (answer.status_code, answer.json) == (200, {})
    issue = api.issues(project)[0]
    assert issue["type"] == "CSP"
    row = api.get(f"/api/issues/{issue['id']}/events").json["data"][0]
    assert (row["release"], row["environment"]) == ("1.0", "production")


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data)


def _raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", _gzip),
        ("GZIP", _gzip),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
        ("br", brotli.compress),
        ("", bytes),
        ("identity", bytes),
        ("UTF-8", bytes),
        ("gzip, br", lambda data: brotli.compress(_gzip(data))),
    ],
)
@pytest.mark.parametrize("path", ["envelope", "store"])
def test_encodings(
    api: Api, project: dict[str, Any], path: str, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    """API.md Ingestion S1: all of SDK.md (section 5): the encodings that SDKs send."""
    query = f"sentry_key={key(project)}"
    answer = api.post(
        f"/api/1/{path}/",
        encode(_body(path)),
        token=None,
        query_string=query,
        headers={"Content-Encoding": encoding},
    )
    assert (answer.status_code, answer.json) == (200, {"id": EVENT_ID})
    assert api.issues(project)[0]["type"] == "TypeError"


def test_store_takes_base64_of_zlib(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S1: all of SDK.md (section 5): ravens send base64 of zlib without saying so."""
    body = base64.b64encode(zlib.compress(_body("store")))
    answer = api.post("/api/1/store/", body, token=None, query_string=f"sentry_key={key(project)}")
    assert answer.json == {"id": EVENT_ID}
    assert api.get(f"/api/events/{EVENT_ID}").status_code == 200


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "application/json"]
)
def test_content_types_are_not_looked_at(api: Api, project: dict[str, Any], content_type: str | None) -> None:
    """API.md Ingestion S1: all of SDK.md (section 5): Content-Type is not checked on `/envelope/`."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert api.envelope(project, _body("envelope"), headers=headers).json == {"id": EVENT_ID}


def _call(api: Api, path: str, body: bytes, **environ: Any) -> tuple[str, Any]:
    """Call the application as a server does, without a client that would set lengths right."""
    env = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        **environ,
    }
    status: list[str] = []
    pieces = api.app(env, lambda line, _headers: status.append(line))
    return status[0][:3], json.loads(b"".join(pieces))


def test_chunked_bodies_without_a_length(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S1: all of SDK.md (fact 3): chunked bodies without Content-Length are read to their end."""
    query = {"QUERY_STRING": f"sentry_key={key(project)}", "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = _call(api, "/api/1/envelope/", _body("envelope"), **query, **{"wsgi.input_terminated": True})
    assert answer == ("200", {"id": EVENT_ID})
    status, body = _call(api, "/api/1/envelope/", _body("envelope"), **query)
    assert status == "400"
    assert "rustrak serve" in body["error"]


@pytest.mark.parametrize("length", ["10000", "-1", "abc", "1" * 30, "１"])
def test_half_a_body(api: Api, project: dict[str, Any], length: str) -> None:
    """A body that ends before its announced length, or lies about it, is 400 or 413 and leaves nothing behind."""
    query = f"sentry_key={key(project)}"
    status, _ = _call(api, "/api/1/envelope/", _body("envelope"), QUERY_STRING=query, CONTENT_LENGTH=length)
    assert status == "400"
    assert api.issues(project) == []


def test_a_connection_that_breaks(api: Api, project: dict[str, Any]) -> None:
    """A client that goes away in the middle is no fault of ours: no 500, and nothing is kept."""

    class Broken(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            raise ConnectionResetError

    environ = {"QUERY_STRING": f"sentry_key={key(project)}", "CONTENT_LENGTH": "10", "wsgi.input": Broken()}
    assert _call(api, "/api/1/envelope/", b"", **environ)[0] == "400"


@pytest.mark.parametrize("path", SERVED)
@pytest.mark.parametrize("number", ["2", "abc", "0", "-1", "9007199254740992", "1.0", "%00", "%ff", "1x", "٣"])
def test_the_project_comes_first(api: Api, project: dict[str, Any], path: str, number: str) -> None:
    """API.md Ingestion S2: project first: one that is no number, unknown or deleted is 404 whatever the credentials."""
    for query in ("", f"sentry_key={key(project)}", "sentry_key=nonsense"):
        answer = api.post(f"/api/{number}/{path}/", _body(path), token=None, query_string=query, headers=_headers(path))
        assert answer.status_code == 404
        assert set(answer.json) == {"error", "detail"}


@pytest.mark.parametrize("path", SERVED)
def test_a_deleted_project_is_404(api: Api, project: dict[str, Any], path: str) -> None:
    """API.md Ingestion S2: a deleted project is 404, at once."""
    query = f"sentry_key={key(project)}"
    send = lambda: api.post(f"/api/1/{path}/", _body(path), token=None, query_string=query, headers=_headers(path))  # noqa: E731
    assert send().status_code == 200
    api.delete("/api/projects/1")
    assert send().status_code == 404


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
    answer = api.post(f"/api/1/{path}/", _body(path), token=None, headers={**_headers(path), **headers})
    assert answer.status_code == 401
    assert api.issues(project) == []
    assert api.get("/api/projects/1/stats").json == {"data": []}


def test_keys_of_another_project_are_401(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S2: the key of another, or of a deleted project is 401."""
    other = api.project("other")
    for _ in range(2):
        answer = api.post("/api/1/envelope/", _body("envelope"), token=None, query_string=f"sentry_key={key(other)}")
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

    assert send(_body("envelope"), f"sentry_key={theirs}", header) == 400
    assert send(_body("envelope"), f"sentry_key={mine}&sentry_key={theirs}") == 400
    assert send(of(theirs, 1), headers=header) == 400
    assert send(of(mine, 2), headers=header) == 400
    assert send(of(theirs, 2)) == 400
    assert api.issues(project) == []
    assert send(of(mine, 1), f"sentry_key={project['sentry_key']}", header) == 200


def test_keys_are_compared_without_hyphens(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S2: keys are compared without hyphens, and in any case."""
    header = {"X-Sentry-Auth": f"Sentry sentry_key={project['sentry_key'].upper()}"}
    query = f"sentry_key={key(project)}"
    answer = api.post("/api/1/envelope/", _body("envelope"), token=None, headers=header, query_string=query)
    assert answer.status_code == 200


def test_credentials_come_before_the_body(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S2: header or query before the body is read; a stranger learns nothing of his envelope."""

    class Unread(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            pytest.fail("the body was read")

    environ = {"CONTENT_LENGTH": "10", "wsgi.input": Unread()}
    wrong = {"QUERY_STRING": f"sentry_key={'0' * 32}"}
    assert _call(api, "/api/1/envelope/", b"", **wrong, **environ)[0] == "401"
    assert _call(api, "/api/1/store/", b"", **environ)[0] == "401"
    for broken in (b"", b"\n", b"nonsense", b"{}\nnonsense", b'{}\n{"type":"event","length":9}\n{}'):
        assert api.post("/api/1/envelope/", broken, token=None).status_code == 401


@pytest.mark.parametrize("path", ["envelope", "store", "security"])
def test_unknown_encodings_are_415(api: Api, project: dict[str, Any], path: str) -> None:
    """API.md Ingestion S3: unknown encoding: 415."""
    headers = {"Content-Encoding": "rot13", **_headers(path)}
    answer = api.post(
        f"/api/1/{path}/", _body(path), token=None, query_string=f"sentry_key={key(project)}", headers=headers
    )
    assert answer.status_code == 415


@pytest.mark.parametrize("content_type", [None, "text/html", "application/xml"])
def test_other_content_types_of_security_are_415(api: Api, project: dict[str, Any], content_type: str | None) -> None:
    """API.md Ingestion S3: unknown content type of `/security/`: 415."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = api.post("/api/1/security/", CSP, token=None, query_string=f"sentry_key={key(project)}", headers=headers)
    assert answer.status_code == 415


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
    environ = {"QUERY_STRING": f"sentry_key={key(project)}", "CONTENT_LENGTH": str(len(_body("envelope")))}
    assert _call(api, path, _body("envelope"), **environ)[0] == "200"


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


def test_browsers_can_read_every_answer(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S1: errors are `{"error": text, "detail": text}` with `X-Sentry-Error`, and carry CORS."""
    good = api.envelope(project, _body("envelope"))
    answers = [
        api.post("/api/1/envelope/", b"", token=None),
        api.post("/api/2/envelope/", b"", token=None),
        api.get("/api/1/envelope/", token=None),
        api.envelope(project, b"nonsense"),
        api.envelope(project, b"x", headers={"Content-Encoding": "rot13"}),
        api.envelope(project, b"x", headers={"Content-Encoding": "gzip"}),
    ]
    assert [answer.status_code for answer in answers] == [401, 404, 405, 400, 415, 400]
    for answer in [good, *answers]:
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-expose-headers"] == EXPOSED
    for answer in answers:
        assert set(answer.json) == {"error", "detail"}
        assert answer.json["error"] == answer.json["detail"]
        assert answer.headers["x-sentry-error"].isascii()
        assert answer.headers["x-sentry-error"].isprintable()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n",
        b"[]\n",
        b"nonsense\n",
        b'{}\n{"type":"event","length":100}\n{}',
        b'{}\n{"type":"event","length":-1}\n{}',
        b'{}\n{"type":"event","length":9223372036854775808}\n{}',
        b'{}\n{"type":"event","length":1}\n{}',
        b'{"event_id":"x"}\n{"type":"event"}\n{}',
        b'{}\n{"type":"event"}\n{"message":"first"}\nnonsense\n{}',
    ],
)
def test_broken_framing_refuses_the_whole(api: Api, project: dict[str, Any], body: bytes) -> None:
    """API.md Ingestion S4: broken framing refuses the whole envelope with 400."""
    assert api.envelope(project, body).status_code == 400
    assert api.issues(project) == []
    assert api.envelope(project, _body("envelope")).status_code == 200


def test_an_unknown_or_broken_item_costs_that_item_only(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S4: an unknown item, or a payload that is broken, costs that item only."""
    items = b'{"type":"novel"}\nx\n{"type":"client_report"}\nnonsense\n{"type":"event"}\n{"message":"kept"}'
    answer = api.envelope(project, b'{"event_id":"%s"}\n' % EVENT_ID.encode() + items)
    assert answer.json == {"id": EVENT_ID}
    assert api.get(f"/api/events/{EVENT_ID}").status_code == 200
    assert api.envelope(project, envelope(b"nonsense", event_id="a" * 32)).status_code == 200
    assert api.get(f"/api/events/{'a' * 32}").status_code == 404


def test_limits(make_api: Callable[..., Api]) -> None:
    """API.md Ingestion S4: 413 for an event over its limit, more than 1,000 items, a header line over 64 KiB."""
    api = make_api()
    project = api.project()
    big = envelope({"event_id": EVENT_ID, "extra": {"x": "y" * 1024 * 1024}})
    assert api.envelope(project, big).status_code == 413
    items = b"{}" + b'\n{"type":"session","length":0}\n' * 1000
    assert api.envelope(project, items).status_code == 200
    assert api.envelope(project, items + b'\n{"type":"session","length":0}\n').status_code == 413
    long = json.dumps({"x": "y" * 65_536}).encode()
    assert api.envelope(project, long).status_code == 413
    assert api.envelope(project, b"{}\n" + long + b"\n{}").status_code == 413
    query = f"sentry_key={key(project)}"
    store = json.dumps({"event_id": EVENT_ID, "extra": {"x": "y" * 1024 * 1024}}).encode()
    assert api.post("/api/1/store/", store, token=None, query_string=query).status_code == 413
    assert api.post("/api/1/store/", b" " * (1 << 22), token=None, query_string=query).status_code == 413
    headers = {"Content-Type": "application/csp-report"}
    assert api.post("/api/1/security/", store, token=None, query_string=query, headers=headers).status_code == 413
    assert api.issues(project) == []


def test_bodies_over_their_limit_are_not_read(make_api: Callable[..., Api]) -> None:
    """API.md Ingestion S4: a body over its limit, as announced, as read, or once decompressed, is 413."""
    api = make_api(limits=Limits(body_bytes=10_000, decompressed_bytes=100_000))
    project = api.project()
    query = {"QUERY_STRING": f"sentry_key={key(project)}"}
    assert _call(api, "/api/1/envelope/", b"", CONTENT_LENGTH="10001", **query)[0] == "413"
    endless = b'{}\n{"type":"attachment"}\n' + b"x" * 20_000
    environ = {"wsgi.input_terminated": True, **query}
    assert _call(api, "/api/1/envelope/", endless, **environ)[0] == "413"
    bomb = gzip.compress(b'{}\n{"type":"attachment"}\n' + bytes(1_000_000))
    assert len(bomb) < 10_000
    assert api.envelope(project, bomb, headers={"Content-Encoding": "gzip"}).status_code == 413
    assert api.get("/api/projects/1/stats").json["data"][0]["too_large"] == 3


def test_a_second_event_is_counted_invalid(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S4: a second `event` item is counted invalid."""
    body = _body("envelope") + b'\n{"type":"event"}\n{"message":"second"}'
    assert api.envelope(project, body).json == {"id": EVENT_ID}
    row = api.get("/api/projects/1/stats").json["data"][0]
    assert (row["received"], row["stored"], row["invalid"]) == (2, 1, 1)


@pytest.mark.parametrize(
    "item", ["attachment", "user_report", "feedback", "session", "transaction", "log", "unheard_of"]
)
def test_what_is_not_kept_is_accepted_and_counted(api: Api, project: dict[str, Any], item: str) -> None:
    """API.md Ingestion S4: attachments, user reports and feedback are accepted and counted, not kept, for now."""
    assert api.envelope(project, envelope({}, item, event_id=EVENT_ID)).status_code == 200
    assert api.issues(project) == []
    assert api.get(f"/api/events/{EVENT_ID}").status_code == 404


class RefusingSpool(FakeSpool):
    """A spool that takes nothing."""

    def __init__(self, fault: Exception) -> None:
        super().__init__()
        self.fault = fault

    def accept(self, accepted: object) -> None:
        raise self.fault


@pytest.mark.parametrize(
    ("fault", "limits"),
    [
        (
            OverloadError("the spool is full", retry_after_s=30, reason="spool_full"),
            "30:default;error;security:organization:spool_full",
        ),
        (
            OverloadError("quota", retry_after_s=60, reason="Quota!", scope="key", categories=("error",)),
            "60:error:key:quota_",
        ),
        (SpoolUnavailableError("I/O error"), "10:default;error;security:organization:unavailable"),
        (StoreUnavailableError("away"), "10:default;error;security:organization:unavailable"),
    ],
)
@pytest.mark.parametrize("path", SERVED)
def test_overload_is_429_with_both_headers(
    make_api: Callable[..., Api], path: str, fault: Exception, limits: str
) -> None:
    """API.md Ingestion S5: overload is 429 with both headers."""
    api = make_api(spool=RefusingSpool(fault))
    query = f"sentry_key={key(api.project())}"
    answer = api.post(f"/api/1/{path}/", _body(path), token=None, query_string=query, headers=_headers(path))
    assert answer.status_code == 429
    assert answer.headers["x-sentry-rate-limits"] == limits
    assert answer.headers["retry-after"] == limits.split(":", maxsplit=1)[0]
    assert answer.headers["access-control-allow-origin"] == "*"
    assert api.get("/api/projects/1").status_code == 200


class AwayKeys(KeyRing):
    """A ring that knows nothing while the store is away."""

    def key_of(self, project_id: int) -> str:
        raise StoreUnavailableError("the database cannot be reached")

    def changed(self) -> None:
        """Nothing is known anyway."""


def test_an_unknown_key_while_the_store_is_away_is_503(make_api: Callable[..., Api]) -> None:
    """API.md Ingestion S5: 503 only where an unknown key cannot be looked up because the store is away."""
    answer = make_api(keys=AwayKeys()).post("/api/1/envelope/", _body("envelope"), token=None)
    assert answer.status_code == 503
    assert answer.json["detail"] == "the database cannot be reached"


def test_what_is_accepted_goes_to_the_spool(make_api: Callable[..., Api]) -> None:
    """API.md Ingestion S1: with a spool, 200 means that it was handed over, as sent."""
    spool = FakeSpool()
    api = make_api(spool=spool)
    project = api.project()
    header = {"X-Sentry-Auth": f"Sentry sentry_key={key(project)}, sentry_client=sentry.python/2.75.0"}
    api.post("/api/1/envelope/", _body("envelope"), token=None, headers=header, remote_addr="192.0.2.7")
    event = spool.events()[0]
    assert event.payload == json.dumps({"event_id": EVENT_ID, **error()}).encode()
    assert (event.event_id, event.remote_addr) == (UUID(EVENT_ID), "192.0.2.7")
    assert event.sdk_client == "sentry.python/2.75.0"
    assert api.get(f"/api/events/{EVENT_ID}").status_code == 404


def test_the_process_lives(api: Api, project: dict[str, Any]) -> None:
    """Whatever comes, the next good request works."""
    for odd in (b"\xff" * 1000, b"{" * 70_000, b'{"a":' * 500 + b"1" + b"}" * 500, b"\x00", b'{"event_id":"\\ud800"}'):
        for path in ("envelope", "store", "security"):
            query = f"sentry_key={key(project)}"
            answer = api.post(f"/api/1/{path}/", odd, token=None, query_string=query, headers=_headers(path))
            assert answer.status_code < 500
    api.send(project, error())
