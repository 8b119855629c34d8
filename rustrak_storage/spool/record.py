"""The bytes of a spool: the head of a segment, and records that each hold what one request brought.

A segment begins with a head; records follow without gaps. Integers are little-endian.

* Segment head: magic, version, number and good length of the segment before (0, 0: not known), CRC-32 of these.
* Record head: the lane's mark, length and CRC-32 of the meta part, length and CRC-32 of the body (meta and payloads),
  time of acceptance in microseconds since 1970, CRC-32 of the head. With its own checksum, a head whose body is damaged
  still tells where the next record begins; and where only payloads are damaged, the meta part tells whose they were.
* Body: the meta part as JSON, then the payloads as they were sent, one after the other. Nothing in them is read here.

The mark is derived from the lane's name, which is random and never told to anyone: a payload cannot hold bytes that
pass for a record when reading resumes behind a damaged one.
"""

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import attrs
import orjson

from rustrak_core.accepted import Accepted, AcceptedEvent, Count, EventKind, Outcome
from rustrak_core.project import ProjectId
from rustrak_core.times import from_micros, to_micros

FORMAT_VERSION = 2
SEGMENT_MAGIC = b"RTSPOOL\n"
MICROS_PER_DAY = 86_400_000_000
_BY_STDLIB = b" "
_SHED = "shed"

_SEGMENT = struct.Struct("<8sIQQ")
_RECORD = struct.Struct("<8sIIIIq")
_CRC = struct.Struct("<I")
SEGMENT_HEAD_BYTES = _SEGMENT.size + _CRC.size
RECORD_HEAD_BYTES = _RECORD.size + _CRC.size

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

Buffer = bytes | memoryview


@attrs.frozen(kw_only=True)
class SegmentHead:
    """The head of a segment.

    Attributes:
        version: Of the format; a newer one than `FORMAT_VERSION` is not for us to read.
        previous_segment: The segment that the same writer filled before, or 0.
        previous_length: How many bytes of that one are good; what follows there was refused.
    """

    version: int = FORMAT_VERSION
    previous_segment: int = 0
    previous_length: int = 0

    def pack(self) -> bytes:
        """Return the head as bytes, `SEGMENT_HEAD_BYTES` of them."""
        head = _SEGMENT.pack(SEGMENT_MAGIC, self.version, self.previous_segment, self.previous_length)
        return head + _CRC.pack(zlib.crc32(head))

    @classmethod
    def unpack(cls, data: Buffer) -> "SegmentHead | None":
        """Return the head at the beginning of *data*; None where it is cut short or damaged."""
        if len(data) < SEGMENT_HEAD_BYTES or _CRC.unpack_from(data, _SEGMENT.size)[0] != zlib.crc32(
            data[: _SEGMENT.size]
        ):
            return None
        magic, version, segment, length = _SEGMENT.unpack_from(data)
        return (
            cls(version=version, previous_segment=segment, previous_length=length) if magic == SEGMENT_MAGIC else None
        )


@attrs.frozen(kw_only=True)
class RecordHead:
    """The head of a record; lengths are in bytes, *meta_length* being part of *body_length*."""

    meta_length: int
    meta_crc: int
    body_length: int
    body_crc: int
    at_micros: int

    @property
    def size(self) -> int:
        """How many bytes the record takes, its head included."""
        return RECORD_HEAD_BYTES + self.body_length


@attrs.frozen
class EncodedRecord:
    """A record, ready to be written: pieces that follow each other, the sum of their lengths, and how many events."""

    pieces: Sequence[bytes]
    size: int
    events: int = 0


def lane_mark(lane: str) -> bytes:
    """Return the eight bytes with which every record of *lane* begins."""
    return hashlib.blake2b(lane.encode(), digest_size=8, person=b"rustrak spool").digest()


def encode(accepted: Accepted, *, mark: bytes, at_micros: int) -> EncodedRecord:
    """Return *accepted* as a record. Payloads are neither copied nor looked at, but for their checksum."""
    meta = _dumps([[_event_row(event) for event in accepted.events], [_count_row(count) for count in accepted.counts]])
    meta_crc = crc = zlib.crc32(meta)
    length = len(meta)
    pieces = [b"", meta]
    for event in accepted.events:
        crc = zlib.crc32(event.payload, crc)
        length += len(event.payload)
        pieces.append(event.payload)
    head = _RECORD.pack(mark, len(meta), meta_crc, length, crc, at_micros)
    pieces[0] = head + _CRC.pack(zlib.crc32(head))
    return EncodedRecord(pieces, RECORD_HEAD_BYTES + length, len(accepted.events))


def parse_head(data: Buffer, *, mark: bytes) -> RecordHead | None:
    """Return the record head at the beginning of *data*; None where there is none, or a damaged one."""
    if len(data) < RECORD_HEAD_BYTES or data[:8] != mark:
        return None
    if _CRC.unpack_from(data, _RECORD.size)[0] != zlib.crc32(data[: _RECORD.size]):
        return None
    _, meta_length, meta_crc, body_length, body_crc, at_micros = _RECORD.unpack_from(data)
    if meta_length > body_length:
        return None
    return RecordHead(
        meta_length=meta_length,
        meta_crc=meta_crc,
        body_length=body_length,
        body_crc=body_crc,
        at_micros=at_micros,
    )


def decode(head: RecordHead, body: Buffer) -> Accepted:
    """Return what the record holds.

    Raises:
        ValueError: the body is not one that `encode` made, whatever its checksum says.
    """
    try:
        event_rows, count_rows = _loads(bytes(body[: head.meta_length]))
        events, offset = [], head.meta_length
        for row in event_rows:
            payload = bytes(body[offset : offset + row[4]])
            if len(payload) != row[4]:
                raise ValueError("the payloads are shorter than the meta part says")
            offset += row[4]
            events.append(_event(row, payload))
        return Accepted(events=tuple(events), counts=tuple(_count(row) for row in count_rows))
    except (TypeError, IndexError, OverflowError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a record's meta part ({type(error).__name__})") from error


def event_days(meta: Buffer) -> list[tuple[int, date]]:
    """Return project and day of receipt (UTC) of each event in a record, from its meta part alone.

    Events that come out of quarantine are left out: they are counted as such until they are digested.

    Raises:
        ValueError: it is not a meta part.
    """
    try:
        rows, counts = _loads(bytes(meta))
        if any(row[3] == Outcome.QUARANTINED for row in counts):
            return []
        return [(row[0], date.fromordinal(_EPOCH_ORDINAL + row[2] // MICROS_PER_DAY)) for row in rows]
    except (TypeError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"not a record's meta part ({type(error).__name__})") from error


def counts_in(meta: Buffer) -> list[Count]:
    """Return the counts in a record, from its meta part alone.

    Raises:
        ValueError: it is not a meta part.
    """
    try:
        _, rows = _loads(bytes(meta))
        return [_count(row) for row in rows]
    except (TypeError, IndexError, OverflowError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a record's meta part ({type(error).__name__})") from error


def _event_row(event: AcceptedEvent) -> list[Any]:
    row = [
        event.project_id,
        event.event_id.hex,
        to_micros(event.received_at),
        event.kind.value,
        len(event.payload),
        event.remote_addr,
        event.sdk_client,
        event.hints,
    ]
    return [*row, _SHED] if event.is_shed else row


def _event(row: list[Any], payload: bytes) -> AcceptedEvent:
    project_id, event_id, micros, kind, _, remote_addr, sdk_client, hints, *more = row
    if more not in ([], [_SHED]):
        raise ValueError("an event with facts that this version does not know")
    return AcceptedEvent(
        project_id=ProjectId(project_id),
        event_id=UUID(hex=event_id),
        received_at=from_micros(micros),
        payload=payload,
        kind=EventKind(kind),
        remote_addr=remote_addr,
        sdk_client=sdk_client,
        hints=tuple((name, value) for name, value in hints) if hints else (),
        is_shed=bool(more),
    )


def _count_row(count: Count) -> list[Any]:
    return [count.project_id, count.day.toordinal(), count.category, count.outcome.value, count.reason, count.quantity]


def _count(row: list[Any]) -> Count:
    project_id, day, category, outcome, reason, quantity = row
    return Count(
        project_id=ProjectId(project_id),
        day=date.fromordinal(day),
        category=category,
        outcome=Outcome(outcome),
        reason=reason,
        quantity=quantity,
    )


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # lone surrogates in a header's text, integers over 64 bits
        return _BY_STDLIB + json.dumps(value).encode("ascii")


def _loads(data: bytes) -> Any:
    # orjson would refuse the one, and read the other as floats without a word.
    return json.loads(data) if data.startswith(_BY_STDLIB) else orjson.loads(data)
