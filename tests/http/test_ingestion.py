"""API.md, Ingestion: what is taken, how it is answered, and what is over a limit."""

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
from tests.http.fakes import FakeSpool
from tests.http.sending import CSP, EVENT_ID, SERVED, body_for, call, headers_for

EXPOSED = "x-sentry-error, x-sentry-rate-limits, retry-after"


@pytest.mark.parametrize("header", ["X-Sentry-Auth", "Authorization"])
@pytest.mark.parametrize("dashes", [False, True])
def test_the_documented_ways_in(api: Api, project: dict[str, Any], header: str, dashes: bool) -> None:
    """API.md Ingestion D1: POST /api/{project_id}/envelope/, by the DSN's `sentry_key` or `X-Sentry-Auth`."""
    sentry_key = project["sentry_key"] if dashes else key(project)
    headers = {header: f"Sentry sentry_key={sentry_key}, sentry_version=7, sentry_client=test/1.0"}
    answer = api.post("/api/1/envelope/", body_for("envelope"), token=None, headers=headers)
    assert (answer.status_code, answer.json) == (200, {"id": EVENT_ID})
    query = f"sentry_key={sentry_key}&sentry_version=7"
    answer = api.post("/api/1/envelope/", body_for("envelope"), token=None, query_string=query)
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
        encode(body_for(path)),
        token=None,
        query_string=query,
        headers={"Content-Encoding": encoding},
    )
    assert (answer.status_code, answer.json) == (200, {"id": EVENT_ID})
    assert api.issues(project)[0]["type"] == "TypeError"


def test_store_takes_base64_of_zlib(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S1: all of SDK.md (section 5): ravens send base64 of zlib without saying so."""
    body = base64.b64encode(zlib.compress(body_for("store")))
    answer = api.post("/api/1/store/", body, token=None, query_string=f"sentry_key={key(project)}")
    assert answer.json == {"id": EVENT_ID}
    assert api.get(f"/api/events/{EVENT_ID}").status_code == 200


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "application/json"]
)
def test_content_types_are_not_looked_at(api: Api, project: dict[str, Any], content_type: str | None) -> None:
    """API.md Ingestion S1: all of SDK.md (section 5): Content-Type is not checked on `/envelope/`."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert api.envelope(project, body_for("envelope"), headers=headers).json == {"id": EVENT_ID}


def test_chunked_bodies_without_a_length(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S1: all of SDK.md (fact 3): chunked bodies without Content-Length are read to their end."""
    query = {"QUERY_STRING": f"sentry_key={key(project)}", "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = call(api, "/api/1/envelope/", body_for("envelope"), **query, **{"wsgi.input_terminated": True})
    assert answer == ("200", {"id": EVENT_ID})
    status, body = call(api, "/api/1/envelope/", body_for("envelope"), **query)
    assert status == "400"
    assert "rustrak serve" in body["error"]


@pytest.mark.parametrize("length", ["10000", "-1", "abc", "1" * 30, "１"])
def test_half_a_body(api: Api, project: dict[str, Any], length: str) -> None:
    """A body that ends before its announced length, or lies about it, is 400 or 413 and leaves nothing behind."""
    query = f"sentry_key={key(project)}"
    status, _ = call(api, "/api/1/envelope/", body_for("envelope"), QUERY_STRING=query, CONTENT_LENGTH=length)
    assert status == "400"
    assert api.issues(project) == []


def test_a_connection_that_breaks(api: Api, project: dict[str, Any]) -> None:
    """A client that goes away in the middle is no fault of ours: no 500, and nothing is kept."""

    class Broken(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            raise ConnectionResetError

    environ = {"QUERY_STRING": f"sentry_key={key(project)}", "CONTENT_LENGTH": "10", "wsgi.input": Broken()}
    assert call(api, "/api/1/envelope/", b"", **environ)[0] == "400"


def test_browsers_can_read_every_answer(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S1: errors are `{"error": text, "detail": text}` with `X-Sentry-Error`, and carry CORS."""
    good = api.envelope(project, body_for("envelope"))
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
    assert api.envelope(project, body_for("envelope")).status_code == 200


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
    assert call(api, "/api/1/envelope/", b"", CONTENT_LENGTH="10001", **query)[0] == "413"
    endless = b'{}\n{"type":"attachment"}\n' + b"x" * 20_000
    environ = {"wsgi.input_terminated": True, **query}
    assert call(api, "/api/1/envelope/", endless, **environ)[0] == "413"
    bomb = gzip.compress(b'{}\n{"type":"attachment"}\n' + bytes(1_000_000))
    assert len(bomb) < 10_000
    assert api.envelope(project, bomb, headers={"Content-Encoding": "gzip"}).status_code == 413
    assert api.get("/api/projects/1/stats").json["data"][0]["too_large"] == 3


def test_a_second_event_is_counted_invalid(api: Api, project: dict[str, Any]) -> None:
    """API.md Ingestion S4: a second `event` item is counted invalid."""
    body = body_for("envelope") + b'\n{"type":"event"}\n{"message":"second"}'
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
    answer = api.post(f"/api/1/{path}/", body_for(path), token=None, query_string=query, headers=headers_for(path))
    assert answer.status_code == 429
    assert answer.headers["x-sentry-rate-limits"] == limits
    assert answer.headers["retry-after"] == limits.split(":", maxsplit=1)[0]
    assert answer.headers["access-control-allow-origin"] == "*"
    assert api.get("/api/projects/1").status_code == 200


class AwayKeys(KeyRing):
    """A ring that knows nothing while the store is away."""

    def key_of(self, project_id: int) -> str:
        raise StoreUnavailableError("the database cannot be reached")

    def known_key_of(self, project_id: int) -> str | None:
        return None

    def changed(self) -> None:
        """Nothing is known anyway."""


def test_an_unknown_key_while_the_store_is_away_is_503(make_api: Callable[..., Api]) -> None:
    """API.md Ingestion S5: 503 only where an unknown key cannot be looked up because the store is away."""
    answer = make_api(keys=AwayKeys()).post("/api/1/envelope/", body_for("envelope"), token=None)
    assert answer.status_code == 503
    assert answer.json["detail"] == "the database cannot be reached"


def test_what_is_accepted_goes_to_the_spool(make_api: Callable[..., Api]) -> None:
    """API.md Ingestion S1: with a spool, 200 means that it was handed over, as sent."""
    spool = FakeSpool()
    api = make_api(spool=spool)
    project = api.project()
    header = {"X-Sentry-Auth": f"Sentry sentry_key={key(project)}, sentry_client=sentry.python/2.75.0"}
    api.post("/api/1/envelope/", body_for("envelope"), token=None, headers=header, remote_addr="192.0.2.7")
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
            answer = api.post(f"/api/1/{path}/", odd, token=None, query_string=query, headers=headers_for(path))
            assert answer.status_code < 500
    api.send(project, error())
