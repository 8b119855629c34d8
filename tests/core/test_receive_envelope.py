"""Envelopes received: what is kept, what is counted, and which id is answered."""

import json
import tracemalloc
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.accepted import AcceptedEvent, Count, EventKind, Outcome
from rustrak_core.dsn import Dsn
from rustrak_core.envelope import Envelope, Item
from rustrak_core.errors import (
    BrokenEncodingError,
    CredentialsError,
    MalformedEnvelopeError,
    OverloadError,
    RustrakError,
    TooLargeError,
    UnknownProjectError,
)
from rustrak_core.project import ProjectId
from rustrak_core.receive import Context, EnvelopeReceiver, Limits, Received, refused

ONE = ProjectId(1)
NOW = datetime(2026, 11, 24, 5, 40, tzinfo=UTC)
HEX = "0123456789abcdef0123456789abcdef"
ID = UUID(HEX)
OTHER = "f" * 32
NEW = UUID(int=7)


def receiver(limits: Limits | None = None) -> EnvelopeReceiver:
    return EnvelopeReceiver(
        Context(
            project_id=ONE,
            received_at=NOW,
            limits=limits or Limits(),
            new_id=lambda: NEW,
            remote_addr="192.0.2.1",
            sdk_client="test/1",
        )
    )


def receive(data: bytes, *, step: int | None = None, limits: Limits | None = None) -> Received:
    into = receiver(limits)
    step = step or max(1, len(data))
    for at in range(0, len(data), step):
        into.feed(data[at : at + step])
    return into.finish()


def envelope(*items: tuple[str, Any], headers: dict[str, Any] | None = None, **item_headers: Any) -> bytes:
    return Envelope(
        headers={"event_id": HEX} if headers is None else headers,
        items=[
            Item(
                headers={"type": type_, **item_headers},
                payload=payload if isinstance(payload, bytes) else json.dumps(payload).encode(),
            )
            for type_, payload in items
        ],
    ).serialize()


def counted(received: Received) -> dict[tuple[str, str, str], int]:
    assert all(count.project_id == ONE and count.day == date(2026, 11, 24) for count in received.accepted.counts)
    return {(count.category, count.outcome.value, count.reason): count.quantity for count in received.accepted.counts}


def test_an_event_is_kept_as_sent() -> None:
    """Not a byte of the payload changes, and the request's facts go with it."""
    payload = b'{"message" : "\\ud800", "big": 123456789012345678901234567890 }'
    received = receive(envelope(("event", payload)))
    assert received.event_id == ID
    assert list(received.accepted.events) == [
        AcceptedEvent(
            project_id=ONE,
            event_id=ID,
            received_at=NOW,
            payload=payload,
            kind=EventKind.EVENT,
            remote_addr="192.0.2.1",
            sdk_client="test/1",
        )
    ]
    assert received.accepted.counts == ()


@pytest.mark.parametrize("step", [1, 7, None])
def test_pieces_do_not_matter(step: int | None) -> None:
    """The body may come in any chunks."""
    data = envelope(("attachment", b"\n{}\n"), ("event", {"message": "x"}), ("session", {}))
    assert receive(data, step=step) == receive(data)


@pytest.mark.parametrize(
    ("headers", "payload", "expected"),
    [
        ({"event_id": HEX}, {"event_id": OTHER}, ID),
        ({"event_id": str(ID).upper()}, {}, ID),
        ({"event_id": HEX}, {"event_id": "broken"}, ID),
        ({}, {"event_id": HEX}, ID),
        ({"event_id": None}, {"event_id": f"{{{ID}}}"}, ID),
        ({"event_id": ""}, {"event_id": HEX}, ID),
        ({"event_id": "0" * 32}, {"event_id": HEX}, ID),
        ({"event_id": "0" * 32}, {"event_id": "0" * 32}, NEW),
        ({}, {"event_id": "broken"}, NEW),
        ({}, {"event_id": 7}, NEW),
        ({}, {}, NEW),
    ],
)
def test_which_id_an_event_has(headers: dict[str, Any], payload: dict[str, Any], expected: UUID) -> None:
    """The header's, else the payload's, else a new one; a nil id counts as none."""
    received = receive(envelope(("event", payload), headers=headers))
    assert received.event_id == expected
    assert [event.event_id for event in received.accepted.events] == [expected]


@pytest.mark.parametrize("event_id", ["x", HEX[:-1], 7, [HEX], f"{HEX}\n"])
def test_a_broken_id_in_the_headers_is_refused(event_id: object) -> None:
    """400 that names the field, as soon as the first line is there."""
    into = receiver()
    with pytest.raises(MalformedEnvelopeError, match="event_id"):
        into.feed(json.dumps({"event_id": event_id}).encode() + b"\n")
    with pytest.raises(MalformedEnvelopeError, match="event_id"):
        receive(json.dumps({"event_id": event_id}).encode())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"{}", None),
        (envelope(("session", {}), headers={}), None),
        (envelope(("client_report", {}), ("never heard of", b""), headers={}), None),
        (envelope(("session", {})), ID),
        (envelope(("attachment", b"x")), ID),
        (envelope(("attachment", b"x"), headers={}), NEW),
        (envelope(("transaction", {}), headers={}), NEW),
        (envelope(("event", b"broken")), ID),
    ],
)
def test_which_id_is_answered_without_an_event(data: bytes, expected: UUID | None) -> None:
    """The header's; without one a new one where an item belongs to an event, else none at all."""
    received = receive(data)
    assert received.event_id == expected
    assert received.accepted.events == ()


@pytest.mark.parametrize(
    "payload", [b"", b" ", b"null", b"[]", b'"text"', b"broken", b"{", b'{"message": "cut he', b"}", b"[{}]"]
)
@pytest.mark.parametrize("headers", [{}, {"event_id": HEX}])
def test_an_event_that_is_no_object_costs_itself(payload: bytes, headers: dict[str, Any]) -> None:
    """It is counted invalid and the rest of the envelope is good: 200, nothing stored."""
    received = receive(envelope(("event", payload), ("session", {}), headers=headers))
    assert received.accepted.events == ()
    assert counted(received) == {("error", "invalid", ""): 1, ("session", "discarded", ""): 1}


def test_an_event_that_is_not_json_costs_itself_where_it_must_be_read() -> None:
    """Without an id in the headers the payload is read; with one, that is left to digesting."""
    assert counted(receive(envelope(("event", b"{broken}"), headers={}))) == {("error", "invalid", ""): 1}
    assert len(receive(envelope(("event", b"{broken}"))).accepted.events) == 1


@pytest.mark.parametrize(
    "payload",
    [
        b'{"event_id": "%s", "a": NaN, "b": 1e400}' % HEX.encode(),
        b'{"event_id": "%s", "a": "\\ud800 \\u0000"}' % HEX.encode(),
        b'{"event_id": "%s", "a": "\xff\xfe"}' % HEX.encode(),
        b'{"event_id": "%s", "a": 1%s}' % (HEX.encode(), b"0" * 5000),
        b'{"a": %s1%s, "event_id": "%s"}' % (b"[" * 5000, b"]" * 5000, HEX.encode()),
        b' \n{"event_id": "%s"}\r\n' % HEX.encode(),
        b'\xef\xbb\xbf{"event_id": "%s"}' % HEX.encode(),
        b'{"event_id": "%s", "event_id": "%s"}' % (OTHER.encode(), HEX.encode()),
    ],
)
def test_hostile_payloads_are_kept(payload: bytes) -> None:
    """What SDKs send and strict readers refuse is an event all the same, its id found."""
    received = receive(envelope(("event", payload), headers={}))
    assert received.event_id == ID
    assert [event.payload for event in received.accepted.events] == [payload]


def test_a_second_event_is_invalid() -> None:
    """At most one event an envelope: the first is kept, also where it is broken."""
    received = receive(envelope(("event", {"n": 1}), ("event", {"n": 2}), ("event", {"n": 3})))
    assert [event.payload for event in received.accepted.events] == [b'{"n": 1}']
    assert counted(received) == {("error", "invalid", ""): 2}


@pytest.mark.parametrize(
    ("type_", "category"),
    [
        ("session", "session"),
        ("sessions", "session"),
        ("transaction", "transaction"),
        ("attachment", "attachment"),
        ("user_report", "feedback"),
        ("feedback", "feedback"),
        ("log", "log_item"),
        ("check_in", "monitor"),
        ("replay_event", "replay"),
        ("replay_recording", "replay"),
        ("replay_video", "replay"),
        ("profile", "profile"),
        ("profile_chunk", "profile_chunk"),
        ("span", "span"),
        ("trace_metric", "trace_metric"),
        ("statsd", "metric_bucket"),
        ("metric_buckets", "metric_bucket"),
        ("never heard of", "default"),
        ("", "default"),
    ],
)
def test_telemetry_is_counted_by_category(type_: str, category: str) -> None:
    """What we do not keep is accepted and counted in the words of rate limits."""
    assert counted(receive(envelope((type_, b"\0\n"), (type_, b"")))) == {(category, "discarded", ""): 2}


@pytest.mark.parametrize(
    ("item_count", "quantity"),
    [(5, 5), (1, 1), (0, 1), (-3, 1), ("5", 1), (2.0, 1), (True, 1), (None, 1), (2**63, 1), ([5], 1)],
)
def test_containers_count_their_items(item_count: object, quantity: int) -> None:
    """``item_count`` weighs where it is a sane number."""
    data = envelope(("log", {"items": []}), item_count=item_count)
    assert counted(receive(data)) == {("log_item", "discarded", ""): quantity}


@pytest.mark.parametrize("type_", [None, 7, ["event"], {"event": 1}])
def test_an_odd_type_is_an_unknown_one(type_: object) -> None:
    """An item whose type is no text is counted like any unknown item."""
    data = json.dumps({}).encode() + b"\n" + json.dumps({"type": type_}).encode() + b"\n{}"
    assert counted(receive(data)) == {("default", "discarded", ""): 1}


def report(*entries: Any) -> bytes:
    return envelope(("client_report", {"timestamp": 1, "discarded_events": list(entries)}), headers={})


def test_client_reports_are_counted() -> None:
    """What SDKs say they dropped, by reason and category, summed."""
    data = report(
        {"reason": "before_send", "category": "error", "quantity": 2},
        {"reason": "before_send", "category": "error", "quantity": 3},
        {"reason": "sample_rate", "category": "transaction", "quantity": 1},
    )
    assert counted(receive(data)) == {
        ("error", "sdk_dropped", "before_send"): 5,
        ("transaction", "sdk_dropped", "sample_rate"): 1,
    }


@pytest.mark.parametrize(
    "entry",
    [
        None,
        7,
        [],
        {},
        {"reason": "r", "category": "c"},
        {"reason": "r", "category": "c", "quantity": 0},
        {"reason": "r", "category": "c", "quantity": -1},
        {"reason": "r", "category": "c", "quantity": 2**31 + 1},
        {"reason": "r", "category": "c", "quantity": "5"},
        {"reason": "r", "category": "c", "quantity": 1.0},
        {"reason": "r", "category": "c", "quantity": True},
        {"reason": 7, "category": "c", "quantity": 1},
        {"reason": "r", "category": None, "quantity": 1},
        {"reason": "", "category": "c", "quantity": 1},
    ],
)
def test_a_broken_entry_costs_itself(entry: Any) -> None:
    """Entries that are no counts are ignored, those beside them counted."""
    good = {"reason": "r", "category": "c", "quantity": 4}
    assert counted(receive(report(entry, good))) == {("c", "sdk_dropped", "r"): 4}


@pytest.mark.parametrize(
    "payload", [b"", b"broken", b"[]", b"7", b'{"discarded_events": 7}', b'{"discarded_events": {}}', b"[" * 5000]
)
def test_a_broken_client_report_is_ignored(payload: bytes) -> None:
    """200, and nothing is counted."""
    assert receive(envelope(("client_report", payload), headers={})) == Received(accepted=receive(b"{}").accepted)


def test_client_reports_are_bounded() -> None:
    """Neither texts nor rows nor sums nor bytes grow without end, and nothing in them can harm a database."""
    rows = [{"reason": f"r{n}", "category": "c", "quantity": 1} for n in range(300)]
    assert len(counted(receive(report(*rows)))) == 100
    many = envelope(*[("client_report", {"discarded_events": [row]}) for row in rows], headers={})
    assert len(counted(receive(many))) == 100
    odd = {"reason": "x" * 100, "category": "a\0\ud800b", "quantity": 1}
    assert counted(receive(report(odd))) == {("a??b", "sdk_dropped", "x" * 64): 1}
    huge = {"reason": "r", "category": "c", "quantity": 2**31}
    assert counted(receive(report(huge, huge))) == {("c", "sdk_dropped", "r"): 2**31}
    assert counted(receive(report({"reason": "r", "category": "c", "quantity": 1, "padding": "x" * 20_000}))) == {}


def test_an_event_over_its_limit_refuses_it_all() -> None:
    """413, also where the event has no length, and as soon as the limit is passed."""
    limits = Limits(event_bytes=100)
    good = b'{"a":"' + b"x" * 92 + b'"}'
    assert len(receive(envelope(("event", good)), limits=limits).accepted.events) == 1
    for data in (envelope(("event", good + b" ")), b'{}\n{"type":"event"}\n' + good + b" \n"):
        with pytest.raises(TooLargeError) as refusal:
            receive(data, limits=limits)
        assert refusal.value.status_hint == 413
    into = receiver(limits)
    into.feed(b'{}\n{"type":"event","length":1000000}\n')
    with pytest.raises(TooLargeError):
        into.feed(b"x" * 101)


def test_other_items_have_no_limit_of_their_own() -> None:
    """A large attachment, or a second event that is not kept anyway, loses no event."""
    big = b"x" * 1000
    data = envelope(("attachment", big), ("event", {}), ("event", big))
    received = receive(data, limits=Limits(event_bytes=100))
    assert len(received.accepted.events) == 1


def test_limits_hold() -> None:
    """More than 1,000 items, or a header line over 64 KiB, is 413."""
    assert counted(receive(b"{}\n" + b'{"type":"session"}\n{}\n' * 1000)) == {("session", "discarded", ""): 1000}
    with pytest.raises(TooLargeError, match="1000 items"):
        receive(b"{}\n" + b'{"type":"session"}\n{}\n' * 1001)
    with pytest.raises(TooLargeError, match="header line"):
        receive(b'{"a":"' + b"x" * 65536)


def test_a_broken_frame_refuses_it_all() -> None:
    """400, also where an event stood before the broken item."""
    with pytest.raises(MalformedEnvelopeError):
        receive(envelope(("event", {})) + b"broken\n")


def test_the_dsn_is_there_with_the_first_line() -> None:
    """So that credentials are checked before the rest of the body is read."""
    into = receiver()
    into.feed(b'{"dsn": "https://%s@h/1"' % HEX.encode())
    assert (into.header_done, into.dsn) == (False, None)
    into.feed(b"}\n")
    assert (into.header_done, into.dsn) == (True, Dsn.parse(f"https://{HEX}@h/1"))


@pytest.mark.parametrize("header", [b"{}", b'{"dsn": null}'])
def test_no_dsn(header: bytes) -> None:
    """Most envelopes name none."""
    into = receiver()
    into.feed(header + b"\n")
    assert into.dsn is None


@pytest.mark.parametrize("dsn", ["", "x", 7, ["x"], {}, "https://key@h/1", f"https://{HEX}@h/project"])
def test_a_malformed_dsn_is_401(dsn: object) -> None:
    """Credentials that are none, wherever they stand; an embedder, who has no use for them, is not disturbed."""
    data = json.dumps({"dsn": dsn}).encode() + b'\n{"type":"event"}\n{}'
    into = receiver()
    into.feed(data)
    with pytest.raises(CredentialsError) as refusal:
        _ = into.dsn
    assert refusal.value.status_hint == 401
    assert HEX not in str(refusal.value)
    assert len(into.finish().accepted.events) == 1


def test_a_large_envelope_costs_no_memory() -> None:
    """Only the event is held while 64 MiB of attachments go by."""
    into = receiver()
    tracemalloc.start()
    try:
        into.feed(b'{}\n{"type":"event"}\n{}\n{"type":"attachment","length":67108864}\n')
        for _ in range(1024):
            into.feed(bytes(65536))
        received = into.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert counted(received) == {("attachment", "discarded", ""): 1}
    assert peak < 1024 * 1024


SCRAPS = st.sampled_from(
    [
        b"{}",
        b"\n",
        b'{"type":"event"}\n',
        b'{"type":"event","length":2}\n{}\n',
        b'{"type":"client_report"}\n',
        b'{"discarded_events":[{"reason":"r","category":"c","quantity":1}]}\n',
        b'{"event_id":"' + HEX.encode() + b'"}\n',
        b'{"type":"session","item_count":3}\n',
        b"[]\n",
        b"\xff",
    ]
)


@given(st.binary() | st.lists(SCRAPS, max_size=10).map(b"".join), st.integers(1, 30))
def test_any_bytes_are_received_or_our_error(data: bytes, step: int) -> None:
    """Whole or in pieces, any bytes come to the same, and never to an error that is not ours."""

    def outcome(step: int | None) -> object:
        try:
            return receive(data, step=step)
        except (MalformedEnvelopeError, TooLargeError) as error:
            return type(error), str(error)

    assert outcome(step) == outcome(None)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (TooLargeError("x", limit=1), Outcome.TOO_LARGE),
        (MalformedEnvelopeError("x", offset=1), Outcome.INVALID),
        (BrokenEncodingError("x"), Outcome.INVALID),
        (OverloadError("x", retry_after_s=1, reason="spool_full"), None),
        (UnknownProjectError("x"), None),
    ],
)
def test_refusals_are_counted(error: RustrakError, outcome: Outcome | None) -> None:
    """A request refused for what it held is one event lost; other errors say nothing of events."""
    accepted = refused(error, project_id=ONE, received_at=NOW)
    if outcome is None:
        assert accepted is None
    else:
        assert accepted is not None
        assert list(accepted.counts) == [Count(project_id=ONE, day=NOW.date(), category="error", outcome=outcome)]
