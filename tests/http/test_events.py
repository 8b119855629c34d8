"""API.md, Events."""

import json
from uuid import UUID

import pytest

from tests.http.conftest import Api, both_backends, envelope, error

pytestmark = both_backends

EVENT_ID = "550e8400-e29b-41d4-a716-446655440000"


def test_events_are_listed_in_the_documented_shape(api: Api) -> None:
    """API.md Events D1: GET /api/issues/{issue_id}/events: id, timestamp, environment, release, user."""
    project = api.project()
    user = {"id": "123", "email": "user@example.com"}
    sent = {"timestamp": "2024-01-15T10:29:00Z", "environment": "production", "release": "1.0.0", "user": user}
    api.send(project, error(), event_id=EVENT_ID.replace("-", ""), **sent)
    row = api.get("/api/issues/1/events").json["data"][0]
    assert row["id"] == EVENT_ID
    assert row["timestamp"] == "2024-01-15T10:29:00Z"
    assert (row["environment"], row["release"]) == ("production", "1.0.0")
    assert row["user"].items() >= user.items()


def test_an_event_is_read_whole(api: Api) -> None:
    """API.md Events D2: GET /api/events/{id}: stack traces, breadcrumbs, tags, context, request data."""
    project = api.project()
    event = api.send(
        project,
        error(),
        breadcrumbs={"values": [{"message": "clicked", "timestamp": 1705314600}]},
        tags={"browser": "Firefox"},
        contexts={"os": {"name": "Linux"}},
        request={"url": "https://shop.test/cart", "method": "POST"},
        extra={"n": 1},
    )
    whole = api.get(f"/api/events/{event}").json
    frame = whole["exception"]["values"][0]["stacktrace"]["frames"][0]
    assert (frame["function"], frame["lineno"]) == ("run", 3)
    assert "clicked" in json.dumps(whole["breadcrumbs"])
    assert "Firefox" in json.dumps(whole["tags"])
    assert whole["contexts"]["os"]["name"] == "Linux"
    assert whole["request"]["url"] == "https://shop.test/cart"
    assert whole["extra"]["n"] == 1


@pytest.mark.parametrize("form", [EVENT_ID, EVENT_ID.upper(), EVENT_ID.replace("-", "")])
def test_the_id_is_the_sdks_own(api: Api, form: str) -> None:
    """API.md Events S1: `id` is the SDK's own, accepted with or without hyphens."""
    api.send(api.project(), error(), event_id=EVENT_ID.replace("-", ""))
    assert api.get(f"/api/events/{form}").json["id"] == EVENT_ID


def test_two_projects_may_hold_the_same_id(api: Api) -> None:
    """API.md Events S1: unique within a project; of several the newest answers, and `?project_id=` chooses."""
    one, two = api.project("one"), api.project("two")
    api.send(one, error(), event_id="5" * 32)
    api.clock.forward(5)
    api.send(two, error(), event_id="5" * 32)
    path = f"/api/events/{UUID('5' * 32)}"
    assert api.get(path).json["project_id"] == 2
    assert api.get(f"{path}?project_id=1").json["project_id"] == 1
    assert api.get(f"{path}?project_id=3").status_code == 404
    assert api.get(f"{path}?project_id={2**60}").status_code == 404
    assert api.get(f"{path}?project_id=one").status_code == 400


def test_a_nil_id_counts_as_none(api: Api) -> None:
    """API.md Events S1: a nil id counts as none."""
    project = api.project()
    event = api.send(project, error(), event_id="0" * 32)
    assert event != "0" * 32
    assert api.get(f"/api/events/{event}").status_code == 200
    assert api.get(f"/api/events/{'0' * 32}").status_code == 404


def test_what_the_sdk_did_not_send_is_null(api: Api) -> None:
    """API.md Events S1: `environment`, `release`, `user` are null when the SDK sent none; newest first."""
    project = api.project()
    api.send(project, error())
    row = api.get("/api/issues/1/events").json["data"][0]
    assert (row["environment"], row["release"], row["user"]) == (None, None, None)
    api.clock.forward(1)
    api.send(project, error(), user={"username": "ann", "ip_address": "10.0.0.1"})
    rows = api.get("/api/issues/1/events").json["data"]
    assert rows[0]["user"] == {"id": None, "email": None, "username": "ann", "ip_address": "10.0.0.1"}
    assert rows[1] == row


def test_the_whole_event_is_the_payload_as_sent(api: Api) -> None:
    """API.md Events S2: the payload as sent, unknown attributes kept; plus issue, project, receipt and `grouping`."""
    project = api.project()
    event = api.send(project, error(), unheard_of={"deep": [1]}, level=["wrong"], server_name="x" * 5000)
    whole = api.get(f"/api/events/{event}").json
    assert whole["unheard_of"] == {"deep": [1]}
    assert whole["server_name"] == "x" * 5000
    assert any("level" in json.dumps(fault) for fault in whole["errors"])
    assert whole["id"] == str(UUID(event))
    assert (whole["issue_id"], whole["project_id"]) == (1, 1)
    assert whole["received_at"] == "2024-01-15T10:30:00Z"
    assert whole["grouping"]


def test_hostile_payloads_come_out_as_valid_json(api: Api) -> None:
    """API.md Events S2: output is valid JSON: NaN is null, lone surrogates U+FFFD, integers of any size exact."""
    project = api.project()
    payload = b"".join(
        [
            b'{"event_id": "' + b"7" * 32 + b'", "extra": {"nan": NaN, "lone": "\\ud800", "nul": "\\u0000", "big": ',
            str(2**70).encode(),
            b', "deep": ',
            b"[" * 200 + b"]" * 200,
            b'}, "message": "bad \xff utf"}',
        ]
    )
    assert api.envelope(project, envelope(payload, event_id="7" * 32)).status_code == 200
    answer = api.get(f"/api/events/{'7' * 32}")
    assert answer.status_code == 200
    whole = json.loads(answer.content.decode("utf-8"), parse_constant=pytest.fail)
    assert whole["extra"]["nan"] is None
    assert whole["extra"]["lone"] == "\ufffd"
    assert whole["extra"]["big"] == 2**70
    assert len(whole["errors"]) >= 3
