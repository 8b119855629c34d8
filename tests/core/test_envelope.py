"""The envelope's framing, rule by rule, and read in any pieces."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.envelope import Envelope, EnvelopeReader, Item, Keep, ReadItem
from rustrak_core.errors import MalformedEnvelopeError, RustrakError, TooLargeError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
JSON = (
    st.sampled_from([None, True, 7, -(2**70), 1.5, "", "\n", "\0", [], [1, ["\u2028"]], {}, {"a": {"b": "\r\n"}}])
    | TEXT
)
HEADERS = st.dictionaries(TEXT, JSON, max_size=3)
ITEMS = st.builds(
    lambda headers, kind, payload: Item(headers={**headers, "type": kind}, payload=payload),
    HEADERS,
    st.sampled_from(["event", "attachment", "session", "never heard of"]),
    st.binary(max_size=60) | st.sampled_from([b"", b"\n", b"\r\n", b'\n{"type":"event"}\n{}\n']),
)
ENVELOPES = st.builds(
    lambda headers, items: Envelope(headers=headers, items=items), HEADERS, st.lists(ITEMS, max_size=4)
)
SCRAPS = st.lists(
    st.sampled_from(
        [
            b"{}",
            b"\n",
            b"\r\n",
            b'{"type":"event"}',
            b'{"type":"event","length":2}',
            b'{"type":"attachment","length":0}',
            b'{"length":7}',
            b'{"length":null}',
            b" ",
            b"[]",
            b"\xff",
            b"abc",
        ]
    ),
    max_size=12,
).map(b"".join)


def reader(limit: int = 1000, **kwargs: int) -> EnvelopeReader:
    return EnvelopeReader(lambda _: Keep(limit_bytes=limit), **kwargs)


def read(data: bytes, step: int | None = None, into: EnvelopeReader | None = None) -> list[ReadItem]:
    into = into or reader()
    step = step or max(1, len(data))
    items = [item for at in range(0, len(data), step) for item in into.feed(data[at : at + step])]
    return [*items, *into.finish()]


def payloads(data: bytes) -> list[tuple[Any, bytes]]:
    """What whole and byte-wise reading give, which must be the same."""
    items = [(item.headers.get("type"), item.payload) for item in read(data)]
    assert items == [(item.headers.get("type"), item.payload) for item in read(data, 1)]
    return [(type_, payload) for type_, payload in items if payload is not None]


@given(ENVELOPES)
def test_what_is_written_is_read_back(envelope: Envelope) -> None:
    """Serializing and parsing are inverse for any headers and any bytes."""
    assert Envelope.parse(envelope.serialize()) == envelope


@given(ENVELOPES, st.integers(1, 50))
def test_pieces_do_not_matter(envelope: Envelope, step: int) -> None:
    """However the bytes are cut, the same items come out."""
    data = envelope.serialize()
    assert read(data, step) == read(data)


@given(ENVELOPES, st.data())
def test_an_envelope_cut_short_is_never_taken_for_whole(envelope: Envelope, data: st.DataObject) -> None:
    """Every prefix is refused, or holds the first items unchanged."""
    whole = envelope.serialize()
    cut = data.draw(st.integers(0, len(whole) - 1))
    try:
        part = Envelope.parse(whole[:cut])
    except MalformedEnvelopeError:
        return
    assert part.headers == envelope.headers
    assert list(part.items) == list(envelope.items)[: len(part.items)]


@given(st.binary() | SCRAPS, st.integers(1, 20))
def test_any_bytes_are_an_envelope_or_our_error(data: bytes, step: int) -> None:
    """Whole or in pieces, any bytes give the same items or the same error."""

    def outcome(step: int | None) -> object:
        into = reader()
        try:
            return read(data, step, into), into.headers
        except RustrakError as error:
            return type(error), str(error)

    whole = outcome(None)
    assert outcome(step) == whole
    assert outcome(1) == whole


@given(SCRAPS)
def test_what_parses_is_stable(data: bytes) -> None:
    """What was read, written again, is read the same."""
    try:
        envelope = Envelope.parse(data)
    except MalformedEnvelopeError:
        return
    assert Envelope.parse(envelope.serialize()) == envelope


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"{}", [], id="header-only"),
        pytest.param(b"{}\n", [], id="header-and-newline"),
        pytest.param(b'{}\n{"type":"event"}\n{"a":1}', [("event", b'{"a":1}')], id="no-length-to-the-end"),
        pytest.param(b'{}\n{"type":"event"}\n{"a":1}\n', [("event", b'{"a":1}')], id="no-length-to-the-newline"),
        pytest.param(
            b'{}\n{"type":"event"}\n{}\r\n', [("event", b"{}\r")], id="cr-belongs-to-a-payload-without-length"
        ),
        pytest.param(b'{}\n{"type":"event","length":2}\n{}', [("event", b"{}")], id="length-to-the-end"),
        pytest.param(b'{}\n{"type":"event","length":2}\n{}\n', [("event", b"{}")], id="length-and-newline"),
        pytest.param(b'{}\n{"type":"event","length":null}\n{}\n', [("event", b"{}")], id="null-length-is-none"),
        pytest.param(
            b'{}\n{"type":"a","length":0}\n\n{"type":"b","length":0}\n', [("a", b""), ("b", b"")], id="empty-payloads"
        ),
        pytest.param(b'{}\n{"type":"a","length":0}', [("a", b"")], id="empty-payload-ends-at-its-header"),
        pytest.param(b'{}\n{"type":"a"}', [("a", b"")], id="empty-payload-without-length-ends-at-its-header"),
        pytest.param(b'{}\n{"type":"a"}\n', [("a", b"")], id="empty-payload-without-length-ends-at-the-newline"),
        pytest.param(b'{}\n{"type":"a"}\n\n{"type":"b"}\n1', [("a", b""), ("b", b"1")], id="empty-payload-between"),
        pytest.param(
            b'{}\n{"type":"attachment","length":22}\n\n{"type":"event"}\n{}\n\n\n{"type":"event","length":2}\n{}',
            [("attachment", b'\n{"type":"event"}\n{}\n\n'), ("event", b"{}")],
            id="payloads-are-not-scanned",
        ),
        pytest.param(
            b'{}\n{"type":"x","length":1}\n1\n{"type":"y"}\n2\n{"type":"event"}\n{}',
            [("x", b"1"), ("y", b"2"), ("event", b"{}")],
            id="unknown-items-with-and-without-length",
        ),
        pytest.param(b' { "a" : [ 1 ] } \n { "type" : "a" } \n1', [("a", b"1")], id="whitespace-in-headers"),
        pytest.param(b'{}\r\n{"type":"a"}\r\n1', [("a", b"1")], id="crlf-after-headers"),
        pytest.param(b'\xef\xbb\xbf{}\n{"type":"a"}\n1', [("a", b"1")], id="byte-order-mark"),
        pytest.param(b'{}\n{"type":"a"}\n1\n\n\r\n \n', [("a", b"1")], id="blank-lines-at-the-end"),
        pytest.param(b"{}\n{}\n1", [(None, b"1")], id="no-type"),
        pytest.param(b'{}\n{"type":7,"length":1}\n1', [(7, b"1")], id="odd-type"),
    ],
)
def test_good_framing(data: bytes, expected: list[tuple[Any, bytes]]) -> None:
    """SDK.md section 2: what must be understood, and what is let through since it harms nobody."""
    assert payloads(data) == expected


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        pytest.param(b"", 0, id="empty"),
        pytest.param(b"\n", 0, id="lone-newline"),
        pytest.param(b"garbage", 0, id="no-json"),
        pytest.param(b"[]\n", 0, id="array"),
        pytest.param(b"7", 0, id="number"),
        pytest.param(b"\n{}\n", 0, id="newline-first"),
        pytest.param(b"{", 0, id="half-a-header"),
        pytest.param(b"[" * 1000, 0, id="deep-header"),
        pytest.param(b"{}\nx\n{}", 3, id="item-header-no-json"),
        pytest.param(b"{}\n[]\n{}", 3, id="item-header-array"),
        pytest.param(b'{}\n{"type":"event"}\n{}\nbroken', 23, id="broken-behind-a-good-event"),
        pytest.param(b'{}\n\n{"type":"event"}\n{}', 3, id="blank-line-before-an-item"),
        pytest.param(b'{}\n{"type":"a"}\n1\n\n{"type":"b"}\n1', 18, id="blank-line-between-items"),
        pytest.param(b'{}\n{"type":"a","length":3}\n12', 29, id="too-few-bytes"),
        pytest.param(b'{}\n{"type":"a","length":3}', 26, id="no-bytes"),
        pytest.param(b'{}\n{"type":"a","length":1}\n1 \n', 28, id="space-after-the-payload"),
        pytest.param(b'{}\n{"type":"a","length":1}\n1\r\n', 28, id="cr-after-the-payload"),
        pytest.param(b'{}\n{"type":"a","length":1}\n12', 28, id="too-many-bytes"),
        pytest.param(b'{}\n{"type":"a","length":-1}\n1', 3, id="length-minus-one"),
        pytest.param(b'{}\n{"type":"a","length":9223372036854775808}\n1', 3, id="length-2-63"),
        pytest.param(b'{}\n{"type":"a","length":1%s}\n1' % (b"0" * 5000), 3, id="length-of-5000-digits"),
        pytest.param(b'{}\n{"type":"a","length":"1"}\n1', 3, id="length-is-text"),
        pytest.param(b'{}\n{"type":"a","length":1.0}\n1', 3, id="length-is-a-float"),
        pytest.param(b'{}\n{"type":"a","length":true}\n1', 3, id="length-is-a-boolean"),
        pytest.param(b'{}\n{"type":"a","length":NaN}\n1', 3, id="length-is-nan"),
        pytest.param(b'{}\n{"type":"a","length":1099511627776}\n1', 40, id="a-terabyte-that-is-not-there"),
    ],
)
def test_broken_framing(data: bytes, offset: int) -> None:
    """SDK.md section 2: 400, and the error tells where; no length makes us allocate."""
    for step in (None, 1, 3):
        with pytest.raises(MalformedEnvelopeError) as refusal:
            read(data, step)
        assert refusal.value.status_hint == 400
        assert refusal.value.offset == offset


def test_headers_come_as_soon_as_their_line_is_there() -> None:
    """The DSN in the first line can be checked before the rest of the body has come."""
    into = reader()
    into.feed(b'{"dsn": "x"')
    assert into.headers is None
    into.feed(b"}\n")
    assert into.headers == {"dsn": "x"}


def test_header_lines_are_bounded() -> None:
    """A header line at the limit is read, a longer one refused as soon as it is, newline or not."""
    line = b'{"a":"' + b"x" * 92 + b'"}'
    assert len(line) == 100
    assert len(read(line + b"\n" + line + b"\n{}", into=reader(header_bytes=100))) == 1
    for data in (line + b" ", line + b" \n", line + b"\n" + line + b" \n{}"):
        for step in (None, 1):
            with pytest.raises(TooLargeError) as refusal:
                read(data, step, reader(header_bytes=100))
            assert refusal.value.status_hint == 413


def test_items_are_bounded() -> None:
    """As many items as allowed are read, one more is 413."""
    assert len(read(b"{}\n" + b"{}\n1\n" * 5, into=reader(max_items=5))) == 5
    for data in (b"{}\n" + b"{}\n1\n" * 6, b"{}\n" + b"{}\n1\n" * 5 + b"{}"):
        with pytest.raises(TooLargeError, match="5 items"):
            read(data, into=reader(max_items=5))


@pytest.mark.parametrize("length", [b"", b',"length":101'])
@pytest.mark.parametrize("step", [None, 1, 60])
def test_a_payload_over_its_limit_is_refused_or_dropped(length: bytes, step: int | None) -> None:
    """What `Keep` says, with and without a length; the length is counted even where nothing is kept."""
    data = b'{}\n{"type":"a"%s}\n%s\n{"type":"b"}\n1' % (length, b"x" * 101)
    dropped = read(data, step, reader(limit=100))
    assert [(item.payload, item.length_bytes) for item in dropped] == [(None, 101), (b"1", 1)]
    assert [item.length_bytes for item in read(data, step, EnvelopeReader(lambda _: None))] == [101, 1]
    with pytest.raises(TooLargeError, match="the thing is over its limit of 100 bytes"):
        read(data, step, EnvelopeReader(lambda _: Keep(limit_bytes=100, refuse_as="the thing")))
    kept = read(data, step, EnvelopeReader(lambda _: Keep(limit_bytes=101, refuse_as="the thing")))
    assert [item.payload for item in kept] == [b"x" * 101, b"1"]


def test_what_is_dropped_costs_no_memory() -> None:
    """An attachment of any size goes by without being held."""

    def chunks() -> Iterator[bytes]:
        yield b'{}\n{"type":"attachment","length":67108864}\n'
        piece = bytes(65536)
        for _ in range(1024):
            yield piece

    into = EnvelopeReader(lambda _: None)
    tracemalloc.start()
    try:
        for chunk in chunks():
            assert into.feed(chunk) == []
        [item] = into.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert item.length_bytes == 64 * 1024 * 1024
    assert peak < 1024 * 1024


def test_an_item_is_a_value() -> None:
    """The length belongs to the framing, so that an item made by hand equals the one that was read."""
    item = Item(headers={"type": "event", "length": 99}, payload=b"{}")
    assert item.headers == {"type": "event"}
    assert item.type == "event"
    assert Item(headers={"type": 7}).type == ""
    assert Envelope(headers={}, items=[item]).serialize() == b'{}\n{"type":"event","length":2}\n{}\n'
