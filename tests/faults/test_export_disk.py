"""A disk below a dataset that is full or cannot be written: told as such, and the dataset can be read as it was."""

import os
from pathlib import Path
from typing import Any

import pytest

from rustrak_core.ports import Store
from rustrak_core.project import Project
from rustrak_storage.duck import Dataset, DatasetError, export
from rustrak_storage.duck.file import File
from rustrak_storage.duck.folder import Folder
from rustrak_storage.factory import open_store
from rustrak_storage.testing.values import NOW, create_project, digested
from tests.faults.small_disk import SmallDisk

_KIB = 2**10
_MIB = 2**20
KINDS = {"errors": Folder, "errors.duckdb": File}


@pytest.fixture
def store() -> Store:
    store = open_store("memory://")
    more(store, create_project(store, "x"), 0)
    return store


def more(store: Store, project: Project, start: int) -> None:
    """Record events that do not get small."""
    noise = [os.urandom(10_000).hex() for _ in range(50)]
    store.record([digested(project, start + n, payload=b'{"x": "%s"}' % x.encode()) for n, x in enumerate(noise)])


def events(dest: Path) -> int:
    with Dataset.open(dest) as dataset:
        ((count,),) = dataset.sql("SELECT count(*) FROM (SELECT DISTINCT event_id FROM events)").rows()
        assert dataset.sql("SELECT sum(events) FROM tag_days WHERE key = 'level'").rows() == [(count,)]
    return int(count)


def files(folder: Path) -> set[Path]:
    return {file for file in folder.rglob("*") if file.is_file() and file.suffix != ".wal"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "room"),
    [
        ("errors", 0),  # which moves files, and writes only small ones
        ("errors", 4 * _KIB),
        ("errors.duckdb", 0),
        ("errors.duckdb", 16 * _KIB),
        ("errors.duckdb", 200 * _KIB),
    ],
)
def test_full_at_the_end(
    store: Store, small_disk: SmallDisk, name: str, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When all is gathered, and put in its place."""
    small_disk.resize(64 * _MIB)
    dest = small_disk.path / name
    export(store, dest, now=NOW)
    more(store, store.project_by_slug("x"), 100)
    before = files(small_disk.path)
    real: Any = KINDS[name].commit

    def commit(self: Any, *given: Any) -> int:
        used = os.statvfs(small_disk.path)
        small_disk.resize((used.f_blocks - used.f_bfree) * used.f_frsize + room)
        done: int = real(self, *given)
        return done

    with monkeypatch.context() as patched:
        patched.setattr(KINDS[name], "commit", commit)
        with pytest.raises(DatasetError, match="the disk is full; free some space"):
            export(store, dest, now=NOW)
    assert files(small_disk.path) == before
    assert events(dest) == 50
    small_disk.resize(64 * _MIB)
    assert export(store, dest, now=NOW).new == 50
    assert events(dest) == 100


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_full_while_gathering(store: Store, small_disk: SmallDisk, name: str) -> None:
    """Nothing is left of a first one but, of a folder, the folder; and the next one is whole."""
    small_disk.resize(256 * _KIB)
    with pytest.raises(DatasetError, match="the disk is full; free some space"):
        export(store, small_disk.path / name, now=NOW)
    assert {file.name for file in files(small_disk.path)} <= {".export.lock"}
    small_disk.resize(64 * _MIB)
    export(store, small_disk.path / name, now=NOW)
    assert events(small_disk.path / name) == 50


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_a_disk_that_is_only_read(store: Store, small_disk: SmallDisk, name: str) -> None:
    """What is there can be asked, and an export says what is wrong."""
    small_disk.resize(64 * _MIB)
    dest = small_disk.path / name
    export(store, dest, now=NOW)
    more(store, store.project_by_slug("x"), 100)
    small_disk.make_read_only()
    for place in (dest, small_disk.path / f"new-{name}"):
        with pytest.raises(DatasetError, match="cannot be written: Read-only file system"):
            export(store, place, now=NOW)
    assert events(dest) == 50
