"""Submitting: many records under way without a thread that waits for each."""

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rustrak_core.errors import OverloadError, RustrakError, SpoolUnavailableError
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader, files
from tests.spool.helpers import FREE_BYTES, accepted, drain, numbers

WAIT_S = 30


class Outcomes:
    """What submitted records came to."""

    def __init__(self) -> None:
        self.found: dict[int, RustrakError | None] = {}
        self._changed = threading.Condition()

    def submit(self, spool: DirectorySpool, number: int) -> None:
        spool.submit(accepted(number), lambda failure: self._settle(number, failure))

    def _settle(self, number: int, failure: RustrakError | None) -> None:
        with self._changed:
            assert number not in self.found, "told twice"
            self.found[number] = failure
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.found) >= count, WAIT_S)


def test_it_is_kept_before_it_is_told(
    spool: DirectorySpool, reader: DirectorySpoolReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written before the push; one sync serves all that was submitted, and is over when they are told."""
    syncs: list[int] = []
    told = Outcomes()
    sync = files.sync

    def noted(fd: int) -> None:
        syncs.append(len(told.found))
        sync(fd)

    monkeypatch.setattr(files, "sync", noted)
    for number in range(5):
        told.submit(spool, number)
    assert drain(reader) == []
    spool.push()
    told.wait_for(5)
    assert told.found == dict.fromkeys(range(5))
    assert syncs == [0]
    assert drain(reader) == [accepted(number) for number in range(5)]


def test_submitting_and_accepting_mix(spool: DirectorySpool, reader: DirectorySpoolReader) -> None:
    """Threads that wait and records for which none waits share the lane; each is kept once, and told once."""
    told = Outcomes()

    def submit(start: int) -> None:
        for number in range(start, start + 100):
            told.submit(spool, number)
            spool.push()

    def accept(start: int) -> None:
        for number in range(start, start + 100):
            spool.accept(accepted(number))

    with ThreadPoolExecutor(6) as threads:
        jobs = [threads.submit(submit if turn % 2 else accept, turn * 100) for turn in range(6)]
        for job in jobs:
            job.result(WAIT_S)
    told.wait_for(300)
    assert set(told.found.values()) == {None}
    assert sorted(numbers(drain(reader))) == list(range(600))


def test_a_write_that_fails_is_told(
    spool: DirectorySpool, reader: DirectorySpoolReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the group hears why; the next is kept."""
    told = Outcomes()
    with monkeypatch.context() as patch:

        def fail(fd: int) -> None:
            raise OSError(errno.EIO, "broken on purpose")

        patch.setattr(files, "sync", fail)
        told.submit(spool, 1)
        told.submit(spool, 2)
        spool.push()
        told.wait_for(2)
    assert [type(failure) for failure in told.found.values()] == [SpoolUnavailableError] * 2
    told.submit(spool, 3)
    spool.push()
    told.wait_for(3)
    assert drain(reader) == [accepted(3)]


def test_closing_writes_what_was_submitted(directory: Path, reader: DirectorySpoolReader) -> None:
    """What nobody pushed yet is kept by closing; later submissions are refused."""
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    told = Outcomes()
    told.submit(spool, 1)
    spool.push()
    told.submit(spool, 2)
    spool.close()
    told.wait_for(2)
    assert set(told.found.values()) == {None}
    with pytest.raises(SpoolUnavailableError, match="closed"):
        told.submit(spool, 3)
    assert drain(reader) == [accepted(1), accepted(2)]


def test_no_room_is_said_at_once(directory: Path) -> None:
    """What does not fit is refused by the call itself, and never told."""
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES, max_bytes=4096)
    told = Outcomes()
    with pytest.raises(OverloadError):
        spool.submit(accepted(1, size=8192), lambda _: told.found.update({1: None}))
    spool.close()
    assert told.found == {}


def test_who_is_told_cannot_break_the_group(spool: DirectorySpool, caplog: pytest.LogCaptureFixture) -> None:
    """A callback that raises costs the others nothing."""
    told = Outcomes()

    def broken(_: RustrakError | None) -> None:
        raise RuntimeError("broken on purpose")

    spool.submit(accepted(1), broken)
    told.submit(spool, 2)
    spool.push()
    told.wait_for(1)
    assert told.found == {2: None}
    assert "submitted" in caplog.text
