"""A power cut at any moment: of the spool's files only what was synced is sure, and all that was acknowledged is there.

The rest may have reached the disk or not, in any order and in part; see `tests.faults.paper_disk`.
"""

import errno
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from rustrak_core.accepted import SpoolPosition
from rustrak_core.errors import RustrakError
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader, files
from rustrak_storage.spool.lane import Lane, SyncedMark
from tests.faults.paper_disk import PaperDisk
from tests.spool.helpers import FREE_BYTES, ManualClock, accepted, numbers

AFTERWARDS = 10**6
"""The event that comes when the power is back."""


class Store:
    """What a store has committed, which is durable: events, and how far each lane is recorded."""

    def __init__(self) -> None:
        self.events: list[int] = []
        self.positions: dict[str, SpoolPosition] = {}

    def record(self, reader: DirectorySpoolReader, disk: PaperDisk | None = None, *, rounds: int = 10**6) -> None:
        """Record what *reader* has, so many batches a lane at most."""
        for lane in reader.lanes():
            for _ in range(rounds):
                after = self.positions.get(lane)
                batch = reader.read(lane, after=after, max_events=3, max_bytes=1 << 20)
                if batch is None:
                    break
                self.commit(lane, batch.advance.end, numbers(list(batch.accepted)))
                if disk is not None:
                    disk.note(("recorded", lane, batch.advance.end, numbers(list(batch.accepted))))
                reader.forget(batch.advance.end)

    def commit(self, lane: str, end: SpoolPosition, events: list[int]) -> None:
        self.positions[lane] = end
        self.events += events


def live(disk: PaperDisk, directory: Path, patcher: pytest.MonkeyPatch, chance: random.Random) -> None:
    """Accept, record, fail to write and to sync, restart: a life of a spool on *disk*."""
    clock = ManualClock()
    store = Store()
    number = 0
    for _ in range(3):
        spools = [DirectorySpool(directory, min_free_bytes=FREE_BYTES, segment_bytes=900) for _ in range(2)]
        reader = DirectorySpoolReader(directory, monotonic=clock)
        for _ in range(12):
            number += 1
            fault = chance.choice([None] * 6 + ["sync", "write"])
            with patcher.context() as patched:
                if fault is not None:
                    patched.setattr(*_failing(fault))
                try:
                    chance.choice(spools).accept(accepted(number, size=chance.choice((20, 150, 400))))
                except RustrakError:
                    disk.note(("refused", number))
                else:
                    disk.note(("acknowledged", number))
            clock.now += 2
            if chance.random() < 0.4:
                store.record(reader, disk, rounds=2)
        for spool in spools[chance.randrange(2) :]:
            spool.close()
        store.record(reader, disk)
        clock.now += 10
        store.record(reader, disk)  # a lane without a writer goes
        for spool in spools:
            spool.close()
        reader.close()


def _failing(what: str) -> tuple[Any, str, Any]:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    return (files, "sync", fail) if what == "sync" else (os, "writev", fail)


def recorded_on_disk(tmp_path: Path, seed: int) -> PaperDisk:
    """Return a disk on which a spool lived."""
    root = tmp_path / "disk"
    root.mkdir()
    disk = PaperDisk(root)
    real_set, real_init = SyncedMark.set, SyncedMark.__init__
    paths: dict[SyncedMark, Path] = {}

    def noted_init(mark: SyncedMark, lane: Lane, *, create: bool) -> None:
        real_init(mark, lane, create=create)
        paths[mark] = lane.path / "synced"

    def noted_set(mark: SyncedMark, segment: int, length: int) -> None:
        real_set(mark, segment, length)
        disk.wrote(paths[mark], 0, (segment << 32 | length).to_bytes(8, "little"))

    with pytest.MonkeyPatch.context() as patcher:
        patcher.setattr(SyncedMark, "__init__", noted_init)
        patcher.setattr(SyncedMark, "set", noted_set)
        disk.patch(patcher)
        live(disk, root / "data" / "spool", patcher, random.Random(seed))
    return disk


def check_after(disk: PaperDisk, moment: int, chance: random.Random, folder: Path) -> None:
    """Cut the power before change *moment*, start again, and hold what is recorded against what was acknowledged."""
    notes = disk.after_cut(moment, chance, folder)
    store = Store()
    acknowledged, refused = set(), set()
    for kind, *facts in notes:
        if kind == "recorded":
            store.commit(*facts)
        elif kind == "acknowledged":
            acknowledged.add(facts[0])
        else:
            refused.add(facts[0])
    directory = folder / "data" / "spool"
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    spool.accept(accepted(AFTERWARDS))
    reader = DirectorySpoolReader(directory)
    try:
        store.record(reader)
    finally:
        reader.close()
        spool.close()
    lost = (acknowledged | {AFTERWARDS}) - set(store.events)
    assert not lost, f"acknowledged and lost: {sorted(lost)}"
    on_the_way = max(acknowledged | refused, default=0) + 1
    assert set(store.events) <= acknowledged | refused | {on_the_way, AFTERWARDS}
    # A store drops an event that it holds already; a lane whose removal was half undone may bring some again.
    assert store.events.count(AFTERWARDS) == 1


def check_lives(tmp_path: Path, seeds: range, cuts_each: int) -> None:
    for seed in seeds:
        place = tmp_path / str(seed)
        place.mkdir()
        disk = recorded_on_disk(place, seed)
        chance = random.Random(seed)
        for moment in range(len(disk.changes) + 1):
            for _ in range(cuts_each):
                check_after(disk, moment, chance, place / "after")
                shutil.rmtree(place / "after")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no real disk sync: this one is on paper."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda _: None)


@pytest.mark.slow
def test_a_power_cut_at_any_moment(tmp_path: Path) -> None:
    """Before each single change to the disk, with a draw of what was not synced: nothing acknowledged is lost."""
    check_lives(tmp_path, range(1), 1)


@pytest.mark.slow
@pytest.mark.faults
def test_power_cuts_of_many_lives(tmp_path: Path) -> None:
    """As above, over lives that differ, each cut drawn several times."""
    check_lives(tmp_path, range(1, 6), 5)


def test_an_early_answer_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check works: a spool that does not sync loses what it acknowledged, and that is seen."""
    monkeypatch.setattr(files, "sync", lambda _: None)
    with pytest.raises(AssertionError, match="acknowledged and lost"):
        check_lives(tmp_path, range(1), 1)
