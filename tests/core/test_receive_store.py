"""``/store/``: one event without an envelope, in the forms that older SDKs send."""

import base64
import json
import zlib
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.accepted import EventKind, Outcome
from rustrak_core.errors import MalformedEventError, TooLargeError
from rustrak_core.project import ProjectId
from rustrak_core.receive import Context, Limits, Received, receive_store

HEX = "0123456789abcdef0123456789abcdef"
ID = UUID(HEX)
NEW = UUID(int=7)
EVENT = b'{"event_id": "%s", "message": "it broke", "n": 1}' % HEX.encode()


def receive(body: bytes, *, event_bytes: int = 1024 * 1024) -> Received:
    return receive_store(
        body,
        Context(
            project_id=ProjectId(1),
            received_at=datetime(2026, 11, 24, tzinfo=UTC),
            limits=Limits(event_bytes=event_bytes),
            new_id=lambda: NEW,
            remote_addr="192.0.2.1",
            sdk_client="raven/6",
        ),
    )


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (EVENT, EVENT),
        (b" \n" + EVENT, b" \n" + EVENT),
        (base64.b64encode(EVENT), EVENT),
        (base64.b64encode(zlib.compress(EVENT)), EVENT),
        (base64.encodebytes(zlib.compress(EVENT)), EVENT),
        (b"\n" + base64.b64encode(zlib.compress(EVENT)) + b"\r\n", EVENT),
    ],
)
def test_forms(body: bytes, payload: bytes) -> None:
    """JSON, base64 of it, and base64 of zlib of it: the JSON is kept as it was sent."""
    received = receive(body)
    [event] = received.accepted.events
    assert received.event_id == event.event_id == ID
    assert event.payload == payload
    assert (event.kind, event.remote_addr, event.sdk_client) == (EventKind.EVENT, "192.0.2.1", "raven/6")
    assert received.accepted.counts == ()


@pytest.mark.parametrize(
    "body", [b"{}", b'{"event_id": null}', b'{"event_id": ""}', b'{"event_id": "%s"}' % (b"0" * 32)]
)
def test_an_event_without_an_id_gets_one(body: bytes) -> None:
    """Neither stored nor answered without; a nil id counts as none."""
    received = receive(body)
    assert received.event_id == received.accepted.events[0].event_id == NEW


@pytest.mark.parametrize("event_id", ["x", HEX[:-1], 7, [], {}, True])
def test_a_broken_id_is_refused(event_id: Any) -> None:
    """400 that names the field."""
    with pytest.raises(MalformedEventError, match="event_id") as refusal:
        receive(json.dumps({"event_id": event_id}).encode())
    assert refusal.value.status_hint == 400


def test_a_transaction_is_counted_only() -> None:
    """Its id is answered, and nothing kept."""
    received = receive(b'{"type": "transaction", "event_id": "%s"}' % HEX.encode())
    assert received.event_id == ID
    assert received.accepted.events == ()
    [count] = received.accepted.counts
    assert (count.category, count.outcome, count.quantity) == ("transaction", Outcome.DISCARDED, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"7",
        b"{",
        b"{broken}",
        b"garbage!",
        b"AAAA",
        base64.b64encode(b"[]"),
        base64.b64encode(b"{broken}"),
        base64.b64encode(zlib.compress(b"[]")),
        base64.b64encode(zlib.compress(EVENT)[:-1]),
        base64.b64encode(zlib.compress(EVENT)[1:]),
        base64.b64encode(zlib.compress(EVENT))[:-3],
        b"\xff\xfe",
    ],
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    """400: there is nothing else in the request that could be good."""
    with pytest.raises(MalformedEventError) as refusal:
        receive(body)
    assert refusal.value.status_hint == 400


@pytest.mark.parametrize(
    "text",
    [
        b"NaN",
        b"1e400",
        b'"\\ud800\\u0000"',
        b'"\xff"',
        b"1" + b"0" * 5000,
        b"[" * 5000 + b"]" * 5000,
        b"123456789012345678901",
    ],
)
def test_hostile_json_is_kept(text: bytes) -> None:
    """What SDKs send and strict readers refuse is an event all the same."""
    body = b'{"extra": %s, "event_id": "%s"}' % (text, HEX.encode())
    received = receive(body)
    assert received.event_id == ID
    assert received.accepted.events[0].payload == body


def wrapped(event: bytes) -> list[bytes]:
    return [event, base64.b64encode(event), base64.b64encode(zlib.compress(event))]


def test_the_limit_holds_for_the_json_in_each_form() -> None:
    """At the limit it is taken, one byte more is 413."""
    for body in wrapped(EVENT):
        assert receive(body, event_bytes=len(EVENT)).event_id == ID
        with pytest.raises(TooLargeError, match="the event is over its limit") as refusal:
            receive(body, event_bytes=len(EVENT) - 1)
        assert refusal.value.status_hint == 413


def test_a_bomb_is_too_large() -> None:
    """Zeros without end, compressed, are 413 and not memory."""
    with pytest.raises(TooLargeError):
        receive(base64.b64encode(zlib.compress(b'{"a": "' + bytes(8 * 1024 * 1024))))


@given(st.binary() | st.text().map(str.encode) | st.binary().map(base64.b64encode))
def test_any_bytes_are_received_or_our_error(body: bytes) -> None:
    """No body raises anything but our errors."""
    with suppress(MalformedEventError, TooLargeError):
        assert receive(body).event_id is not None


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4))
def test_any_object_is_an_event(event: dict[str, Any]) -> None:
    """Every attribute may be missing or odd, in every form."""
    event.pop("event_id", None)
    event.pop("type", None)
    for body in wrapped(json.dumps(event).encode()):
        assert len(receive(body).accepted.events) == 1
