"""From an event's bytes to what is recorded."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core import grouping
from rustrak_core.accepted import AcceptedEvent, Count, EventKind, Outcome
from rustrak_core.digest import digest, digest_all, read_payload
from rustrak_core.digested import Digested, User
from rustrak_core.errors import MalformedEventError
from rustrak_core.project import ProjectId

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
EVENT_ID = UUID(int=7)


def accepted(payload: Any, **context: Any) -> AcceptedEvent:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return AcceptedEvent(project_id=ProjectId(1), event_id=EVENT_ID, received_at=NOW, payload=raw, **context)


def digested(payload: Any, **context: Any) -> Digested:
    return digest(accepted(payload, **context))


PYTHON_EVENT = {
    "event_id": "f" * 32,
    "timestamp": "2024-01-15T10:29:59.250000Z",
    "level": "fatal",
    "platform": "python",
    "environment": "production",
    "release": "shop@1.2.3",
    "server_name": "web-1",
    "transaction": "/checkout/{id}",
    "tags": {"customer": "acme", "vip": True},
    "user": {"id": 42, "email": "kit@example.com", "ip_address": "{{auto}}", "plan": "pro"},
    "exception": {
        "values": [
            {"type": "KeyError", "value": "'x'"},
            {
                "type": "PaymentError",
                "value": "cannot pay",
                "stacktrace": {
                    "frames": [
                        {"module": "shop.app", "function": "pay", "in_app": True},
                        {"module": "requests.api", "function": "post", "in_app": False},
                    ]
                },
            },
        ]
    },
}


def test_a_whole_event() -> None:
    """Each column is filled from where SDKs put it."""
    event = accepted(PYTHON_EVENT, remote_addr="192.0.2.7", sdk_client="sentry.python/2.75.0")
    assert digest(event) == Digested(
        project_id=ProjectId(1),
        event_id=EVENT_ID,
        received_at=NOW,
        timestamp=NOW - timedelta(seconds=0.75),
        keys=(grouping.key(PYTHON_EVENT),),
        kind="event",
        type="PaymentError",
        message="cannot pay",
        culprit="/checkout/{id}",
        level="fatal",
        platform="python",
        environment="production",
        release="shop@1.2.3",
        user=User(id="42", email="kit@example.com", ip_address="192.0.2.7"),
        tags=(("customer", "acme"), ("server_name", "web-1"), ("vip", "True")),
        remote_addr="192.0.2.7",
        sdk_client="sentry.python/2.75.0",
        payload=event.payload,
    )


def test_nothing_readable() -> None:
    """An event of which nothing can be read is an error that was received, kept as it came."""
    event = digested(b'{"level": [], "exception": 7, "tags": "x"}')
    assert (event.type, event.message, event.culprit) == ("Message", "", "")
    assert (event.level, event.platform, event.timestamp) == ("error", "other", NOW)
    assert (event.environment, event.release, event.user, event.tags) == (None, None, None, ())


@pytest.mark.parametrize(
    "payload",
    [b"", b"not json", b"[]", b"7", b"null", b'"text"', b"\xff\x00", b"[" * 100_000, b'{"a":' * 9999, b"{broken}"],
)
def test_what_is_no_json_object_is_no_event(payload: bytes) -> None:
    """Bytes that are no JSON object are refused by name."""
    with pytest.raises(MalformedEventError):
        digested(payload)


def test_messages() -> None:
    """A message's parameters are filled in, and its template decides about the issue."""
    one = digested({"logentry": {"message": "order %s failed", "params": [1]}, "level": "info"})
    two = digested({"logentry": {"message": "order %s failed", "params": [2]}})
    assert (one.type, one.message, one.level) == ("Message", "order 1 failed", "info")
    assert one.keys == two.keys


@pytest.mark.parametrize(
    ("payload", "culprit"),
    [
        ({"transaction": " /buy ", "culprit": "c"}, "/buy"),
        ({"transaction": 7, "culprit": "c"}, "c"),
        ({"exception": [{"type": "E", "stacktrace": {"frames": [{"module": "m", "function": "f"}]}}]}, "m in f"),
        (
            {"exception": [{"type": "E"}], "stacktrace": {"frames": [{"filename": "a.js", "function": "f"}]}},
            "a.js in f",
        ),
        (
            {
                "stacktrace": [{"module": "mine", "in_app": True}, None, {"module": "lib", "in_app": False}],
                "culprit": "c",
            },
            "mine",
        ),
        ({"stacktrace": {"frames": [{"module": "lib"}]}, "culprit": "c"}, "c"),
        ({"stacktrace": {"frames": [{"module": [], "function": {}}]}, "culprit": ["c"]}, ""),
        ({"exception": [{"type": "E", "stacktrace": {"frames": "x"}}]}, ""),
        ({"transaction": "x" * 300}, "x" * 197 + "..."),
    ],
)
def test_culprits(payload: dict[str, Any], culprit: str) -> None:
    """The transaction, else the application's innermost frame, else what the SDK says, else any frame."""
    assert digested(payload).culprit == culprit


@pytest.mark.parametrize(
    ("payload", "environment"),
    [
        ({"environment": "eu"}, "eu"),
        ({"tags": {"environment": "eu"}}, "eu"),
        ({"environment": "us", "tags": {"environment": "eu"}}, "us"),
        ({"environment": "a/b", "tags": {"environment": "eu"}}, None),
        ({"environment": None}, None),
    ],
)
def test_environments(payload: dict[str, Any], environment: str | None) -> None:
    """The tag stands in for an attribute that is not there."""
    assert digested(payload).environment == environment


def test_columns_are_cut_and_clean_and_payloads_are_not() -> None:
    """Long and dirty text fits its column; the payload keeps every byte."""
    raw = rb'{"exception":[{"type":"T\u0000\ud800%b","value":"v\u0000\udfff%b"}],"extra":{"n":1e400}}' % (
        b"t" * 1000,
        b"v" * 10_000,
    )
    event = digested(raw)
    assert event.type == "T\ufffd\ufffd" + "t" * 250 + "..."
    assert len(event.message) == 8192
    assert event.message.startswith("v\ufffd\ufffdv")
    assert event.payload == raw


@pytest.mark.parametrize(
    "extra",
    [
        b"[" * 500 + b"]" * 500,
        b"[" * 50_000 + b"]" * 50_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"1" * 70,
        b"9" * 5000,
        b"NaN",
        b"-Infinity",
        b"1e400",
        b'"\\ud800"',
        b'"\xff"',
        b'"\\u0000"',
    ],
)
def test_hostile_json_costs_only_itself(extra: bytes) -> None:
    """What no reader likes in one place leaves the rest of the event readable."""
    event = digested(b'{"extra":{"x":%b},"message":"boom","level":"info","message":"last wins"}' % extra)
    assert (event.message, event.level) == ("last wins", "info")


def test_csp_reports() -> None:
    """A report becomes an event of type CSP, with what the request's query said."""
    report = {
        "csp-report": {
            "document-uri": "https://shop.example/cart?x",
            "effective-directive": "script-src",
            "blocked-uri": "https://evil.example/x.js",
        }
    }
    event = digested(report, kind=EventKind.CSP, hints=(("release", "1.0"), ("environment", "eu")))
    assert (event.type, event.message) == ("CSP", "Blocked 'script-src' from 'evil.example'")
    assert (event.kind, event.culprit) == ("csp", "https://shop.example/cart")
    assert (event.release, event.environment, event.level) == ("1.0", "eu", "error")


def test_a_csp_report_within_an_event_is_not_believed() -> None:
    """An event does not become a report by saying so."""
    assert digested({"type": "csp", "csp": {}, "message": "m"}).type == "Message"


def test_what_is_no_event_is_counted_invalid() -> None:
    """Of a batch, what is no JSON object is not recorded, and is accounted for."""
    events, counts = digest_all([accepted({}), accepted(b"not json"), accepted(b"[]"), accepted({"message": "m"})])
    assert [event.message for event in events] == ["", "m"]
    invalid = Count(project_id=ProjectId(1), day=NOW.date(), category="error", outcome=Outcome.INVALID)
    assert counts == [invalid, invalid]


def test_reading_a_payload() -> None:
    """A payload is an object, or nothing."""
    assert read_payload(b'{"a":1}') == {"a": 1}
    assert read_payload(b"[1]") is None
    assert read_payload(b"{") is None


COLUMNS = ["event_id", "timestamp", "level", "platform", "environment", "release", "tags", "user", "exception"]
NAMES = [
    *COLUMNS,
    "message",
    "logentry",
    "fingerprint",
    "transaction",
    "culprit",
    "server_name",
    "request",
    "stacktrace",
]
KEYS = st.sampled_from(["values", "type", "value", "frames", "module", "in_app", "id", "ip_address", "env", "message"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
VALUES = st.recursive(SCALARS, lambda c: st.lists(c, max_size=3) | st.dictionaries(KEYS, c, max_size=3), max_leaves=8)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.sampled_from(list(EventKind)))
def test_columns_always_fit(payload: dict[str, Any], kind: EventKind) -> None:
    """Odd types everywhere: an event comes out all the same, and each column holds what it must."""
    event = digested(payload, kind=kind)
    assert event.level in {"fatal", "error", "warning", "info", "debug"}
    assert 1 <= len(event.type) <= 256
    texts = [event.type, event.message, event.culprit, event.platform, event.environment, event.release]
    texts += [text for pair in event.tags for text in pair]
    if event.user is not None:
        texts += [event.user.id, event.user.email, event.user.username, event.user.ip_address]
    for text in texts:
        if text is not None:
            assert "\0" not in text
            text.encode()
    assert event.tags == tuple(sorted(dict(event.tags).items()))
    assert event.timestamp <= NOW + timedelta(seconds=60)


@given(st.binary())
def test_any_bytes_are_an_event_or_none(payload: bytes) -> None:
    """Whatever the bytes, they are an event or are refused by name."""
    try:
        assert digested(payload).payload == payload
    except MalformedEventError:
        assert read_payload(payload) is None
