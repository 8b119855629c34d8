"""A database server that stops, cannot be reached, answers late, or loses connections: all of it arrives, once."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy import URL

from tests.benchmarks.bodies import request_bytes
from tests.benchmarks.events import Body
from tests.benchmarks.load import Target
from tests.databases import SERVERS, new_database, text_of
from tests.faults.accounts import hold
from tests.faults.burst import KINDS, Burst
from tests.faults.cluster import Cluster, new_cluster
from tests.faults.pace import Pace
from tests.faults.relay import Relay
from tests.serve.support import Served, envelope, exception, new_ids

PER_S = 100
SHORT_S = 4
LONG_S = 60
DELAY_S = 0.2
FRAY_S = 0.05
WARM = 20
BEFORE_S = 1
AFTER_S = 2
ANSWERED_WITHIN_S = 2.0

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


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with new_cluster() as made:
        yield made


@pytest.mark.parametrize("seconds", [SHORT_S, pytest.param(LONG_S, marks=pytest.mark.faults)])
@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_postgresql_is_stopped_and_started_again(
    tmp_path: Path, cluster: Cluster, mode: Literal["fast", "immediate"], seconds: int
) -> None:
    """Accepting never pauses: what comes at a fixed rate is answered with 200 within a bound, and is all there, once.

    An immediate stop is what a crash is: recovery follows, and of a commit under way nobody knows whether it was done.
    """
    ids = new_ids(WARM + PER_S * (BEFORE_S + seconds + AFTER_S))
    with Served(tmp_path, "--database-url", text_of(cluster.url)) as served:
        for event_id in ids[:WARM]:  # enough for most that each process has met the key
            assert served.send(event_id, message="warm") == 200
        served.wait_for_events(WARM)
        target = Target(port=served.port, path=f"/api/{served.project_id}/envelope/", key=served.key)
        bodies = [envelope(event_id, **exception(f"Stop{n % KINDS}Error")) for n, event_id in enumerate(ids[WARM:])]
        sent = [request_bytes(target.path, target.auth, Body(encoding="", data=body)) for body in bodies]
        pace = Pace(target, rate=PER_S, of=iter(sent))
        sender = threading.Thread(target=pace.run, args=(lambda _now: pace.sent == len(sent),), name="pace")
        sender.start()
        try:
            served.wait_for(lambda: pace.sent >= PER_S * BEFORE_S, "the first second", within_s=30)
            cluster.stop(mode)
            stopped_at = time.monotonic()
            assert "reach" in served.get(f"/api/projects/{served.project_id}", status=503)["error"]
            assert not served.is_ready()
            time.sleep(max(0.0, stopped_at + seconds - time.monotonic()))
            cluster.start()
        finally:
            sender.join(60)
        assert not sender.is_alive()
        assert pace.statuses == {200: len(sent)}
        hold(served, ids)
        served.wait_for(served.is_ready, "readiness")
        assert served.stop() == 0
    slowest_s = max(pace.latencies_ms) / 1000
    print(f"{mode} stop for {seconds} s: {len(sent)} events sent, the slowest answer took {slowest_s:.2f} s")
    assert slowest_s < ANSWERED_WITHIN_S, "it waited for the database"
