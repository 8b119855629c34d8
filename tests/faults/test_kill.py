"""Kill -9 at random moments: every acknowledged event is there, once, and the counters say the same."""

import contextlib
import os
import random
import signal
from pathlib import Path

import pytest

from tests.faults.accounts import hold
from tests.faults.burst import KINDS, Burst, free_port
from tests.serve.support import Served, new_ids

EVENTS_PER_ROUND = 300
WHOM = ("all", "parent", "http", "digest", "one http", "one digest", "children")


def kill(served: Served, whom: str) -> None:
    """Kill -9 some processes of *served*."""
    if whom.startswith("one "):
        pids = served.pids(whom.removeprefix("one "))
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids[0], signal.SIGKILL)
        return
    served.kill(
        parent=whom in {"all", "parent"},
        http=whom in {"all", "http", "children"},
        worker=whom in {"all", "digest", "children"},
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rounds", "server"),
    [
        (4, "waitress"),
        pytest.param(50, "waitress", marks=pytest.mark.faults),
        pytest.param(14, "granian", marks=pytest.mark.faults),
    ],
)
def test_kill_9_of_every_process_loses_and_doubles_nothing(tmp_path: Path, rounds: int, server: str) -> None:
    """Parent, HTTP processes and digest workers are killed together, alone, again and again within a burst."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    order = [whom for _ in range(rounds) for whom in chance.sample(WHOM, len(WHOM))][:rounds]
    port = free_port()
    ids = new_ids(EVENTS_PER_ROUND * (rounds + 1))
    how = ("--server", server)
    first = served = Served(tmp_path, *how, port=port)
    try:
        with Burst(ids, served.envelope_path, port) as burst:
            for number, whom in enumerate(order):
                burst.wait_for(number * EVENTS_PER_ROUND + chance.randrange(1, EVENTS_PER_ROUND))
                kill(served, whom)
                if whom in {"all", "parent"}:
                    served = Served(tmp_path, *how, port=port, like=first)
            burst.finish(within_s=300)
            assert burst.refused == []
            assert burst.acknowledged == set(ids)
        hold(served, ids)
        issues = list(served.pages(f"/api/projects/{served.project_id}/issues"))
        assert sorted(issue["short_id"] for issue in issues) == sorted(f"MY-APP-{n}" for n in range(1, KINDS + 1))
        assert sum(issue["event_count"] for issue in issues) == len(ids)
        assert served.stop() == 0
    finally:
        served.kill()
