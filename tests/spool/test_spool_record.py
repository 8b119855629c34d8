"""Records: what is written is read back, and what is not a record is never taken for one."""

import zlib
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.accepted import Accepted, AcceptedEvent, Count, EventKind, Outcome
from rustrak_core.project import ProjectId
from rustrak_storage.spool.record import (
    RECORD_HEAD_BYTES,
    RecordHead,
    SegmentHead,
    decode,
    encode,
    event_days,
    lane_mark,
    parse_head,
)
from tests.spool.helpers import accepted, event

MARK = lane_mark("0" * 32)

texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)  # lone surrogates included
ids = st.integers(1, 2**53 - 1).map(ProjectId)
events = st.builds(
    AcceptedEvent,
    project_id=ids,
    event_id=st.uuids(),
    received_at=st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    payload=st.binary(max_size=300),
    kind=st.sampled_from(EventKind),
    remote_addr=st.none() | texts,
    sdk_client=st.none() | texts,
    hints=st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
    is_shed=st.booleans(),
)
counts = st.builds(
    Count,
    project_id=ids,
    day=st.dates(),
    category=texts,
    outcome=st.sampled_from(Outcome),
    reason=texts,
    quantity=st.integers(1, 2**70),
)
requests = st.builds(
    Accepted, events=st.lists(events, max_size=3).map(tuple), counts=st.lists(counts, max_size=3).map(tuple)
)


def written(request: Accepted) -> bytes:
    record = encode(request, mark=MARK, at_micros=7)
    data = b"".join(record.pieces)
    assert len(data) == record.size
    return data


@given(requests)
def test_round_trip(request: Accepted) -> None:
    """What is accepted comes back equal, whatever text and bytes it holds."""
    data = written(request)
    head = parse_head(data, mark=MARK)
    assert head is not None
    assert (head.size, head.at_micros) == (len(data), 7)
    body = data[RECORD_HEAD_BYTES:]
    assert zlib.crc32(body) == head.body_crc
    assert decode(head, body) == request
    returning = any(each.outcome is Outcome.QUARANTINED for each in request.counts)
    days = [(each.project_id, each.received_at.date()) for each in request.events if not returning]
    assert event_days(body[: head.meta_length]) == days


@given(requests, st.data())
def test_no_part_of_a_record_is_a_head(request: Accepted, data: st.DataObject) -> None:
    """A head with any byte changed is none, so that its length is never believed."""
    head = bytearray(written(request)[:RECORD_HEAD_BYTES])
    head[data.draw(st.integers(0, len(head) - 1))] ^= data.draw(st.integers(1, 255))
    assert parse_head(bytes(head), mark=MARK) is None


@given(st.binary(max_size=200), st.integers(0, 300))
def test_decoding_any_bytes_raises_only_value_errors(body: bytes, meta_length: int) -> None:
    """A body that passes its checksum and is none of ours is an error of one kind."""
    head = RecordHead(meta_length=meta_length, meta_crc=0, body_length=len(body), body_crc=0, at_micros=0)
    try:
        decode(head, body)
    except ValueError:
        return


@pytest.mark.parametrize(
    "meta",
    [
        "[]",
        "[[],[],[]]",
        "{}",
        "3",
        "[[[1]],[]]",
        '[[[1,"zz",0,"event",0,null,null,[]]],[]]',
        "[[],[[1,2,3,4,5,6]]]",
        "[[1],[]]",
    ],
)
def test_a_wrong_meta_part_is_a_value_error(meta: str) -> None:
    """Valid JSON of the wrong shape is refused."""
    body = meta.encode()
    head = RecordHead(meta_length=len(body), meta_crc=0, body_length=len(body), body_crc=0, at_micros=0)
    with pytest.raises(ValueError):
        decode(head, body)


def test_payload_shorter_than_said() -> None:
    """A record whose payload was lost is not decoded into a shorter one."""
    data = written(accepted(1))
    head = parse_head(data, mark=MARK)
    assert head is not None
    with pytest.raises(ValueError, match="shorter"):
        decode(head, data[RECORD_HEAD_BYTES:-1])


def test_payloads_are_not_copied() -> None:
    """Payloads go to the disk as they came."""
    one = event(1)
    assert any(piece is one.payload for piece in encode(Accepted(events=[one]), mark=MARK, at_micros=0).pieces)


def test_marks_differ_by_lane() -> None:
    """A record of one lane is none in another."""
    assert lane_mark("0" * 32) != lane_mark("0" * 31 + "1")
    assert parse_head(written(accepted(1)), mark=lane_mark("f" * 32)) is None


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.data())
def test_segment_heads(segment: int, length: int, data: st.DataObject) -> None:
    """A segment's head comes back equal; cut or changed, it is none."""
    head = SegmentHead(previous_segment=segment, previous_length=length)
    packed = head.pack()
    assert SegmentHead.unpack(packed) == head
    assert SegmentHead.unpack(packed[: data.draw(st.integers(0, len(packed) - 1))]) is None
    changed = bytearray(packed)
    changed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.sampled_from([1 << n for n in range(8)]))
    assert SegmentHead.unpack(bytes(changed)) is None


def test_days_go_by_utc() -> None:
    """The day of an event is that of its receipt in UTC."""
    late = event(1, received_at=datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
    data = written(Accepted(events=[late]))
    head = parse_head(data, mark=MARK)
    assert head is not None
    assert event_days(data[RECORD_HEAD_BYTES:][: head.meta_length]) == [(1, date(1969, 12, 31))]
