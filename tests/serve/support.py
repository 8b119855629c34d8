"""A real ``rustrak serve`` in its own processes, and plain HTTP to talk to it; benchmarks use both too."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

SERVE = (sys.executable, "-m", "rustrak_http.cli", "serve")


class Served:
    """A server that runs.

    Attributes:
        facts: What it printed first, with ``--json``.
        url, port: Where it listens; empty and 0 of a worker.
        token, dsn, project_id: Of its first start, or of the server that had it, as in *like*.
    """

    def __init__(self, data_dir: Path, *options: str, port: int = 0, like: "Served | None" = None) -> None:
        self.data_dir = data_dir
        data_dir.mkdir(exist_ok=True)
        self.stderr = data_dir / "stderr.log"
        env = {name: value for name, value in os.environ.items() if not name.startswith("RUSTRAK_")}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled, as pip installs it
        command = [*SERVE, "--json", "--data-dir", str(data_dir), "--port", str(port), *options]
        with self.stderr.open("ab") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=env)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(10)
            self.process.stdout.close()
            raise RuntimeError(f"serve ended: {self.stderr.read_text()}")
        self.facts: dict[str, Any] = json.loads(line)
        self.url: str = self.facts.get("local_url", "")
        self.port = int(self.url.rpartition(":")[2] or 0)
        first = self.facts if like is None or "dsn" in self.facts else like.facts
        if like is not None and "dsn" not in self.facts:
            self.facts = {**like.facts, **self.facts}
        self.dsn: str = first.get("dsn", "")
        self.token: str = first.get("token", "")
        self.project_id: int = first["project"]["id"] if "project" in first else 0
        self.key = self.dsn.partition("://")[2].partition("@")[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def stop(self, *, within_s: float = 30) -> int:
        """Stop it with SIGTERM, and return its exit status."""
        self.process.terminate()
        return self.wait(within_s=within_s)

    def wait(self, *, within_s: float = 30) -> int:
        """Return its exit status once it has ended."""
        status = self.process.wait(within_s)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def pids(self, role: str = "") -> list[int]:
        """Return the process ids of its children, or of those of one role, ``http`` or ``digest``."""
        done = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [pid for pid in map(int, done.stdout.split()) if _name(pid) == f"rustrak-{role}" or not role]

    def worker_pids(self) -> list[int]:
        """Return the process id of the digest worker, if it runs."""
        return self.pids("digest")

    def kill(self, *, worker: bool = True, http: bool = True, parent: bool = True) -> None:
        """Kill -9."""
        pids = [*(self.pids("digest") if worker else []), *(self.pids("http") if http else [])]
        pids += [self.process.pid] if parent else []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if parent:
            self.wait()

    def get(self, path: str, *, status: int = 200) -> Any:
        """Read from the API."""
        client = self.connect()
        with contextlib.closing(client):
            client.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            response = client.getresponse()
            body = response.read()
        assert response.status == status, (response.status, body)
        return json.loads(body)

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> tuple[int, Any]:
        """Return status and answer of a request to the API, with another token if one is given."""
        with contextlib.closing(self.connect()) as client:
            text = None if body is None else json.dumps(body)
            client.request(method, path, text, {"Authorization": f"Bearer {token or self.token}"})
            response = client.getresponse()
            return response.status, json.loads(response.read())

    def pages(self, path: str) -> Iterator[Any]:
        """Yield all rows of a list."""
        cursor = ""
        while True:
            page = self.get(f"{path}?limit=100{cursor}")
            yield from page["data"]
            if "next_cursor" not in page:
                return
            cursor = f"&cursor={page['next_cursor']}"

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection, which its caller closes."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    @property
    def envelope_path(self) -> str:
        return f"/api/{self.project_id}/envelope/?sentry_key={self.key}"

    def send(self, event_id: UUID, *, project: tuple[int, str] | None = None, **event: Any) -> int:
        """Send an event on a connection of its own, and return the status.

        Args:
            project: Number and key of another project than the first.
        """
        path = self.envelope_path if project is None else f"/api/{project[0]}/envelope/?sentry_key={project[1]}"
        with contextlib.closing(self.connect()) as client:
            client.request("POST", path, body=envelope(event_id, **event))
            response = client.getresponse()
            response.read()
            return response.status

    def is_ready(self) -> bool:
        """Tell whether ``/health/ready`` says so."""
        with contextlib.closing(self.connect()) as client:
            client.request("GET", "/health/ready")
            response = client.getresponse()
            response.read()
            return response.status == 200

    def project(self) -> Any:
        return self.get(f"/api/projects/{self.project_id}")

    def wait_for_events(self, count: int, *, within_s: float = 30) -> None:
        """Return once so many events are digested."""
        self.wait_for(lambda: self.project()["event_count"] >= count, f"{count} events", within_s=within_s)

    def wait_for(self, condition: Any, what: str, *, within_s: float = 30) -> None:
        """Return once *condition* holds; another process makes it so, and asking is the only way to learn of it."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"no {what} within {within_s} s: {self.stderr.read_text()}"
            time.sleep(0.02)


def eventually(condition: Callable[[], Any], within_s: float = 30) -> None:
    """Return once *condition* holds; another process makes it so, and asking is the only way to learn of it."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


def _name(pid: int) -> str:
    """Return what a process calls itself, empty where it is gone or the system does not say."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def envelope(event_id: UUID, **event: Any) -> bytes:
    """Return an envelope with one event."""
    payload = json.dumps({"event_id": event_id.hex, "platform": "python", **event}).encode()
    head = json.dumps({"event_id": event_id.hex}).encode()
    return head + b'\n{"type":"event","length":%d}\n' % len(payload) + payload + b"\n"


def exception(kind: str, text: str = "") -> dict[str, Any]:
    """Return what an event has that is an exception."""
    return {"exception": {"values": [{"type": kind, "value": text or f"a {kind} of a test"}]}}


def new_ids(count: int) -> list[UUID]:
    """Return so many event ids."""
    return [uuid4() for _ in range(count)]
