"""The folder of quarantined events, and the note of what is being tried."""

import os
import stat
import warnings
from datetime import timedelta
from pathlib import Path

import pytest

from rustrak_core.accepted import SpoolPosition
from rustrak_core.errors import NotFoundError, SpoolUnavailableError
from rustrak_core.ports import Stage, Tried
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader, QuarantineFolder
from rustrak_storage.spool.attempt import AttemptNote
from tests.spool.helpers import NOW, event

LANE = "0123456789abcdef" * 2


def at(number: int) -> SpoolPosition:
    return SpoolPosition(lane=LANE, segment=1, offset=number)


def fill(folder: QuarantineFolder, *numbers: int, size: int = 100) -> list[str]:
    names = []
    for number in numbers:
        name = folder.keep(
            event(number, size=size), at=at(number), index=0, why="a test", now=NOW + timedelta(seconds=number)
        )
        os.utime(folder.path / f"{name}.event", ns=(number, number))
        names.append(name)
    return names


@pytest.fixture
def folder(directory: Path, spool: DirectorySpool) -> QuarantineFolder:
    return QuarantineFolder(directory)


def test_an_event_is_kept_whole(folder: QuarantineFolder) -> None:
    """All that was accepted comes back, with why and when it was set aside; only the owner may read it."""
    sent = event(7)
    name = folder.keep(sent, at=at(7), index=0, why="it crashed", now=NOW)
    (entry,) = folder.entries()
    assert folder.event(entry) == sent
    assert (entry.id, entry.at, entry.why, entry.since) == (name, at(7), "it crashed", NOW)
    assert (entry.event_id, entry.received_at, entry.size_bytes) == (str(sent.event_id), NOW, 100)
    path = folder.path / f"{name}.event"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_a_replay_keeps_it_once(folder: QuarantineFolder) -> None:
    """The place where it was read names it: set aside again, it is the same entry; another place is another."""
    assert fill(folder, 1) == fill(folder, 1)
    assert len(folder.entries()) == 1
    folder.keep(event(1), at=at(1), index=1, why="a test", now=NOW)
    folder.keep(event(1), at=at(2), index=0, why="a test", now=NOW)
    assert len(folder.entries()) == 3


def test_it_is_found_by_id(folder: QuarantineFolder) -> None:
    """By its own id, the beginning of it, or the event's, with or without hyphens; several are none."""
    names = fill(folder, 1, 2)
    entry = folder.entries()[0]
    for text in (names[0], names[0][:12].upper(), entry.event_id, entry.event_id.replace("-", "")):
        assert folder.find(text) == entry
    for text in ("", "ffff-not-there", "g"):
        with pytest.raises(NotFoundError, match="rustrak quarantine list"):
            folder.find(text)
    folder.keep(event(1), at=at(9), index=0, why="a test", now=NOW)
    with pytest.raises(NotFoundError, match="several"):
        folder.find(entry.event_id)


def test_it_is_bounded_in_count(directory: Path, spool: DirectorySpool, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond a number of events the oldest go; that is said, and counted."""
    folder = QuarantineFolder(directory, max_files=3)
    fill(folder, 1, 2, 3, 4, 5)
    assert [int(entry.event_id[-2:]) for entry in folder.entries()] == [3, 4, 5]
    stats = folder.stats()
    assert (stats.events, stats.dropped) == (3, 2)
    lines = [record for record in caplog.records if "quarantine_full" in record.getMessage()]
    assert len(lines) == 2
    assert "project=1" in caplog.text
    fill(folder, 5)
    assert folder.stats().dropped == 2, "a replay needs no room"


def test_it_is_bounded_in_bytes(directory: Path, spool: DirectorySpool) -> None:
    """Beyond a number of bytes the oldest go; one that is larger than all of it stays alone."""
    folder = QuarantineFolder(directory, max_bytes=5000)
    fill(folder, 1, 2, 3, 4, size=1500)
    assert folder.stats().size_bytes <= 5000 + 1000
    assert [int(entry.event_id[-2:]) for entry in folder.entries()] == [3, 4]
    fill(folder, 5, size=9000)
    assert [int(entry.event_id[-2:]) for entry in folder.entries()] == [5]


def test_what_is_not_ours_is_left_alone(folder: QuarantineFolder) -> None:
    """Other files, and entries that are torn or of a newer version, are no entries, and are not touched."""
    fill(folder, 1)
    for name in ("note.txt", f"{'a' * 16}.event", f"{'b' * 16}.event"):
        (folder.path / name).write_bytes(b'{"version": 2}\n' if name[0] == "b" else b"\xff\n")
    assert len(folder.entries()) == 1
    assert len(list(folder.path.iterdir())) == 5


def test_a_damaged_file_is_named(folder: QuarantineFolder) -> None:
    """An event whose bytes are no longer those that were kept is not shown as if they were."""
    (name,) = fill(folder, 1)
    path = folder.path / f"{name}.event"
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)
    (entry,) = folder.entries()
    with pytest.raises(SpoolUnavailableError, match="damaged"):
        folder.event(entry)
    folder.drop(entry)
    assert folder.entries() == []
    for gone in (folder.event, folder.drop):
        with pytest.raises(NotFoundError):
            gone(entry)


def test_a_spool_without_one(directory: Path, spool: DirectorySpool) -> None:
    """Where nothing was ever set aside there is no folder, and nothing in it."""
    folder = QuarantineFolder(directory)
    assert (folder.entries(), folder.stats().events, folder.path.exists()) == ([], 0, False)


class TestAttempt:
    """A note outlives the process that makes it."""

    def test_a_process_that_ends(self, tmp_path: Path) -> None:
        """What a process noted before a crash is what the next one reads."""
        start = SpoolPosition(lane=tmp_path.name, segment=3, offset=77)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn where threads run, as pytest's may
            pid = os.fork()
        if pid == 0:
            note = AttemptNote(tmp_path)
            note.begin(start, records=10, tries=2, poisons=4)
            note.reach(6)
            os._exit(9)
        os.waitpid(pid, 0)
        note = AttemptNote(tmp_path)
        assert note.last() == Tried(start=start, stage=Stage.DIGESTING, records=10, index=6, tries=2, poisons=4)
        note.record()
        assert note.last() == Tried(start=start, stage=Stage.RECORDING, records=10, index=6, tries=2, poisons=4)
        note.rest(tries=3)
        assert note.last() == Tried(start=start, stage=Stage.RESTING, records=10, index=6, tries=3, poisons=4)
        note.close()

    def test_a_new_lane(self, tmp_path: Path) -> None:
        """Nothing was noted; the beginning of a lane is a place too."""
        note = AttemptNote(tmp_path)
        assert note.last() is None
        note.begin(None, records=1, tries=0)
        tried = note.last()
        assert tried is not None
        assert tried.start is None
        note.close()

    def test_no_file_can_be_made(self, tmp_path: Path) -> None:
        """Without a file it works for as long as the process does: digesting must not stop for it."""
        note = AttemptNote(tmp_path / "missing")
        note.begin(None, records=1, tries=0)
        assert note.last() is not None
        note.close()
        assert AttemptNote(tmp_path / "missing").last() is None

    def test_a_file_that_is_not_a_note(self, tmp_path: Path) -> None:
        """Bytes that no worker wrote blame nobody."""
        (tmp_path / "attempt").write_bytes(b"\xff" * 64)
        note = AttemptNote(tmp_path)
        assert note.last() is None
        note.close()

    def test_only_of_a_lane_that_is_held(self, reader: DirectorySpoolReader) -> None:
        """Who does not read a lane has no business with its note."""
        with pytest.raises(SpoolUnavailableError, match="not held"):
            reader.attempt(LANE)
