"""What can still be told of a record that is damaged: whose events it held, so that they are counted, and its counts.

A checksum finds damage. Where that is one flipped bit it also tells which, since each bit changes the checksum in a way
of its own. In a head, and in the short part that says whose events there are, that is believed; in payloads it is not:
they are long, and a wrong event would be worse than one that is set aside.
"""

import zlib

from rustrak_core.accepted import Accepted, Count, Outcome
from rustrak_core.project import ProjectId
from rustrak_storage.spool.record import RECORD_HEAD_BYTES, Buffer, RecordHead, counts_in, event_days, parse_head

DAMAGED = "damaged"
"""The reason under which events of damaged records are counted as quarantined."""

_POLYNOMIAL = 0xEDB88320
_RESIDUE = 0x2144DF1C
"""The CRC-32 of whatever ends with its own CRC-32."""

_MENDED_MAX_BYTES = 64 * 1024


def mended(data: Buffer, crc: int) -> bytes | None:
    """Return *data*, whose CRC-32 should be *crc*, with one bit flipped if that makes it so; None where nothing does.

    What is damaged in more bits passes for mended by chance: once in 2**29 for each of its bytes.
    """
    wrong = zlib.crc32(data) ^ crc
    if not wrong:
        return bytes(data)
    if len(data) > _MENDED_MAX_BYTES:
        return None
    trace = _POLYNOMIAL  # what a flip of the last bit does to the checksum; of the one before, the next, and so on
    for at in range(8 * len(data) - 1, -1, -1):
        if trace == wrong:
            whole = bytearray(data)
            whole[at // 8] ^= 1 << at % 8
            return bytes(whole)
        trace = (trace >> 1) ^ (_POLYNOMIAL if trace & 1 else 0)
    return None


def mended_head(data: Buffer, *, mark: bytes) -> RecordHead | None:
    """Return the record head at the beginning of *data*, in which one bit has flipped; None where that is not all."""
    whole = mended(data[:RECORD_HEAD_BYTES], _RESIDUE)
    return None if whole is None else parse_head(whole, mark=mark)


def mended_meta(head: RecordHead, body: Buffer) -> bytes:
    """Return the meta part at the beginning of *body*, one bit of which may have flipped.

    Raises:
        ValueError: more is damaged.
    """
    whole = mended(body[: head.meta_length], head.meta_crc)
    if whole is None:
        raise ValueError("the meta part is damaged")
    return whole


def salvaged(head: RecordHead, body: Buffer) -> Accepted | None:
    """Return what a record with a damaged *body* still counts for; None where not even that can be told.

    Its counts are as they were. Its events are counted as quarantined; those that came from quarantine still are.
    """
    try:
        meta = mended_meta(head, body)
        counts = [count for count in counts_in(meta) if count.outcome is not Outcome.QUARANTINED]
        lost = [
            Count(project_id=ProjectId(project), day=day, category="error", outcome=Outcome.QUARANTINED, reason=DAMAGED)
            for project, day in event_days(meta)
        ]
    except ValueError:
        return None
    return Accepted(counts=(*counts, *lost))
