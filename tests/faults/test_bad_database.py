"""A database that cannot be written, is full, or is none: said with what to do, and what was there stays as it was."""

from pathlib import Path

import pytest

from rustrak_core.errors import SchemaError, StoreUnavailableError
from rustrak_storage.factory import check_database, copy_database, open_store, upgrade_database
from rustrak_storage.sql.migrate import HEAD
from rustrak_storage.testing.values import create_project, digested
from rustrak_storage.upkeep import Upgraded
from tests.contract.test_migrations import EVENTS
from tests.contract.test_migrations import fill as fill_0001
from tests.faults.small_disk import SmallDisk

DIARY = b"a diary, not a database\n" * 100
_MIB = 2**20


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A store of a megabyte."""
    url = f"sqlite:///{tmp_path}/source.db"
    store = open_store(url)
    project = create_project(store, "x")
    noise = Path("/dev/urandom").open("rb")  # noqa: SIM115 - closed below
    store.record([digested(project, number, payload=noise.read(20_000)) for number in range(60)])
    noise.close()
    store.close()
    return url


@pytest.mark.slow
def test_a_file_that_cannot_be_written(source: str, small_disk: SmallDisk) -> None:
    """One of an older version cannot be migrated, and none can be made."""
    url = f"sqlite:///{small_disk.path}/rustrak.db"
    fill_0001(url)
    small_disk.make_read_only()
    for use in (open_store, upgrade_database):
        with pytest.raises(StoreUnavailableError, match=r"cannot be (opened|written)"):
            use(url)
    with pytest.raises(StoreUnavailableError, match="check that its folder exists and can be written"):
        copy_database(source, f"{url}2")


@pytest.mark.slow
def test_a_disk_that_is_full_while_migrating(small_disk: SmallDisk) -> None:
    """The migration did not happen, and does once there is room."""
    url = f"sqlite:///{small_disk.path}/rustrak.db"
    fill_0001(url)
    small_disk.resize(sum(file.stat().st_size for file in small_disk.path.iterdir()) + 64 * 1024)
    with pytest.raises(StoreUnavailableError, match="the disk is full; free some space"):
        upgrade_database(url)
    small_disk.resize(64 * _MIB)
    assert check_database(url, payloads=0).schema == "0001"
    assert upgrade_database(url) == Upgraded(before="0001", after=HEAD)
    store = open_store(url)
    assert [store.event(stored.summary.id) for stored in EVENTS[:50]] == EVENTS[:50]
    store.close()


@pytest.mark.slow
def test_a_disk_that_is_full_while_copying(source: str, small_disk: SmallDisk) -> None:
    """The part that is there is not used, and the copy is done again once there is room."""
    url = f"sqlite:///{small_disk.path}/copy.db"
    small_disk.resize(_MIB)
    with pytest.raises(StoreUnavailableError, match="the disk is full; free some space"):
        copy_database(source, url)
    small_disk.resize(64 * _MIB)
    with pytest.raises(SchemaError, match="copy that is not complete"):
        open_store(url)
    copy_database(source, url)
    assert check_database(url, payloads=None).findings == []


def test_a_file_that_is_no_database(source: str, tmp_path: Path) -> None:
    """It is not touched, whatever is asked of it."""
    path = tmp_path / "diary.db"
    path.write_bytes(DIARY)
    url = f"sqlite:///{path}"
    with pytest.raises(StoreUnavailableError, match="not a SQLite database; move it away"):
        check_database(url, payloads=None)
    for pair in ((url, f"{source}2"), (source, url)):
        with pytest.raises(StoreUnavailableError, match="not a SQLite database; move it away"):
            copy_database(*pair)
    with pytest.raises(StoreUnavailableError, match="not a SQLite database; move it away"):
        upgrade_database(url)
    assert path.read_bytes() == DIARY
