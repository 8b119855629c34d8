"""Latencies of the API's routes, with many events behind them."""

import contextlib
import http.client
import time
from pathlib import Path

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.ambient import utc_now
from rustrak_core.digest import digest
from rustrak_core.project import ProjectId
from rustrak_storage.factory import open_store
from tests.benchmarks.events import event_id_of, event_json, issue_of
from tests.benchmarks.load import percentile
from tests.serve.support import Served

_SEED_BATCH = 500


def routes(data_dir: Path, events: int, *, requests: int, url: str | None = None) -> dict[str, dict[str, float]]:
    """Fill a store with *events* events, and return the latencies of each route in milliseconds.

    Args:
        url: The store's, an empty database; by default a SQLite file in *data_dir*.
    """
    options = () if url is None else ("--database-url", url)
    with Served(data_dir, *options) as first:
        first.stop()
    seed(url or f"sqlite:///{data_dir / 'rustrak.db'}", ProjectId(first.project_id), events)
    with Served(data_dir, *options, like=first) as served:
        served.wait_for(served.is_ready, "readiness")
        return latencies(served, requests)


def latencies(served: Served, requests: int) -> dict[str, dict[str, float]]:
    """Return the latencies of each route in milliseconds, of a server whose first project has events."""
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
