"""Clients that send as fast as they can, and keep a ledger of what was acknowledged."""

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self
from uuid import UUID

from tests.serve.support import envelope, exception

KINDS = 20
_AGAIN_S = 0.02


class Burst:
    """Clients that send events until all are acknowledged; a dead server they wait for.

    Args:
        ids: Of the events; event *n* is of issue *n* modulo *kinds*.
        path, port: Where to.
        clients: How many send at once, a connection each.
        pause_s: How long each waits between two events.

    Attributes:
        acknowledged: Events that were answered with 200.
        refused: Statuses of other answers.
        slowest_s: The longest that an answer took.
    """

    def __init__(
        self,
        ids: Sequence[UUID],
        path: str,
        port: int,
        *,
        clients: int = 8,
        pause_s: float = 0,
        kinds: int = KINDS,
    ) -> None:
        self._ids = iter(enumerate(ids))
        self._path = path
        self._port = port
        self._clients = clients
        self._pause_s = pause_s
        self._kinds = kinds
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="burst")
        self._failure: BaseException | None = None
        self.acknowledged: set[UUID] = set()
        self.refused: list[int] = []
        self.slowest_s = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._given_up.set()
        self._thread.join()

    def finish(self, *, within_s: float = 120) -> None:
        """Return when all is acknowledged."""
        self._thread.join(within_s)
        assert not self._thread.is_alive(), f"{len(self.acknowledged)} acknowledged within {within_s} s"
        if self._failure is not None:
            raise self._failure

    def wait_for(self, count: int, *, within_s: float = 60) -> None:
        """Return when so many events are acknowledged."""
        with self._changed:
            done = self._changed.wait_for(lambda: len(self.acknowledged) >= count, within_s)
            assert done, f"{len(self.acknowledged)} of {count} acknowledged, {self._failure!r}"

    def _run(self) -> None:
        try:
            with ThreadPoolExecutor(self._clients) as pool:
                for client in [pool.submit(self._client) for _ in range(self._clients)]:
                    client.result()
        except BaseException as error:  # noqa: BLE001 - told by `finish`
            self._failure = error

    def _client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        with contextlib.closing(connection):
            while True:
                with self._lock:
                    number, event_id = next(self._ids, (0, None))
                if event_id is None:
                    return
                while not self._send(connection, number, event_id):
                    if self._given_up.wait(_AGAIN_S):
                        return
                if self._pause_s and self._given_up.wait(self._pause_s):
                    return

    def _send(self, connection: http.client.HTTPConnection, number: int, event_id: UUID) -> bool:
        """Send an event; one that got no answer is sent again, and must count once all the same."""
        body = envelope(event_id, **exception(f"Burst{number % self._kinds}Error"))
        begun = time.monotonic()
        try:
            connection.request("POST", self._path, body=body)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return False
        with self._changed:
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
            if response.status != 200:
                self.refused.append(response.status)
                return False
            self.acknowledged.add(event_id)
            self._changed.notify_all()
        return True


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
