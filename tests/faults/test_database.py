"""The database is locked, or cannot be written: accepting goes on meanwhile, and all of it arrives afterwards."""

import contextlib
import resource
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.accounts import hold, totals
from tests.faults.burst import Burst
from tests.serve.support import Served, new_ids

PER_S = 100
SHORT_S = 4
LONG_S = 60


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold SQLite's one lock for writing, as a backup or a forgotten transaction in another program does."""
    with contextlib.closing(sqlite3.connect(data_dir / "rustrak.db", isolation_level=None, timeout=60)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def unwritable(served: Served) -> Iterator[None]:
    """Have the kernel refuse whatever the digest workers write to files: to SQLite, the disk fails."""
    limit = (0, resource.RLIM_INFINITY)
    pids = served.pids("digest")
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)
    yield
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [SHORT_S, pytest.param(LONG_S, marks=pytest.mark.faults)])
@pytest.mark.parametrize("fault", ["locked", "unwritable"])
def test_accepting_goes_on_without_the_database(tmp_path: Path, fault: str, seconds: int) -> None:
    """While nothing can be recorded every request is answered with 200, soon; then all is stored."""
    ids = new_ids(PER_S * seconds)
    with Served(tmp_path) as served:
        served.wait_for(lambda: len(served.pids("digest")) == len(served.pids("http")) > 0, "workers")
        served.send(ids[0], message="warm")
        served.wait_for_events(1)
        with locked(tmp_path) if fault == "locked" else unwritable(served):
            until = time.monotonic() + seconds
            with Burst(ids[1:], served.envelope_path, served.port, clients=4, pause_s=4 / PER_S) as burst:
                burst.finish(within_s=4 * seconds + 60)
            assert burst.refused == []
            assert totals(served)["stored"] < len(ids), "the fault was none"
            served.wait_for(lambda: totals(served).total() == len(ids), "statistics, which are read all the same")
            time.sleep(max(0.0, until - time.monotonic()))
        served.wait_for_events(len(ids), within_s=90)
        hold(served, ids)
        served.wait_for(served.is_ready, "readiness")
        assert served.stop() == 0
    print(f"{fault} for {seconds} s: {len(ids)} events accepted, the slowest answer took {burst.slowest_s:.2f} s")
    print(served.stderr.read_text())
    assert burst.slowest_s < max(seconds / 2, 2), "it waited for the database"
