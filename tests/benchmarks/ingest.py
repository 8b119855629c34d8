"""A burst as fast as answers come, and the digesting of it."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import attrs

from tests.benchmarks.load import Load, Target, send
from tests.benchmarks.processes import cpu_s, memory_of, stored_bytes
from tests.serve.support import Served, paused


@attrs.frozen(kw_only=True)
class Ingest:
    """A burst, and the digesting of it.

    Attributes:
        digested_per_s: Events over the time from the first request to the last event that can be read.
        accept_cpu_us, digest_cpu_us: Processor time of server and worker, an event; the same on a busy machine.
        pss_bytes: Memory of all processes just after the burst, shared pages counted once; None where unknown.
        load_average: Of the last minute, at the end.
    """

    load: Load
    digested_per_s: float
    accept_cpu_us: float | None
    digest_cpu_us: float | None
    pss_bytes: int | None
    stored_bytes_per_event: float
    load_average: float


def ingest(
    data_dir: Path, bodies: Path, count: int, *options: str, connections: int, wrk: bool, lagging: bool = False
) -> Ingest:
    """Send a burst to a new server with *options* of `rustrak serve`, and wait until it is digested.

    Args:
        lagging: Digestion lags: the workers are stopped (SIGSTOP) until the last answer is there.
    """
    with Served(data_dir, *options) as served:
        warm_up(served)
        empty = stored_bytes(data_dir)
        servers, workers = [served.process.pid, *served.pids("http")], served.worker_pids()
        before = [cpu_s(pids) for pids in (servers, workers)]
        begun = time.perf_counter()
        with paused(workers if lagging else []):
            load = send(target_of(served), bodies, count, connections=connections, wrk=wrk)
        memory = memory_of(served)
        served.wait_for_events(1 + load.requests - load.errors, within_s=120)
        seconds = time.perf_counter() - begun
        used = [_difference(cpu_s(pids), was) for pids, was in zip((servers, workers), before, strict=True)]
        digested = served.project()["event_count"] - 1
        served.stop()
        stored = stored_bytes(data_dir) - empty
    return Ingest(
        load=load,
        digested_per_s=digested / seconds,
        accept_cpu_us=None if used[0] is None else used[0] / digested * 1e6,
        digest_cpu_us=None if used[-1] is None else used[-1] / digested * 1e6,
        pss_bytes=None if memory is None else memory["total"],
        stored_bytes_per_event=stored / digested,
        load_average=os.getloadavg()[0],
    )


def warm_up(served: Served) -> None:
    """Return when an event has gone all the way."""
    served.wait_for(served.worker_pids, "worker")
    served.send(uuid4(), message="warm")
    served.wait_for_events(1)


def target_of(served: Served) -> Target:
    """Return where SDKs send to."""
    return Target(port=served.port, path=f"/api/{served.project_id}/envelope/", key=served.key)


@contextlib.contextmanager
def null_server(server: str, processes: int) -> Iterator[Target]:
    """Run a server with an application that does nothing."""
    command = [sys.executable, "-m", "tests.benchmarks.null", server, str(processes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Target(port=int(process.stdout.readline()), path="/api/1/envelope/", key="0" * 32)
        finally:
            process.terminate()


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before
