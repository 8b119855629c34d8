"""``/security/``: what browsers report on their own."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.accepted import EventKind
from rustrak_core.errors import MalformedEventError, TooLargeError
from rustrak_core.project import ProjectId
from rustrak_core.receive import Context, Limits, Received, receive_security

HINTS = (("release", "1.0"), ("environment", "production"))
CSP = {"csp-report": {"document-uri": "https://example.org/", "violated-directive": "img-src"}}


def violation(n: int = 1) -> dict[str, Any]:
    return {"type": "csp-violation", "age": n, "url": "https://example.org/", "body": {"effectiveDirective": "img-src"}}


def receive(body: Any, *, limits: Limits | None = None) -> Received:
    ids = iter(range(1, 1000))
    return receive_security(
        body if isinstance(body, bytes) else json.dumps(body).encode(),
        Context(
            project_id=ProjectId(1),
            received_at=datetime(2026, 11, 24, tzinfo=UTC),
            limits=limits or Limits(),
            new_id=lambda: UUID(int=next(ids)),
            remote_addr="192.0.2.1",
            hints=HINTS,
        ),
    )


def counted(received: Received) -> dict[tuple[str, str], int]:
    return {(count.category, count.outcome.value): count.quantity for count in received.accepted.counts}


@pytest.mark.parametrize("report", [CSP, violation()])
def test_a_report_is_an_event(report: dict[str, Any]) -> None:
    """It is kept as sent, with what the query said beside it; the answer names no id."""
    body = json.dumps(report, indent=1).encode()
    received = receive(body)
    assert received.event_id is None
    assert received.accepted.counts == ()
    [event] = received.accepted.events
    assert event.kind is EventKind.CSP
    assert event.payload == body
    assert event.hints == HINTS
    assert event.remote_addr == "192.0.2.1"


def test_a_list_of_reports() -> None:
    """The Reporting API sends several at once: each violation is an event of its own, other kinds are counted."""
    others = [{"type": "deprecation", "body": {}}, {"type": "csp-violation", "body": 7}, {"type": ["odd"]}]
    received = receive([violation(1), *others, violation(2)])
    assert [json.loads(event.payload) for event in received.accepted.events] == [violation(1), violation(2)]
    assert len({event.event_id for event in received.accepted.events}) == 2
    assert counted(received) == {("security", "discarded"): 2, ("security", "invalid"): 1}


def test_an_empty_list_is_fine() -> None:
    """Nothing happened, and nothing is wrong."""
    assert receive([]).accepted.events == ()


@pytest.mark.parametrize(
    "report",
    [
        {"expect-ct-report": {}},
        {"expect-staple-report": {}},
        {"known-pins": [], "hostname": "example.org"},
    ],
)
def test_other_reports_are_counted(report: dict[str, Any]) -> None:
    """Kinds that browsers no longer send, or that are no violations of a policy."""
    received = receive(report)
    assert received.accepted.events == ()
    assert counted(received) == {("security", "discarded"): 1}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"broken",
        b"7",
        b"null",
        b'"x"',
        b"{}",
        {"csp-report": None},
        {"csp-report": []},
        {"type": "csp-violation"},
        {"message": "x"},
        [violation(), 7],
        [[violation()]],
        b"[" * 5000,
    ],
)
def test_what_is_no_report_is_refused(body: Any) -> None:
    """400, and nothing of it is kept."""
    with pytest.raises(MalformedEventError) as refusal:
        receive(body)
    assert refusal.value.status_hint == 400


def test_limits_hold() -> None:
    """More than 100 reports, or more bytes than an event may have, is 413."""
    assert len(receive([violation()] * 100).accepted.events) == 100
    with pytest.raises(TooLargeError, match="100 reports"):
        receive([violation()] * 101)
    size = len(json.dumps(CSP))
    assert len(receive(CSP, limits=Limits(event_bytes=size)).accepted.events) == 1
    with pytest.raises(TooLargeError):
        receive(CSP, limits=Limits(event_bytes=size - 1))


SCRAPS = st.sampled_from(
    [None, 7, "csp-violation", [], {}, CSP, violation(), {"type": "csp-violation"}, {"csp-report": 1}]
)


@given(st.binary() | (SCRAPS | st.lists(SCRAPS, max_size=4)).map(json.dumps).map(str.encode))
def test_any_bytes_are_received_or_our_error(body: bytes) -> None:
    """No body raises anything but our errors."""
    with suppress(MalformedEventError, TooLargeError):
        receive(body)
