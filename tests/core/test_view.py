"""Events as the API shows them (API.md, Events)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.accepted import AcceptedEvent, EventKind
from rustrak_core.digest import digest
from rustrak_core.digested import EventSummary, StoredEvent, User
from rustrak_core.errors import MalformedEventError
from rustrak_core.issue import IssueId
from rustrak_core.jsontext import dumps
from rustrak_core.project import ProjectId
from rustrak_core.view import event_to_json, summary_to_json, user_to_json

NOW = datetime(2024, 1, 15, 14, 30, tzinfo=UTC)
EVENT_ID = UUID("550e8400-e29b-41d4-a716-446655440000")


def stored(payload: Any, **context: Any) -> StoredEvent:
    """Return what a store would keep of an event and give back."""
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    accepted = AcceptedEvent(project_id=ProjectId(3), event_id=EVENT_ID, received_at=NOW, payload=raw, **context)
    try:
        event = digest(accepted)
    except MalformedEventError:  # a store may hold it all the same
        event = attrs.evolve(digest(attrs.evolve(accepted, payload=b"{}")), payload=raw)
    summary = EventSummary(
        id=EVENT_ID,
        project_id=event.project_id,
        issue_id=IssueId(9),
        timestamp=event.timestamp,
        received_at=NOW,
        environment=event.environment,
        release=event.release,
        user=event.user,
    )
    shared = {field.name for field in attrs.fields(StoredEvent)} - {"summary", "key"}
    return StoredEvent(summary=summary, key=event.keys[0], **{name: getattr(event, name) for name in shared})


def shown(payload: Any, **context: Any) -> dict[str, Any]:
    """Return an event as a client reads it."""
    answer: dict[str, Any] = json.loads(dumps(event_to_json(stored(payload, **context))))
    return answer


def test_a_row() -> None:
    """A row has the documented keys in the documented shapes, and names its issue and project beside."""
    summary = EventSummary(
        id=EVENT_ID,
        project_id=ProjectId(3),
        issue_id=IssueId(9),
        timestamp=NOW,
        received_at=NOW + timedelta(microseconds=1500),
        environment="production",
        release="1.0.0",
        user=User(id="123", email="user@example.com"),
    )
    assert summary_to_json(summary) == {
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "issue_id": 9,
        "project_id": 3,
        "timestamp": "2024-01-15T14:30:00Z",
        "received_at": "2024-01-15T14:30:00.0015Z",
        "environment": "production",
        "release": "1.0.0",
        "user": {"id": "123", "email": "user@example.com", "username": None, "ip_address": None},
    }


def test_a_row_without_anything() -> None:
    """Environment, release and user are null when the SDK sent none."""
    row = summary_to_json(stored({}).summary)
    assert (row["environment"], row["release"], row["user"]) == (None, None, None)
    assert user_to_json(None) is None


def test_an_empty_event() -> None:
    """Of an event that says nothing, what we know is shown."""
    event = shown({})
    grouping = event.pop("grouping")
    assert event == {
        "id": "550e8400-e29b-41d4-a716-446655440000",
        "event_id": "550e8400e29b41d4a716446655440000",
        "issue_id": 9,
        "project_id": 3,
        "timestamp": "2024-01-15T14:30:00Z",
        "received_at": "2024-01-15T14:30:00Z",
        "type": "default",
        "level": "error",
        "platform": "other",
        "culprit": "",
        "environment": None,
        "release": None,
        "user": None,
        "errors": [],
    }
    assert grouping["mechanism"] == "anchor@1"
    assert grouping["parts"]


def test_the_payload_as_sent() -> None:
    """What an SDK sends in today's form is shown as it is, unknown attributes and long texts too."""
    sent = {
        "exception": {"values": [{"type": "E", "value": "v" * 10_000, "stacktrace": {"frames": [{"lineno": 7}]}}]},
        "breadcrumbs": {"values": [{"message": "m", "timestamp": 1705329000.5}]},
        "tags": {"a": "b"},
        "contexts": {"os": {"name": "x"}},
        "extra": {"n": 2**70, "deep": {"er": [None, 1.5]}},
        "request": {"url": "http://x/", "headers": {"A": "b"}},
        "transaction": "/buy",
        "own": {"attribute": True},
        "level": "warning",
        "platform": "python",
        "environment": "eu",
        "release": "1.0",
    }
    event = shown(sent)
    assert {name: event[name] for name in sent} == sent
    assert event["errors"] == []


def test_names_of_ours_win() -> None:
    """A payload cannot pose as another event."""
    sent = {"id": 1, "issue_id": 1, "project_id": 1, "received_at": "x", "event_id": "y", "grouping": "z"}
    event = shown(sent)
    assert (event["id"], event["issue_id"], event["project_id"]) == (str(EVENT_ID), 9, 3)
    assert (event["received_at"], event["event_id"]) == ("2024-01-15T14:30:00Z", EVENT_ID.hex)
    assert event["grouping"]["mechanism"] == "anchor@1"


@pytest.mark.parametrize(
    ("sent", "timestamp", "error"),
    [
        (NOW.timestamp() - 0.5, "2024-01-15T14:29:59.5Z", None),
        ("1999-12-31T23:00:00-01:00", "2000-01-01T00:00:00Z", None),
        ("2024-01-15T14:32:00Z", "2024-01-15T14:32:00Z", "future_timestamp"),
        ("yesterday", "2024-01-15T14:30:00Z", "invalid_data"),
        (None, "2024-01-15T14:30:00Z", None),
    ],
)
def test_times(sent: Any, timestamp: str, error: str | None) -> None:
    """The payload's time is kept, even one that is ahead, of which `errors` says so; junk is replaced."""
    event = shown({"timestamp": sent})
    assert event["timestamp"] == timestamp
    assert [entry["type"] for entry in event["errors"]] == ([error] if error else [])


def test_columns_stand_in() -> None:
    """An environment that came as a tag is the event's, and the place of the error its culprit."""
    event = shown(
        {
            "tags": [["environment", "eu"]],
            "stacktrace": {"frames": [{"module": "m", "function": "f", "in_app": True}]},
            "user": {"ip_address": "{{auto}}"},
        },
        remote_addr="192.0.2.1",
        sdk_client="raven-go/0.2",
    )
    assert (event["environment"], event["culprit"]) == ("eu", "m in f")
    assert event["user"] == {"id": None, "email": None, "username": None, "ip_address": "192.0.2.1"}
    assert event["sdk"] == {"name": "raven-go", "version": "0.2"}


def test_names_that_are_none() -> None:
    """A release or environment that cannot be filtered by is shown as sent, and named in `errors`."""
    event = shown({"release": "latest", "environment": "a/b"})
    assert (event["release"], event["environment"]) == ("latest", "a/b")
    assert {entry["name"] for entry in event["errors"]} == {"release", "environment"}


def test_json_that_json_cannot_say() -> None:
    """NaN and infinities are null, lone surrogates U+FFFD, what is too deep a string, and `errors` names each."""
    raw = rb'{"extra":{"nan":NaN,"big":1e400,"text":"\ud800","deep":%b,"n":%b}}' % (
        b"[" * 200 + b"]" * 200,
        b"7" * 5000,
    )
    answer = dumps(event_to_json(stored(raw)))
    assert b'"n":' + b"7" * 5000 in answer
    event = orjson.loads(answer.replace(b"7" * 5000, b"7"))
    extra = event["extra"]
    assert (extra["nan"], extra["big"], extra["text"]) == (None, None, "\ufffd")
    inner = extra["deep"]
    for _ in range(126):
        inner = inner[0]
    assert inner == "[" * 74 + "]" * 74
    assert [entry["name"] for entry in event["errors"]][:3] == ["extra.nan", "extra.big", "extra.text"]
    assert event["errors"][3]["name"].startswith("extra.deep[0]")


@pytest.mark.parametrize("raw", [b"", b"not json \xff", b"[1]", b"7"])
def test_what_cannot_be_read(raw: bytes) -> None:
    """An event whose bytes are no object shows its columns, and says why."""
    event = shown(raw)
    assert (event["type"], event["message"], event["level"]) == ("default", "", "error")
    assert len(event["errors"]) == 1
    assert event["grouping"]["parts"]


def test_a_shed_payload() -> None:
    """Where only columns are left, they are shown under a payload's names, and `payload` is null."""
    sent = {"exception": [{"type": "E", "value": "v"}], "tags": {"a": 1}, "user": {"id": 1}, "transaction": "/buy"}
    event = event_to_json(attrs.evolve(stored(sent), payload=None))
    assert event["payload"] is None
    assert event["exception"] == {"values": [{"type": "E", "value": "v"}]}
    assert (event["type"], event["culprit"], event["tags"]) == ("error", "/buy", {"a": "1"})
    assert event["user"] == {"id": "1", "email": None, "username": None, "ip_address": None}
    assert "shed" in event["grouping"]["summary"]
    assert "payload" not in event_to_json(stored(sent))


def test_a_csp_report() -> None:
    """A report is shown as an event of type ``csp``."""
    report = {"csp-report": {"document-uri": "https://x/y", "effective-directive": "img-src", "blocked-uri": "eval"}}
    event = shown(report, kind=EventKind.CSP, hints=(("release", "1.0"),))
    assert (event["type"], event["message"], event["release"]) == ("csp", "Blocked eval 'img-src'", "1.0")
    assert event["csp"] == report["csp-report"]
    assert event["grouping"]["parts"][0]["value"] == "CSP"


def test_errors_of_the_sdk_come_first() -> None:
    """What an SDK noted itself is kept, and ours follows."""
    event = shown({"errors": [{"type": "js"}], "level": "loud"})
    assert event["errors"][0] == {"type": "js"}
    assert event["errors"][1]["name"] == "level"
    assert [entry["name"] for entry in shown({"errors": "x"})["errors"]] == ["errors"]


NAMES = [
    "exception",
    "message",
    "logentry",
    "tags",
    "user",
    "timestamp",
    "level",
    "release",
    "errors",
    "extra",
    "_meta",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
VALUES = st.recursive(SCALARS, lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(), c), max_leaves=8)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.sampled_from(list(EventKind)))
def test_any_event_can_be_shown(payload: dict[str, Any], kind: EventKind) -> None:
    """Whatever was sent, the answer is valid JSON in UTF-8, and explains its grouping."""
    event = shown(payload, kind=kind)
    assert event["grouping"]["parts"]
    assert event["level"] in {"fatal", "error", "warning", "info", "debug"}


@given(st.binary())
def test_any_bytes_can_be_shown(raw: bytes) -> None:
    """Nothing raises, whatever the bytes."""
    assert shown(raw)["id"] == str(EVENT_ID)
