"""A database server that goes away for a while, answers late, or loses connections: all of it arrives, once."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.databases import SERVERS, new_database, text_of
from tests.faults.accounts import hold
from tests.faults.burst import Burst
from tests.faults.relay import Relay
from tests.serve.support import Served, new_ids

PER_S = 100
SHORT_S = 4
LONG_S = 60
DELAY_S = 0.2
FRAY_S = 0.05
WARM = 20

pytestmark = [pytest.mark.slow, pytest.mark.needs_server]


@pytest.fixture(params=SERVERS)
def database(request: pytest.FixtureRequest) -> Iterator[URL]:
    with new_database(request.param) as url:
        yield url


@pytest.mark.parametrize("seconds", [SHORT_S, pytest.param(LONG_S, marks=pytest.mark.faults)])
@pytest.mark.parametrize("fault", ["gone", "slow", "frayed"])
def test_accepting_goes_on_without_the_server(tmp_path: Path, database: URL, fault: str, seconds: int) -> None:
    """Accepting goes on, and the workers afterwards, by themselves.

    Connections break and none can be made; or each answer takes long; or connections break at random, in the midst of
    transactions and commits.
    """
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    ids = new_ids(PER_S * seconds)
    with Relay(database.host or "127.0.0.1", database.port or 0) as relay:
        url = text_of(database.set(host="127.0.0.1", port=relay.port))
        with Served(tmp_path, "--database-url", url) as served:
            for event_id in ids[:WARM]:  # enough for most that each process has met the key
                assert served.send(event_id, message="warm") == 200
            served.wait_for_events(WARM)
            faults: dict[str, Callable[[], AbstractContextManager[None]]] = {
                "gone": relay.cut,
                "slow": lambda: relay.slow(DELAY_S),
                "frayed": lambda: relay.frayed(random.Random(seed), pause_s=FRAY_S),
            }
            with faults[fault]():
                until = time.monotonic() + seconds
                with Burst(ids[WARM:], served.envelope_path, served.port, clients=4, pause_s=4 / PER_S) as burst:
                    burst.finish(within_s=4 * seconds + 60)
                assert burst.refused == []
                if fault == "gone":
                    assert "reach" in served.get(f"/api/projects/{served.project_id}", status=503)["error"]
                    assert not served.is_ready()
                time.sleep(max(0.0, until - time.monotonic()))
            assert relay.broken > 0 or fault != "frayed"
            hold(served, ids)
            served.wait_for(served.is_ready, "readiness")
            assert served.stop() == 0
    print(f"{fault} for {seconds} s, {relay.broken} connections broken one by one")
    print(f"{len(ids)} events accepted, the slowest answer took {burst.slowest_s:.2f} s")
    # A process that meets the key only now looks it up once, with a few statements; nothing else waits.
    lookup_s = 8 * DELAY_S if fault == "slow" else 0
    assert burst.slowest_s < min(seconds / 2, 5) + lookup_s, "it waited for the database"
