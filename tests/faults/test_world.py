"""What else happens to a server: a clock that jumps, a second server on its data, a project that goes."""

import contextlib
import json
import random
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from rustrak_storage.spool.lane import Lane, lane_names
from tests import ledger
from tests.faults.accounts import days, hold
from tests.faults.burst import Burst
from tests.serve.support import Served, exception, new_ids, paused

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


def counted(data_dir: Path, project_id: int) -> dict[str, int]:
    """Return how often events of a project had each outcome; the API does not tell of a project that is gone."""
    query = "SELECT outcome, SUM(quantity) FROM rustrak_counter WHERE project_id = ? AND category = 'error' GROUP BY 1"
    with contextlib.closing(sqlite3.connect(data_dir / "rustrak.db", timeout=30)) as connection:
        return dict(connection.execute(query, (project_id,)).fetchall())


def rows(data_dir: Path, table: str) -> int:
    """Return how many rows a table has."""
    with contextlib.closing(sqlite3.connect(data_dir / "rustrak.db", timeout=30)) as connection:
        (number,) = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        return int(number)


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


def flip_bits(path: Path, places: Sequence[int], chance: random.Random) -> None:
    """Flip a bit in each of some bytes of a file."""
    with path.open("r+b") as file:
        for at in places:
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ 1 << chance.randrange(8)]))


@pytest.mark.slow
def test_bits_flip_in_the_spool(tmp_path: Path) -> None:
    """What they hit is set aside, told and counted as quarantined; all else is stored, and the sum holds."""
    chance = random.Random(1)
    early, queued = new_ids(1), new_ids(200)
    with Served(tmp_path) as served:
        assert served.send(early[0], **exception("EarlyError")) == 200
        served.wait_for_events(1)
        with paused(served.pids("digest")):
            for event_id in queued:
                assert served.send(event_id, **exception("FineError", text="z" * 3000)) == 200
            hit = set()
            for path in (tmp_path / "spool").glob("*/*.seg"):
                data = path.read_bytes()
                starts = [data.find(event_id.hex.encode() + b'"') for event_id in queued]
                found = [(number, at) for number, at in enumerate(starts) if at >= 0]
                some = found[: len(found) // 5]
                flip_bits(path, [data.index(b"zzzz", at) + chance.randrange(3000) for _, at in some], chance)
                hit |= {queued[number] for number, _ in some}
            assert len(hit) >= 20
        hold(served, {*early, *queued} - hit)
        ledger.require(days(served), sent=201, stored=201 - len(hit), quarantined=len(hit), queued=0)
        served.wait_for(served.is_ready, "readiness")
        assert served.stop() == 0
    lines = [json.loads(line) for line in served.stderr.read_text().splitlines()]
    damaged = [line for line in lines if line.get("problem") == "spool_damaged"]
    assert sum(int(line["records"]) for line in damaged) == len(hit)
    assert {int(line["unknown"]) for line in damaged} == {0}
    assert len(list((tmp_path / "spool" / "damaged").iterdir())) == len(hit)


@pytest.mark.slow
def test_a_project_is_deleted_while_its_events_are_queued(tmp_path: Path) -> None:
    """Its events go with it, are counted as deleted, however late they are digested, and hold nothing up."""
    with Served(tmp_path) as served, contextlib.closing(served.connect()) as client:
        served.wait_for(lambda: len(served.pids("digest")) == len(served.pids("http")) > 0, "workers")
        assert served.send(new_ids(1)[0], **exception("EarlyError")) == 200
        served.wait_for_events(1)
        with paused(served.pids("digest")):
            for event_id in new_ids(50):
                assert served.send(event_id, **exception("LostError")) == 200
            auth = {"Authorization": f"Bearer {served.token}"}
            client.request("DELETE", f"/api/projects/{served.project_id}", headers=auth)
            response = client.getresponse()
            response.read()
            assert response.status == 200
        assert served.send(new_ids(1)[0], message="late") == 404
        served.wait_for(lambda: is_drained(tmp_path / "spool"), "end of the queue")
        served.wait_for(lambda: rows(tmp_path, "rustrak_event") == rows(tmp_path, "rustrak_doomed") == 0, "purge")
        assert counted(tmp_path, served.project_id) == {"stored": 1, "deleted": 50}
        served.get(f"/api/projects/{served.project_id}/stats", status=404)
        served.wait_for(served.is_ready, "readiness")
        assert served.stop() == 0
