"""Torn ends, flipped bits and failing disks: what was acknowledged and is whole is read, whatever lies around it."""

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from rustrak_core.errors import OverloadError, RustrakError, SpoolUnavailableError
from rustrak_core.project import ProjectId
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader, files
from rustrak_storage.spool.record import RECORD_HEAD_BYTES, SEGMENT_HEAD_BYTES, lane_mark
from tests.spool.helpers import FREE_BYTES, ManualClock, accepted, bringing, count, drain, numbers, segments


def filled(directory: Path, amount: int, **how: int) -> Path:
    """Fill a lane with a closed writer; return its only segment."""
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    for number in range(amount):
        spool.accept(accepted(number, **how))
    spool.close()
    (segment,) = segments(directory)
    return segment


def read_all(directory: Path) -> tuple[list[int], int]:
    """Return the numbers of the events that can be read, and how many stretches were damaged."""
    reader = DirectorySpoolReader(directory)
    (lane,) = reader.lanes()
    found, damaged, position = [], 0, None
    while batch := reader.read(lane, after=position, max_events=100, max_bytes=1 << 20):
        found += numbers(list(batch.accepted))
        damaged += batch.damaged
        assert position is None or batch.advance.end > position
        position = batch.advance.end
    reader.close()
    return found, damaged


def test_torn_at_every_byte(directory: Path) -> None:
    """A writer that died at any byte leaves all whole records, and nothing that counts as damage."""
    segment = filled(directory, 3, size=20)
    data = segment.read_bytes()
    size = (len(data) - SEGMENT_HEAD_BYTES) // 3
    for length in range(len(data) + 1):
        segment.parent.mkdir(exist_ok=True)  # a lane that held nothing was removed
        segment.write_bytes(data[:length])
        whole = max(length - SEGMENT_HEAD_BYTES, 0) // size
        assert read_all(directory) == (list(range(whole)), 0)


def test_torn_in_the_middle_of_a_lane(directory: Path) -> None:
    """Behind a torn segment reading goes on in the next."""
    segment = filled(directory, 3, size=20)
    os.truncate(segment, segment.stat().st_size - 5)
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    spool.accept(accepted(7))
    assert read_all(directory) == ([0, 1, 7], 0)
    spool.close()


def test_zeros_at_the_end(directory: Path) -> None:
    """Zeros, which a power cut leaves where data had not arrived, are no damage."""
    segment = filled(directory, 2)
    with segment.open("ab") as file:
        file.write(bytes(5000))
    assert read_all(directory) == ([0, 1], 0)


def test_a_flipped_bit_anywhere(directory: Path) -> None:
    """One flipped bit costs one record, which is set aside, or nothing, where it is in a head; the rest is read."""
    segment = filled(directory, 3, size=20)
    data = segment.read_bytes()
    size = (len(data) - SEGMENT_HEAD_BYTES) // 3
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        segment.write_bytes(changed)
        record, offset = divmod(at - SEGMENT_HEAD_BYTES, size)
        hit = record if record >= 0 and offset >= RECORD_HEAD_BYTES else None
        expected = [number for number in range(3) if number != hit]
        assert read_all(directory) == (expected, 0 if hit is None else 1), at


def test_damaged_records_are_kept_aside(directory: Path) -> None:
    """The bytes of a damaged record go to a folder, readable by its owner only."""
    segment = filled(directory, 2)
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    assert read_all(directory) == ([0], 1)
    (copy,) = (directory / "damaged").iterdir()
    assert bytes(data).endswith(copy.read_bytes())
    assert copy.stat().st_mode & 0o777 == 0o600
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    assert spool.stats().damaged == 1
    spool.close()


def test_noise(directory: Path) -> None:
    """Whatever a segment turns into, reading ends, and raises nothing."""
    segment = filled(directory, 5, size=50)
    data = segment.read_bytes()
    chance = random.Random(1)
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(chance.randrange(1, 6)):
            start = chance.randrange(len(changed))
            changed[start : start + chance.randrange(60)] = chance.randbytes(chance.randrange(60))
        segment.write_bytes(changed)
        found, _ = read_all(directory)
        assert found == sorted(set(found))
        assert set(found) <= set(range(5))


def test_a_payload_cannot_pass_for_a_record(directory: Path) -> None:
    """A record that a payload imitates is not found behind a damaged head, for the lane's mark is secret."""
    segment = filled(directory, 1)
    imitated = segment.read_bytes()[SEGMENT_HEAD_BYTES:].replace(lane_mark(segment.parent.name), lane_mark("0" * 32))
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    from attrs import evolve

    from tests.spool.helpers import event

    spool.accept(bringing(evolve(event(5), payload=imitated)))
    spool.accept(accepted(6))
    spool.close()
    last = segments(directory)[-1]
    data = bytearray(last.read_bytes())
    data[SEGMENT_HEAD_BYTES + 10] ^= 3
    last.write_bytes(data)
    assert read_all(directory) == ([0, 6], 1)


Fault = Callable[..., object]


def failing(error: int, *, times: int = 1, partly: bool = False) -> Fault:
    """Return a writev that fails, perhaps after writing some."""
    left = times
    real = os.writev

    def writev(fd: int, pieces: list[bytes]) -> int:
        nonlocal left
        if left <= 0:
            return real(fd, pieces)
        left -= 1
        if partly:
            os.write(fd, b"".join(pieces)[:50])
        raise OSError(error, os.strerror(error))

    return writev


class TestFailingDisk:
    """A write that fails is refused, leaves nothing, and the next one works."""

    @pytest.mark.parametrize(
        "fault",
        [
            (errno.ENOSPC, OverloadError, False),
            (errno.ENOSPC, OverloadError, True),
            (errno.EIO, SpoolUnavailableError, False),
            (errno.EIO, SpoolUnavailableError, True),
        ],
    )
    def test_a_failed_write(
        self,
        spool: DirectorySpool,
        reader: DirectorySpoolReader,
        monkeypatch: pytest.MonkeyPatch,
        fault: tuple[int, type[RustrakError], bool],
    ) -> None:
        """Half a record in the middle of a file is taken back."""
        error, kind, partly = fault
        spool.accept(accepted(0))
        spool.accept(bringing(counts=[count()]))
        monkeypatch.setattr(os, "writev", failing(error, partly=partly))
        with pytest.raises(kind):
            spool.accept(accepted(1))
        with pytest.raises(SpoolUnavailableError, match="last write"):
            spool.check()
        spool.accept(accepted(2))
        spool.check()
        assert drain(reader) == [accepted(0), accepted(2), bringing(counts=[count()])]
        assert len(segments(reader._directory)) == 1

    def test_a_short_write_goes_on(
        self, spool: DirectorySpool, reader: DirectorySpoolReader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A write that took only a part is continued."""
        spool.accept(accepted(0))
        monkeypatch.setattr(os, "writev", lambda fd, pieces: os.write(fd, b"".join(pieces)[:7]))
        spool.accept(accepted(1))
        assert numbers(drain(reader)) == [0, 1]

    @pytest.mark.parametrize("truncating_fails", [False, True])
    def test_a_failed_sync(
        self,
        spool: DirectorySpool,
        reader: DirectorySpoolReader,
        monkeypatch: pytest.MonkeyPatch,
        clock: ManualClock,
        truncating_fails: bool,
    ) -> None:
        """After a failed sync the file is not trusted: what it held is refused, and a new one begun."""
        spool.accept(accepted(0))

        def fail(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patched:
            patched.setattr(files, "sync", fail)
            if truncating_fails:
                patched.setattr(os, "ftruncate", fail)
            with pytest.raises(SpoolUnavailableError):
                spool.accept(accepted(1))
        clock.now += 5
        assert numbers(drain(reader)) == [0]
        spool.accept(accepted(2))
        assert numbers(drain(reader, forget=True)) == [0, 2]
        recorded = reader._lanes[spool.lane]._forgotten
        assert recorded is not None
        assert spool.queued(ProjectId(1), [recorded]) == {}
        assert len(segments(reader._directory)) == 1
        spool.close()
        clock.now += 5
        assert numbers(drain(reader, after=recorded)) == []

    def test_no_new_segment(
        self, spool: DirectorySpool, reader: DirectorySpoolReader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where no file can be begun, it refuses until one can."""
        with monkeypatch.context() as patched:
            patched.setattr(os, "writev", failing(errno.ENOSPC, times=3))
            for number in range(3):
                with pytest.raises(OverloadError):
                    spool.accept(accepted(number))
        spool.accept(accepted(3))
        assert numbers(drain(reader)) == [3]

    def test_everyone_in_the_group_is_refused(self, spool: DirectorySpool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each thread gets an error of its own."""
        from concurrent.futures import ThreadPoolExecutor

        monkeypatch.setattr(os, "writev", failing(errno.EIO, times=10**9))
        with ThreadPoolExecutor(16) as pool:
            tries = [pool.submit(spool.accept, accepted(number)) for number in range(64)]
            errors = {id(each.exception(10)) for each in tries}
            assert all(isinstance(each.exception(), SpoolUnavailableError) for each in tries)
        assert len(errors) == 64


WRITER = textwrap.dedent("""
    import os, sys, threading
    from pathlib import Path
    from rustrak_storage.spool import DirectorySpool
    from tests.spool.helpers import accepted
    spool = DirectorySpool(Path(sys.argv[1]), min_free_bytes=1, segment_bytes=20_000)
    told = threading.Semaphore(0)
    def run(thread):
        for number in range(10_000):
            spool.accept(accepted(thread * 100_000 + number, size=300))
            os.write(1, b"%d\\n" % (thread * 100_000 + number))
            told.release()
    for thread in range(8):
        threading.Thread(target=run, args=(thread,), daemon=True).start()
    if sys.argv[2] == "exit":
        for _ in range(200):
            told.acquire()
        os._exit(0)
    threading.Event().wait()
""")


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_a_killed_writer_loses_nothing_acknowledged(directory: Path, how: str) -> None:
    """Whatever was acknowledged before kill -9 is read, once; and the writer that follows goes on."""
    root = Path(__file__).parents[2]
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(directory), how], stdout=subprocess.PIPE, cwd=root)
    assert writer.stdout is not None
    lines = []
    for line in writer.stdout:
        lines.append(line)
        if how == "kill" and len(lines) == 200:
            writer.send_signal(signal.SIGKILL)
    writer.stdout.close()
    writer.wait(10)
    acknowledged = {int(line) for line in lines if line.endswith(b"\n")}
    assert len(acknowledged) >= 200, "the writer ended before its time"
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    spool.accept(accepted(999_999))
    found, damaged = read_all(directory)
    spool.close()
    assert damaged == 0
    assert len(found) == len(set(found))
    assert acknowledged | {999_999} <= set(found)
    assert len(set(found) - acknowledged) <= 8 + 1, "only what was on its way to be acknowledged"
