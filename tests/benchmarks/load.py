"""Load generators: wrk where it is installed, else plain sockets in a process of their own."""

import json
import math
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from tests.benchmarks.bodies import read_bodies, request_bytes
from tests.benchmarks.events import Body

WRK = shutil.which("wrk")


@attrs.frozen(kw_only=True)
class Load:
    """What came of a burst: answers within *seconds*, latencies in milliseconds; *errors* are answers but 200.

    Attributes:
        generator_share: Of one processor, what the load generator used; near 1 it may be the bottleneck itself.
    """

    requests: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int
    generator_share: float = 0.0

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


@attrs.frozen(kw_only=True)
class Target:
    """Where requests go."""

    port: int
    path: str
    key: str

    @property
    def auth(self) -> str:
        return f"Sentry sentry_key={self.key}, sentry_version=7, sentry_client=sentry.python.django/2.75.0"


def send(target: Target, bodies: Path, count: int, *, connections: int, wrk: bool = WRK is not None) -> Load:
    """Send bodies over so many connections, as fast as answers come, until *count* of them are answered.

    When wrk stops, a request of each connection has no answer yet: *bodies* holds so many more.
    """
    before = _children_cpu_s()
    load = (_wrk if wrk else _plain)(target, bodies, count, connections)
    return attrs.evolve(load, generator_share=(_children_cpu_s() - before) / load.seconds)


def _children_cpu_s() -> float:
    """Return the processor time of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wrk(target: Target, bodies: Path, count: int, connections: int) -> Load:
    script = str(Path(__file__).parent / "wrk.lua")
    url = f"http://127.0.0.1:{target.port}{target.path}"
    options = ["-t1", f"-c{connections}", "-d600s", "--timeout", "60s", "-s", script]
    command = ["wrk", *options, url, "--", str(bodies), str(count), target.auth]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seconds = float(_line(process.stdout, "STOPPED "))
        process.send_signal(signal.SIGINT)
        return Load(requests=count, seconds=seconds, **json.loads(_line(process.stdout, "RESULT ")))


def _plain(target: Target, bodies: Path, count: int, connections: int) -> Load:
    facts = [str(target.port), target.path, target.auth, str(bodies), str(count), str(connections)]
    command = [sys.executable, "-m", "tests.benchmarks.load", *facts]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Load(**json.loads(_line(done.stdout.splitlines(), "RESULT ")))


def _line(lines: Iterable[str], start: str) -> str:
    """Return the rest of the first line that begins with *start*."""
    return next(line.removeprefix(start) for line in lines if line.startswith(start))


def _burst(port: int, path: str, auth: str, bodies: list[Body], connections: int) -> Load:
    """Send each body once; answers need no more than their end to be recognised, as ours fit a packet."""
    requests = [request_bytes(path, auth, body) for body in bodies]
    waiting, latencies, errors = iter(requests), [], 0
    with selectors.DefaultSelector() as selector:
        for _ in range(min(connections, len(requests))):
            selector.register(socket.create_connection(("127.0.0.1", port)), selectors.EVENT_READ, [0.0])
        begun = time.perf_counter()
        open_count = len(selector.get_map())
        for key in list(selector.get_map().values()):
            _send_next(key, waiting)
        while open_count:
            for key, _ in selector.select():
                answer = key.fileobj.recv(65536)  # type: ignore[union-attr]
                latencies.append(time.perf_counter() - key.data[0])
                errors += not answer.startswith(b"HTTP/1.1 200")
                if not answer or not _send_next(key, waiting):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
                    open_count -= 1
        seconds = time.perf_counter() - begun
    return Load(
        requests=len(latencies),
        seconds=seconds,
        p50_ms=percentile(latencies, 50) * 1e3,
        p95_ms=percentile(latencies, 95) * 1e3,
        p99_ms=percentile(latencies, 99) * 1e3,
        errors=errors,
    )


def _send_next(key: selectors.SelectorKey, waiting: Iterator[bytes]) -> bool:
    request = next(waiting, None)
    if request is None:
        return False
    key.data[0] = time.perf_counter()
    key.fileobj.sendall(request)  # type: ignore[union-attr]
    return True


def percentile(values: list[float], percent: int) -> float:
    """Return the smallest of *values* that so many percent of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


if __name__ == "__main__":
    _port, _path, _auth, _bodies, _count, _connections = sys.argv[1:]
    _load = _burst(int(_port), _path, _auth, read_bodies(Path(_bodies))[: int(_count)], int(_connections))
    print("RESULT " + json.dumps(attrs.asdict(_load)))
