"""Poison in a real server: digest workers crash, are killed or hang, and the rest flows without a hand."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.serve.support import Served, exception, new_ids

# Loaded by each Python that the test starts: a digester with a fault, as a bug in a C library would be one.
FAULTY = """
import os, signal, sys, time
import rustrak_core.digest as module

real = module.digest

def digest(event, **how):
    if b"POISON-exit" in event.payload:
        os._exit(3)
    if b"POISON-segfault" in event.payload:
        os.kill(os.getpid(), signal.SIGSEGV)
    if b"POISON-kill" in event.payload:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"POISON-SystemExit" in event.payload:
        sys.exit(3)
    if b"POISON-hang" in event.payload:
        while True:
            time.sleep(0.01)
    if b"slow" in event.payload:
        time.sleep(0.2)
    return real(event, **how)

module.digest = digest  # before the worker is imported

import rustrak_http.cli.digest as settings

settings.STUCK_S = 1.0
settings.SILENT_S = 2.0
"""


@pytest.fixture(autouse=True)
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "faulty").mkdir()
    (tmp_path / "faulty" / "sitecustomize.py").write_text(FAULTY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "faulty"))


def day(served: Served) -> dict[str, int]:
    """Return the project's only day, its numbers held against each other."""
    (row,) = served.get(f"/api/projects/{served.project_id}/stats")["data"]
    numbers = {key: value for key, value in row.items() if isinstance(value, int)}
    assert numbers["received"] == sum(value for key, value in numbers.items() if key != "received")
    return numbers


def in_quarantine(served: Served) -> list[Path]:
    return list((served.data_dir / "spool" / "quarantine").glob("*.event"))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["exit", "segfault", "kill", "SystemExit", "hang"])
def test_poison_costs_itself_only(tmp_path: Path, how: str) -> None:
    """What ends, or stops, each worker is in quarantine after three tries; all else is stored, and all counted once."""
    with Served(tmp_path / "data") as served:
        ids = new_ids(40)
        for number, event_id in enumerate(ids):
            if number == 20:
                assert served.send(uuid4(), message=f"POISON-{how}") == 200
            assert served.send(event_id, **exception("FineError")) == 200
        served.wait_for(lambda: in_quarantine(served), "quarantine", within_s=60)
        served.wait_for_events(40)
        served.wait_for(lambda: day(served)["queued"] == 0, "end of the queue")
        numbers = day(served)
        assert (numbers["stored"], numbers["quarantined"], numbers["received"]) == (40, 1, 41)
        assert b"POISON-" in in_quarantine(served)[0].read_bytes()
        served.wait_for(served.is_ready, "readiness")
        assert served.stop() == 0
    text = served.stderr.read_text()
    assert sum("event_quarantined" in line for line in text.splitlines()) == 1
    assert "POISON" not in text


@pytest.mark.slow
def test_a_flood_of_poison(tmp_path: Path) -> None:
    """Whoever sends poison goes on; what others send is stored meanwhile, and soon."""
    with Served(tmp_path / "data") as served:
        for event_id in new_ids(60):
            assert served.send(uuid4(), message="POISON-segfault") == 200
            assert served.send(event_id, **exception("FineError")) == 200
        served.wait_for(lambda: day(served)["queued"] == 0, "end of the queue", within_s=60)
        numbers = day(served)
        assert (numbers["stored"], numbers["quarantined"], numbers["received"]) == (60, 60, 120)
        assert len(in_quarantine(served)) == 60
        assert served.stop() == 0
    assert served.stderr.read_text().count("child_ended") <= 12


@pytest.mark.slow
def test_retry_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event is given back to a server that runs, and mended meanwhile; its count moves with it."""
    import subprocess
    import sys

    poison = uuid4()
    with Served(tmp_path / "data") as served:
        assert served.send(poison, message="POISON-exit") == 200
        served.wait_for(lambda: day(served)["quarantined"] == 1, "quarantine")
        assert served.stop() == 0
    monkeypatch.delenv("PYTHONPATH")
    with Served(tmp_path / "data", like=served) as mended:
        command = [sys.executable, "-m", "rustrak_http.cli", "quarantine", "retry", str(poison)]
        subprocess.run([*command, "--data-dir", str(mended.data_dir)], check=True, capture_output=True)
        mended.wait_for_events(1)
        assert mended.get(f"/api/events/{poison}")["message"]
        numbers = day(mended)
        assert (numbers["stored"], numbers["quarantined"], numbers["received"]) == (1, 0, 1)
        assert in_quarantine(mended) == []


@pytest.mark.slow
def test_slow_events_are_no_poison(tmp_path: Path) -> None:
    """A batch that takes longer than a stuck event may is digested all the same, since it gets on."""
    with Served(tmp_path / "data") as served:
        for event_id in new_ids(20):
            assert served.send(event_id, message="slow") == 200
        served.wait_for_events(20, within_s=60)
        numbers = day(served)
        assert (numbers["stored"], numbers["received"]) == (20, 20)
        assert served.stop() == 0
    assert served.stderr.read_text() == ""
