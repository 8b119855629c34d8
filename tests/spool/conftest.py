"""A spool in a temporary folder, its reader, and a clock that only moves when told to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader
from tests.spool.helpers import FREE_BYTES, ManualClock


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def spool(directory: Path, clock: ManualClock) -> Iterator[DirectorySpool]:
    with_spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES, monotonic=clock)
    yield with_spool
    with_spool.close()


@pytest.fixture
def reader(directory: Path, clock: ManualClock) -> Iterator[DirectorySpoolReader]:
    with_reader = DirectorySpoolReader(directory, monotonic=clock)
    yield with_reader
    with_reader.close()
