"""The database is locked, slow, or cannot be written: accepting goes on, and all of it arrives, once."""

import contextlib
import os
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
STATEMENT_S = 0.1
COMMIT_S = 5.0
WARM = 20


@contextlib.contextmanager
def locked(served: Served) -> Iterator[None]:
    """Hold SQLite's one lock for writing, as a backup or a forgotten transaction in another program does."""
    with contextlib.closing(
        sqlite3.connect(served.data_dir / "rustrak.db", isolation_level=None, timeout=60)
    ) as connection:
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


# Loaded by each Python that the test starts: while a file is there, the database takes its time.
SLOW = f"""
import os, sqlite3, sqlite3.dbapi2, time

def wait(seconds):
    if os.path.exists(os.environ["TEST_SLOW"]):
        time.sleep(seconds)

class Cursor(sqlite3.Cursor):
    def execute(self, *args):
        wait({STATEMENT_S})
        return super().execute(*args)

    def executemany(self, *args):
        wait({STATEMENT_S})
        return super().executemany(*args)

class Connection(sqlite3.Connection):
    def cursor(self, factory=Cursor):
        return super().cursor(factory)

    def commit(self):
        if self.in_transaction and self.total_changes != getattr(self, "committed", 0):
            wait({COMMIT_S})
        self.committed = self.total_changes
        super().commit()

for module in sqlite3, sqlite3.dbapi2:  # the classes that the store's own are made from
    module.Cursor, module.Connection = Cursor, Connection
"""


@contextlib.contextmanager
def slowed(served: Served) -> Iterator[None]:
    """Have each statement and each commit take long, as on a disk that others keep busy."""
    slow = Path(os.environ["TEST_SLOW"])
    slow.touch()
    yield
    slow.unlink()


FAULTS = {"locked": locked, "unwritable": unwritable, "slow": slowed}


@pytest.fixture
def can_be_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "python"))
    monkeypatch.setenv("TEST_SLOW", str(tmp_path / "slow"))


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [SHORT_S, pytest.param(LONG_S, marks=pytest.mark.faults)])
@pytest.mark.parametrize("fault", FAULTS)
def test_accepting_goes_on_without_the_database(tmp_path: Path, can_be_slow: None, fault: str, seconds: int) -> None:
    """While nothing, or little, can be recorded every request is answered with 200, soon; then all is stored."""
    ids = new_ids(PER_S * seconds)
    with Served(tmp_path) as served:
        served.wait_for(lambda: len(served.pids("digest")) == len(served.pids("http")) > 0, "workers")
        for event_id in ids[:WARM]:  # enough for each process to have met the key
            assert served.send(event_id, message="warm") == 200
        served.wait_for_events(WARM)
        with FAULTS[fault](served):
            until = time.monotonic() + seconds
            with Burst(ids[WARM:], served.envelope_path, served.port, clients=4, pause_s=4 / PER_S) as burst:
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
    assert burst.slowest_s < min(seconds / 2, 5), "it waited for the database"
