"""What is measured: bursts, digesting, memory, size, and the routes of the API."""

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.ambient import utc_now
from rustrak_core.digest import digest
from rustrak_core.project import ProjectId
from rustrak_storage.factory import open_store
from tests.benchmarks.events import event_id_of, event_json, issue_of
from tests.benchmarks.load import Load, Target, percentile, send
from tests.serve.support import Served

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_SEED_BATCH = 500


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


def ingest(data_dir: Path, bodies: Path, count: int, *options: str, connections: int, wrk: bool) -> Ingest:
    """Send a burst to a new server with *options* of `rustrak serve`, and wait until it is digested."""
    with Served(data_dir, *options) as served:
        served.wait_for(served.worker_pids, "worker")
        served.send(uuid4(), message="warm")
        served.wait_for_events(1)
        empty = _stored(data_dir)
        servers, workers = [served.process.pid, *served.pids("http")], served.worker_pids()
        before = [_cpu_of(pids) for pids in (servers, workers)]
        target = Target(port=served.port, path=f"/api/{served.project_id}/envelope/", key=served.key)
        begun = time.perf_counter()
        load = send(target, bodies, count, connections=connections, wrk=wrk)
        pss = _pss([*servers, *workers])
        served.wait_for_events(1 + load.requests - load.errors, within_s=120)
        seconds = time.perf_counter() - begun
        used = [_difference(_cpu_of(pids), was) for pids, was in zip((servers, workers), before, strict=True)]
        digested = served.project()["event_count"] - 1
        served.stop()
        stored = _stored(data_dir) - empty
    return Ingest(
        load=load,
        digested_per_s=digested / seconds,
        accept_cpu_us=None if used[0] is None else used[0] / digested * 1e6,
        digest_cpu_us=None if used[-1] is None else used[-1] / digested * 1e6,
        pss_bytes=pss,
        stored_bytes_per_event=stored / digested,
        load_average=os.getloadavg()[0],
    )


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


def routes(data_dir: Path, events: int, *, requests: int) -> dict[str, dict[str, float]]:
    """Fill a store with *events* events, and return the latencies of each route in milliseconds."""
    with Served(data_dir) as first:
        first.stop()
    seed(f"sqlite:///{data_dir / 'rustrak.db'}", ProjectId(first.project_id), events)
    with Served(data_dir, like=first) as served:
        served.wait_for(served.is_ready, "readiness")
        project = f"/api/projects/{served.project_id}"
        issue = served.get(f"{project}/issues?sort=event_count")["data"][0]
        event_id = served.get(f"/api/issues/{issue['id']}/events?limit=1")["data"][0]["id"]
        second = served.get(f"{project}/issues").get("next_cursor", "")
        paths = {
            "projects": "/api/projects",
            "project": project,
            "issues": f"{project}/issues",
            "issues, next page": f"{project}/issues?cursor={second}" if second else f"{project}/issues",
            "issues, limit 100": f"{project}/issues?limit=100",
            "issues by event_count": f"{project}/issues?sort=event_count",
            "issues, state open": f"{project}/issues?state=open",
            "issues, environment and level": f"{project}/issues?environment=production&level=error",
            "issues, q words": f"{project}/issues?q={'+'.join(issue['message'].split()[:3])}",
            "issues, q tag": f"{project}/issues?q=region:eu",
            "issue": f"/api/issues/{issue['id']}",
            "issue by short id": f"/api/issues/{issue['short_id']}",
            "events of an issue": f"/api/issues/{issue['id']}/events",
            "event": f"/api/events/{event_id}",
            "stats": f"{project}/stats",
            "tokens": "/api/tokens",
            "ready": "/health/ready",
        }
        return {name: _latencies(served, path, requests) for name, path in paths.items()}


def seed(url: str, project_id: ProjectId, events: int) -> None:
    """Record *events* events in a store, past HTTP and spool."""
    store = open_store(url)
    with contextlib.closing(store):
        for start in range(0, events, _SEED_BATCH):
            batch = []
            for number in range(start, min(start + _SEED_BATCH, events)):
                event_id = event_id_of(number)
                body = event_json(issue_of(number), number, event_id)
                accepted = AcceptedEvent(project_id=project_id, event_id=event_id, received_at=utc_now(), payload=body)
                batch.append(digest(accepted))
            store.record(batch)


def _latencies(served: Served, path: str, requests: int) -> dict[str, float]:
    took = []
    with contextlib.closing(served.connect()) as client:
        for _ in range(requests + 1):
            begun = time.perf_counter()
            _read(client, path, served.token)
            took.append((time.perf_counter() - begun) * 1e3)
    warm = took[1:]
    return {"p50_ms": percentile(warm, 50), "p95_ms": percentile(warm, 95), "p99_ms": percentile(warm, 99)}


def _read(client: http.client.HTTPConnection, path: str, token: str) -> None:
    client.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    response = client.getresponse()
    response.read()
    assert response.status == 200, (path, response.status)


def _stored(data_dir: Path) -> int:
    return sum(file.stat().st_size for file in data_dir.glob("rustrak.db*"))


def _pss(pids: list[int]) -> int | None:
    """Return the memory of processes, shared pages counted once (Linux only)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            return None
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


def _cpu_of(pids: list[int]) -> float | None:
    used = [_cpu_s(pid) for pid in pids]
    return None if None in used else sum(each for each in used if each is not None)


def _cpu_s(pid: int) -> float | None:
    """Return the processor time that a process has used (Linux only)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def environment() -> dict[str, Any]:
    """Return what figures depend on."""
    return {"python": sys.version.split()[0], "cpus": os.cpu_count(), "load_average": os.getloadavg()[0]}
