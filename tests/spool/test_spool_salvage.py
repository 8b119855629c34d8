"""What is still known of a damaged record: the events that it held are counted, and its counts are kept."""

import zlib
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.accepted import Count, Outcome
from rustrak_core.ports import SpooledBatch
from rustrak_core.project import ProjectId
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader, QuarantineFolder
from rustrak_storage.spool.record import RECORD_HEAD_BYTES, SEGMENT_HEAD_BYTES
from rustrak_storage.spool.salvage import mended
from tests.spool.helpers import FREE_BYTES, NOW, bringing, count, event, numbers, segments

TOMORROW = NOW + timedelta(days=1)
REQUEST = bringing(event(1), event(2, project=7), event(3, received_at=TOMORROW), counts=[count(5)])
COUNTED = [
    count(5),
    *(
        Count(
            project_id=ProjectId(project),
            day=day.date(),
            category="error",
            outcome=Outcome.QUARANTINED,
            reason="damaged",
        )
        for project, day in ((1, NOW), (7, NOW), (1, TOMORROW))
    ),
]


@given(st.binary(min_size=1, max_size=300), st.data())
def test_one_flipped_bit_is_found(data: bytes, draw: st.DataObject) -> None:
    """Whichever it is; two are not taken for one."""
    bits = draw.draw(st.lists(st.integers(0, 8 * len(data) - 1), min_size=1, max_size=2, unique=True))
    changed = bytearray(data)
    for bit in bits:
        changed[bit // 8] ^= 1 << bit % 8
    assert mended(bytes(changed), zlib.crc32(data)) == (data if len(bits) == 1 else None)
    assert mended(data, zlib.crc32(data)) == data


def test_what_is_large_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for the bit takes a moment a byte, which nobody may have to wait for."""
    data = bytes(10_000_000)
    assert mended(data, zlib.crc32(data) ^ 1) is None


@pytest.fixture
def segment(directory: Path) -> Path:
    """Return a segment in which a request's record stands before another's."""
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    spool.accept(REQUEST)
    spool.accept(bringing(event(4)))
    spool.close()
    (segment,) = segments(directory)
    return segment


def flip(segment: Path, *bits: tuple[int, int]) -> None:
    """Change bits of the first record: byte, mask."""
    data = bytearray(segment.read_bytes())
    for at, mask in bits:
        data[SEGMENT_HEAD_BYTES + at] ^= mask
    segment.write_bytes(data)


def batches(directory: Path) -> list[SpooledBatch]:
    reader = DirectorySpoolReader(directory)
    (lane,) = reader.lanes()
    found: list[SpooledBatch] = []
    after = None
    while batch := reader.read(lane, after=after, max_events=2, max_bytes=1 << 20):
        found.append(batch)
        after = batch.advance.end
    reader.close()
    return found


def counts(found: Sequence[SpooledBatch]) -> Counter[Count]:
    return Counter(each for batch in found for accepted in batch.accepted for each in accepted.counts)


def meta_length(segment: Path) -> int:
    return int.from_bytes(segment.read_bytes()[SEGMENT_HEAD_BYTES + 8 :][:4], "little")


def read(found: Sequence[SpooledBatch]) -> list[int]:
    return [number for batch in found for number in numbers(list(batch.accepted))]


def test_damaged_payloads(segment: Path) -> None:
    """However much of them is damaged, all events of the request are counted, each for its project and day."""
    start = RECORD_HEAD_BYTES + meta_length(segment)
    flip(segment, *((start + at, 0xFF) for at in range(0, 300, 7)))
    found = batches(segment.parents[1])
    assert (read(found), counts(found)) == ([4], Counter(COUNTED))
    assert sum(batch.damaged for batch in found) == 1
    assert sum(batch.unknown for batch in found) == 0


def test_a_bit_in_what_says_whose_they_are(segment: Path) -> None:
    """Any one, and the events are counted for those whose they were."""
    whole = segment.read_bytes()
    for at in range(meta_length(segment)):
        segment.write_bytes(whole)
        flip(segment, (RECORD_HEAD_BYTES + at, 1 << at % 8))
        found = batches(segment.parents[1])
        assert (read(found), counts(found)) == ([4], Counter(COUNTED)), at


@pytest.mark.parametrize("where", [0, 9, RECORD_HEAD_BYTES + 4])
def test_too_much_is_damaged(segment: Path, where: int) -> None:
    """Where head or meta part is damaged in more than one bit nothing is counted, rather than something made up."""
    flip(segment, (where, 0x81), (where + 2, 0x12))
    found = batches(segment.parents[1])
    assert (read(found), counts(found)) == ([4], Counter())
    assert sum(batch.damaged for batch in found) == sum(batch.unknown for batch in found) == 1


def test_queued_until_it_is_read(segment: Path) -> None:
    """A damaged record's events wait like all others, until they are found to be damaged."""
    spool = DirectorySpool(segment.parents[1], min_free_bytes=FREE_BYTES)
    whole = segment.read_bytes()
    for at in range(segment.stat().st_size - SEGMENT_HEAD_BYTES):
        segment.write_bytes(whole)
        flip(segment, (at, 1 << at % 8))
        assert spool.queued(ProjectId(1), []) == {NOW.date(): 2, TOMORROW.date(): 1}, at
        assert spool.queued(ProjectId(7), []) == {NOW.date(): 1}
    spool.close()


def test_an_event_that_comes_back_from_quarantine(directory: Path) -> None:
    """Damaged on the way, it stays counted as quarantined, once."""
    quarantine = QuarantineFolder(directory)
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    spool.accept(bringing(event(1)))
    spool.close()
    reader = DirectorySpoolReader(directory)
    (lane,) = reader.lanes()
    batch = reader.read(lane, after=None, max_events=1, max_bytes=1 << 20)
    assert batch is not None
    reader.quarantine(batch, why="a test", now=NOW)
    reader.forget(batch.advance.end)
    reader.close()
    (entry,) = quarantine.entries()
    quarantine.give_back(entry, now=NOW, recorded=lambda name: batch.advance.end if name == lane else None)
    (returned,) = [path for path in segments(directory) if path.parent.name != lane]
    data = bytearray(returned.read_bytes())
    data[-1] ^= 1
    returned.write_bytes(data)
    reader = DirectorySpoolReader(directory)
    again = reader.read(returned.parent.name, after=None, max_events=1, max_bytes=1 << 20) if reader.lanes() else None
    assert again is not None
    assert (again.damaged, again.unknown, counts([again])) == (1, 0, Counter())
    reader.close()
