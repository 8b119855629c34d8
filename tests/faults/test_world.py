"""What else happens to a server: a clock that jumps, a second server on its data, a project that goes."""

import contextlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rustrak_storage.spool.lane import Lane, lane_names
from tests.faults.accounts import hold
from tests.faults.burst import Burst
from tests.serve.support import Served, exception, new_ids

# Loaded by each Python that the test starts; what tells the time is ahead by what a file says, in seconds.
CLOCK = """
import datetime, os, time
import rustrak_core.ambient as ambient

real_time, real_now = time.time, ambient.utc_now

def ahead():
    try:
        with open(os.environ["TEST_AHEAD"]) as file:
            return float(file.read())
    except OSError:
        return 0.0

time.time = lambda: real_time() + ahead()
ambient.utc_now = lambda: real_now() + datetime.timedelta(seconds=ahead())
"""


@pytest.mark.slow
def test_the_clock_jumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour forth, back, further back and forth again, within a burst: nothing is lost, doubled or refused."""
    (tmp_path / "python").mkdir()
    (tmp_path / "python" / "sitecustomize.py").write_text(CLOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "python"))
    monkeypatch.setenv("TEST_AHEAD", str(tmp_path / "ahead"))
    ids = new_ids(1500)
    with Served(tmp_path / "data") as served:
        with Burst(ids, served.envelope_path, served.port) as burst:
            for number, ahead in enumerate((3600, 0, -3600, 0)):
                burst.wait_for(300 * (number + 1))
                (tmp_path / "draft").write_text(str(ahead))
                (tmp_path / "draft").replace(tmp_path / "ahead")
            burst.finish()
        assert burst.refused == []
        hold(served, ids)
        served.wait_for(served.is_ready, "readiness")
        assert served.stop() == 0
    assert "child_" not in served.stderr.read_text()


@pytest.mark.slow
def test_two_servers_on_one_spool(tmp_path: Path) -> None:
    """Two servers share the lanes of one spool; when one is killed, the other digests what that one accepted."""
    mine, others = new_ids(1000), new_ids(1000)
    with Served(tmp_path) as served:
        other = Served(tmp_path, like=served)
        try:
            with Burst(mine, served.envelope_path, served.port, clients=4) as burst:
                with Burst(others, other.envelope_path, other.port, clients=4) as second:
                    second.wait_for(500)
                    other.kill()
                burst.finish()
        finally:
            other.kill()
        hold(served, [*mine, *second.acknowledged], perhaps=others)
        assert served.stop() == 0


@contextlib.contextmanager
def paused(pids: list[int]) -> Iterator[None]:
    """Stop processes, and have them go on afterwards."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def counted(data_dir: Path, project_id: int) -> dict[str, int]:
    """Return how often events of a project had each outcome; the API does not tell of a project that is gone."""
    query = "SELECT outcome, SUM(quantity) FROM rustrak_counter WHERE project_id = ? AND category = 'error' GROUP BY 1"
    with contextlib.closing(sqlite3.connect(data_dir / "rustrak.db", timeout=30)) as connection:
        return dict(connection.execute(query, (project_id,)).fetchall())


def is_drained(spool: Path) -> bool:
    """Tell whether every lane is recorded to its end."""
    for name in lane_names(spool):
        lane = Lane(spool / name)
        numbers, done = lane.segments(), lane.read_done()
        if numbers and (
            done is None or (done.segment, done.offset) < (numbers[-1], lane.good_length(numbers[-1], None))
        ):
            return False
    return True


@pytest.mark.slow
def test_a_project_is_deleted_while_its_events_are_queued(tmp_path: Path) -> None:
    """Its events go with it, are counted as deleted, and hold nothing up."""
    with Served(tmp_path) as served, contextlib.closing(served.connect()) as client:
        served.wait_for(lambda: len(served.pids("digest")) == len(served.pids("http")) > 0, "workers")
        with paused(served.pids("digest")):
            for event_id in new_ids(50):
                assert served.send(event_id, **exception("LostError")) == 200
            auth = {"Authorization": f"Bearer {served.token}"}
            client.request("DELETE", f"/api/projects/{served.project_id}", headers=auth)
            response = client.getresponse()
            response.read()
            assert response.status == 200
        assert served.send(new_ids(1)[0], message="late") == 404
        # Those that a worker comes to after the project's last row was purged have no statistics to stand in.
        served.wait_for(lambda: counted(tmp_path, served.project_id).get("deleted"), "count of what was deleted")
        served.wait_for(lambda: is_drained(tmp_path / "spool"), "end of the queue")
        served.get(f"/api/projects/{served.project_id}/stats", status=404)
        served.wait_for(served.is_ready, "readiness")
        assert set(counted(tmp_path, served.project_id)) <= {"deleted", "invalid"}
        assert served.stop() == 0
