"""Memory of each role: at rest, at a steady load, and with a hundred large bodies at once."""

import json
import os
import random
import socket
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs

from tests.benchmarks.bodies import read_bodies, request_bytes
from tests.benchmarks.events import Body
from tests.benchmarks.ingest import target_of, warm_up
from tests.benchmarks.load import Target
from tests.benchmarks.processes import MemoryWatch, memory_of
from tests.faults.pace import Pace
from tests.serve.support import Served, envelope

_MIB = 2**20
_NOISE_BYTES = 800 * 1024


@attrs.frozen(kw_only=True)
class Memory:
    """Memory (PSS) of each role and in total, in bytes; None where it is not known.

    Attributes:
        rest: After the first event.
        load: Medians of what was seen at the rate.
        load_peak, large_peak: What was seen when all processes together had the most.
        after: Some seconds after the large bodies.
        large_statuses: How often each status was the answer to these; 0 where the connection broke.
    """

    rest: dict[str, int] | None
    load: dict[str, int] | None
    load_peak: dict[str, int] | None
    large_peak: dict[str, int] | None
    after: dict[str, int] | None
    large_statuses: dict[int, int]
    load_average: float


def memory(
    data_dir: Path, bodies: Path, rate: int, seconds: float, *options: str, large: int, large_bytes: int
) -> Memory:
    """Watch a new server at *rate* events a second for so long, then with so many large bodies at once."""
    with Served(data_dir, *options) as served:
        warm_up(served)
        target = target_of(served)
        last = int(rate * seconds)
        requests = (request_bytes(target.path, target.auth, body) for body in read_bodies(bodies))
        rest = memory_of(served)
        pace = Pace(target, rate=rate, of=requests)
        with MemoryWatch(served, every_s=0.25) as watch:
            pace.run(lambda _: pace.sent >= last)
        served.wait_for_events(pace.accepted, within_s=180)
        with MemoryWatch(served, every_s=0.03) as large_watch:
            statuses = _send_large(target, large, large_bytes)
        served.wait_for_events(1 + pace.accepted + statuses[200], within_s=60)
        time.sleep(2)
        after = memory_of(served)
        served.stop()
    return Memory(
        rest=rest,
        load=_medians(watch.samples),
        load_peak=watch.peak(),
        large_peak=large_watch.peak(),
        after=after,
        large_statuses=dict(statuses),
        load_average=os.getloadavg()[0],
    )


def _medians(samples: list[dict[str, int]]) -> dict[str, int] | None:
    if not samples:
        return None
    return {role: int(statistics.median(sample[role] for sample in samples)) for role in samples[0]}


def _send_large(target: Target, count: int, size: int) -> Counter[int]:
    """Send so many bodies of *size* bytes at the same time, and return how often each status was answered.

    Each is an event of 0.8 MiB, which nothing packs, and an attachment.
    """
    noise = random.Random(1).randbytes(_NOISE_BYTES // 2).hex()
    padding = b"x" * (size - _NOISE_BYTES)
    attachment = json.dumps({"type": "attachment", "length": len(padding)}).encode() + b"\n" + padding + b"\n"

    def send_one(_: int) -> int:
        extra: dict[str, Any] = {"noise": noise}
        body = Body(encoding="", data=envelope(uuid4(), message="large", extra=extra) + attachment)
        try:
            with socket.create_connection(("127.0.0.1", target.port), timeout=120) as sock:
                sock.sendall(request_bytes(target.path, target.auth, body))
                answer = sock.recv(65536)
        except OSError:
            return 0
        return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(send_one, range(count)))
