"""A spool file cut at each byte, or with a bit flipped in it: what is whole is stored, once, and the sums hold."""

import contextlib
import random
from collections import Counter
from pathlib import Path

import pytest

from rustrak_core.accepted import Accepted
from rustrak_core.project import ProjectId
from rustrak_http.worker import DigestWorker
from rustrak_storage.factory import open_store
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader
from rustrak_storage.spool.record import RECORD_HEAD_BYTES, SEGMENT_HEAD_BYTES
from tests.spool.helpers import FREE_BYTES, NOW, event, segments

EVENTS = 4
KEY = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    """Return a segment with some events, which all are of one length."""
    spool = DirectorySpool(tmp_path / "spool", min_free_bytes=FREE_BYTES)
    for number in range(1, EVENTS + 1):
        spool.accept(Accepted(events=(event(number, size=30),), counts=()))
    spool.close()
    (segment,) = segments(tmp_path / "spool")
    return segment


def digest_spool(directory: Path, times: int = 2) -> Counter[str]:
    """Digest a spool's folder as it is into a new store, with a new worker each of so many times; return the counts."""
    with contextlib.closing(open_store("memory://")) as store:
        project = store.create_project("my-app", sentry_key=KEY, now=NOW)
        assert project.id == ProjectId(1)
        for _ in range(times):
            with contextlib.closing(DirectorySpoolReader(directory)) as reader:
                worker = DigestWorker(store, reader)
                while worker.run_once() or worker._moved:
                    pass
        counts = store.ledger(project.id, since=NOW.date(), until=NOW.date()).counts
        assert store.project(project.id).event_count == sum(
            each.quantity for each in counts if each.outcome.value == "stored"
        )
        return Counter({each.outcome.value: each.quantity for each in counts})


def rewrite(segment: Path, data: bytes) -> None:
    """Put *data* where the segment was; a worker that finds nothing in a lane removes it."""
    segment.parent.mkdir(exist_ok=True)
    for path in segment.parent.iterdir():
        path.unlink()
    segment.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.faults)])
def test_every_prefix(segment: Path, step: int) -> None:
    """A writer that died at any byte leaves all events before; those are stored, and only once."""
    data = segment.read_bytes()
    size = (len(data) - SEGMENT_HEAD_BYTES) // EVENTS
    for length in range(0, len(data) + 1, step):
        rewrite(segment, data[:length])
        whole = max(length - SEGMENT_HEAD_BYTES, 0) // size
        assert digest_spool(segment.parents[1]) == Counter({"stored": whole} if whole else {}), length


@pytest.mark.slow
@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.faults)])
def test_a_flipped_bit(segment: Path, step: int, caplog: pytest.LogCaptureFixture) -> None:
    """A bit flipped anywhere costs the event that it is in, which is set aside, told and counted; the rest is stored.

    One in a record's head costs nothing: its checksum tells which it was.
    """
    data = segment.read_bytes()
    size = (len(data) - SEGMENT_HEAD_BYTES) // EVENTS
    chance = random.Random(1)
    for at in range(0, len(data), step):
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        rewrite(segment, bytes(changed))
        hit = at >= SEGMENT_HEAD_BYTES and (at - SEGMENT_HEAD_BYTES) % size >= RECORD_HEAD_BYTES
        caplog.clear()
        found = digest_spool(segment.parents[1], times=1)
        assert +found == +Counter({"stored": EVENTS - hit, "quarantined": hit}), at
        assert ("spool_damaged" in caplog.text) == hit, at
