"""Kill -9 at random moments: every acknowledged event is there, once, and the counters say the same."""

import collections
import contextlib
import http.client
import itertools
import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from tests.serve.support import Served, envelope, exception, new_ids

EVENTS = 5000
CLIENTS = 8
ROUNDS = 6


class Burst:
    """Clients that send events as fast as they can, and know what was acknowledged; a dead server they wait for."""

    def __init__(self, ids: list[UUID], path: str, port: int) -> None:
        self._ids = iter(enumerate(ids))
        self._path = path
        self._port = port
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self.up = threading.Event()
        self.up.set()
        self.acknowledged: set[UUID] = set()
        self.answers = 0

    def run(self) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            for client in [pool.submit(self._client) for _ in range(CLIENTS)]:
                client.result()

    def wait_for_answers(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.answers >= count, timeout=60), self.answers

    def _client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection):
            while True:
                with self._lock:
                    number, event_id = next(self._ids, (0, None))
                if event_id is None:
                    return
                while not self._send(connection, number, event_id):
                    connection.close()
                    assert self.up.wait(60)

    def _send(self, connection: http.client.HTTPConnection, number: int, event_id: UUID) -> bool:
        """Send an event; one that got no answer is sent again, and must count once all the same."""
        body = envelope(event_id, **exception(f"Kill{number % 20}Error"))
        try:
            connection.request("POST", self._path, body=body)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        assert response.status == 200
        with self._changed:
            self.acknowledged.add(event_id)
            self.answers += 1
            self._changed.notify_all()
        return True


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.slow
def test_kill_9_of_every_process_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Server and worker are killed together, alone, again and again within a burst of 5,000 events."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    port = free_port()
    ids = new_ids(EVENTS)
    first = served = Served(tmp_path, port=port)
    burst = Burst(ids, served.envelope_path, port)
    sending = threading.Thread(target=burst.run)
    sending.start()
    try:
        whom = itertools.cycle([(True, True, True), (True, False, False), (False, True, False), (False, False, True)])
        for moment in sorted(chance.sample(range(1, EVENTS - 100), ROUNDS)):
            burst.wait_for_answers(moment)
            worker, http, parent = next(whom)
            burst.up.clear()
            served.kill(worker=worker, http=http, parent=parent)
            if parent:
                served = Served(tmp_path, port=port, like=first)
            burst.up.set()
        sending.join(120)
        assert not sending.is_alive()
        assert burst.acknowledged == set(ids)
        served.wait_for_events(EVENTS, within_s=60)
        check_accounts(served, ids)
        assert served.stop() == 0
    finally:
        burst.up.set()
        served.kill()
        sending.join(120)


def check_accounts(served: Served, ids: list[UUID]) -> None:
    """Hold lists, counts and statistics against what was sent."""
    issues = list(served.pages(f"/api/projects/{served.project_id}/issues"))
    assert sorted(issue["short_id"] for issue in issues) == sorted(f"MY-APP-{n}" for n in range(1, 21))
    stored = collections.Counter(
        row["id"] for issue in issues for row in served.pages(f"/api/issues/{issue['id']}/events")
    )
    assert stored == collections.Counter(str(event_id) for event_id in ids)
    assert sum(issue["event_count"] for issue in issues) == EVENTS
    assert served.project()["event_count"] == EVENTS
    for day in served.get(f"/api/projects/{served.project_id}/stats")["data"]:
        others = sum(value for key, value in day.items() if isinstance(value, int) and key != "received")
        assert day["received"] == others
        assert day["queued"] == 0
    days = served.get(f"/api/projects/{served.project_id}/stats")["data"]
    assert sum(day["stored"] for day in days) == EVENTS
