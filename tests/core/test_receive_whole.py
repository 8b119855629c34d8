"""Plain envelopes read at once: what is made of them is what the receiver for all envelopes makes."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.errors import RustrakError
from rustrak_core.project import ProjectId
from rustrak_core.receive import Context, EnvelopeReceiver, Limits, Received, WholeEnvelope, receive_whole

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HEX = "0123456789abcdef0123456789abcdef"
LIMITS = Limits(event_bytes=60, header_bytes=100)

headers = st.sampled_from(
    [
        b'{"event_id":"%s"}' % HEX.encode(),
        b'{"event_id":"%s","dsn":"http://%s@h/1"}' % (HEX.encode(), HEX.encode()),
        b'{"event_id":"%s","dsn":7}' % HEX.upper().encode(),
        b'\xef\xbb\xbf{"event_id":"%s"}' % HEX.encode(),
        b'{"event_id":"%s"}' % (b"0" * 32),
        b'{"event_id":"01234567-89ab-cdef-0123-456789abcdef"}',
        b'{"event_id":7}',
        b'{"event_id":"%s","x":"%s"}' % (HEX.encode(), b"y" * 100),
        b"{}",
        b"[]",
        b"",
        b"nonsense",
    ]
)
payloads = st.sampled_from([b"{}", b'{"a":1}', b'{"a":"\n"}', b"[1]", b"", b" {}", b"{" + b" " * 70 + b"}", b"\xff"])
types = st.sampled_from([b'"event"', b'"event"', b'"session"', b"7", b"null"])
lengths = st.one_of(st.none(), st.sampled_from([b"null", b"true", b"2.0", b'"2"', b"-1", b"1e3"]), st.just(b"right"))
ends = st.sampled_from([b"", b"\n", b"\n\n", b"\n{}", b"x", b'\n{"type":"event"}\n{}', b"\r\n"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    payload, length = draw(payloads), draw(lengths)
    item = b'{"type":' + draw(types)
    if length is not None:
        item += b',"length":' + (b"%d" % len(payload) if length == b"right" else length)
    return b"\n".join([draw(headers), item + b"}" + draw(st.sampled_from([b"", b"\r"])), payload + draw(ends)])


def context(limits: Limits) -> Context:
    return Context(
        project_id=ProjectId(1),
        received_at=NOW,
        limits=limits,
        new_id=lambda: UUID(int=7),
        remote_addr="192.0.2.1",
        sdk_client="test/1",
    )


def whole(body: bytes, limits: Limits = LIMITS) -> WholeEnvelope | None:
    return receive_whole(body, context(limits))


def piecewise(body: bytes, limits: Limits = LIMITS) -> tuple[Received, object]:
    receiver = EnvelopeReceiver(context(limits))
    receiver.feed(body)
    received = receiver.finish()
    return received, receiver._reader.headers.get("dsn")  # type: ignore[union-attr]


def agree(body: bytes) -> bool:
    found = whole(body)
    if found is None:
        return False
    assert (found.received, found.dsn) == piecewise(body)
    return True


@given(bodies())
def test_both_make_the_same_of_envelopes(body: bytes) -> None:
    """What it returns is what `EnvelopeReceiver` returns; where that refuses, it returns nothing."""
    agree(body)


@given(bodies(), st.data())
def test_also_where_bytes_were_changed(body: bytes, data: st.DataObject) -> None:
    """Cut or changed anywhere, an envelope is the same to both."""
    at = data.draw(st.integers(0, len(body)))
    agree(body[:at] + data.draw(st.sampled_from([b"", b"\n", b"{", b"\x00", b'"'])) + body[at + 1 :])


@given(st.binary(max_size=80))
def test_any_bytes_are_survived(body: bytes) -> None:
    """It raises nothing."""
    agree(body)


@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_envelopes_like_most_are_taken(sized: bool, end: bytes) -> None:
    """One event whose id the headers name, with its length or without."""
    payload = json.dumps({"event_id": HEX}).encode()
    item = b'{"type":"event","length":%d}' % len(payload) if sized else b'{"type":"event"}'
    assert agree(b'{"event_id":"%s"}\n%s\n%s%s' % (HEX.encode(), item, payload, end))


def test_limits_are_left_to_the_other() -> None:
    """An event over its limit is not taken; the receiver says what is wrong."""
    body = b'{"event_id":"%s"}\n{"type":"event"}\n{%s}' % (HEX.encode(), b" " * 70)
    assert whole(body) is None
    with pytest.raises(RustrakError, match="event item"):
        piecewise(body)
