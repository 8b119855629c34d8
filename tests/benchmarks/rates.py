"""Events at a fixed rate, whether or not the server keeps up; so latencies hide no waiting."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import attrs

from tests.benchmarks.bodies import read_bodies, request_bytes
from tests.benchmarks.ingest import target_of, warm_up
from tests.benchmarks.load import percentile
from tests.faults.pace import Pace
from tests.serve.support import Served


@attrs.frozen(kw_only=True)
class AtRate:
    """What came of an open loop at *rate* events a second.

    Attributes:
        accepted_per_s: Up to the last answer.
        p50_ms, p95_ms, p99_ms: From when a request was due until its answer.
        errors: Answers but 200, and broken connections.
        digested_per_s: While accepting.
        drained_s: From the last answer until all was digested.
        generator_share: Of one processor, what the generator used.
    """

    rate: int
    accepted_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int
    digested_per_s: float
    drained_s: float
    generator_share: float
    load_average: float


def at_rates(
    data_dir: Path, bodies: Path, rates: Sequence[int], seconds: float, *options: str, connections: int
) -> list[AtRate]:
    """Hold a new server to each rate for so long, one after the other; it has digested all before the next."""
    with Served(data_dir, *options) as served:
        warm_up(served)
        target = target_of(served)
        requests = (request_bytes(target.path, target.auth, body) for body in read_bodies(bodies))
        return [
            _at_rate(served, Pace(target, rate=rate, connections=connections, of=requests), rate, int(rate * seconds))
            for rate in rates
        ]


def _at_rate(served: Served, pace: Pace, rate: int, last: int) -> AtRate:
    before = served.project()["event_count"]
    used = time.process_time()
    took = pace.run(lambda _: pace.sent >= last)
    used = time.process_time() - used
    digested = served.project()["event_count"] - before
    begun = time.perf_counter()
    served.wait_for_events(before + pace.accepted, within_s=180)
    drained_s = time.perf_counter() - begun
    latencies = list(pace.latencies_ms)
    return AtRate(
        rate=rate,
        accepted_per_s=pace.accepted / took,
        p50_ms=percentile(latencies, 50),
        p95_ms=percentile(latencies, 95),
        p99_ms=percentile(latencies, 99),
        errors=pace.statuses.total() - pace.accepted,
        digested_per_s=digested / took,
        drained_s=drained_s,
        generator_share=used / took,
        load_average=os.getloadavg()[0],
    )
