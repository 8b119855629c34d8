"""Sends events at a fixed rate, whether or not the server keeps up: an open loop, which hides no waiting."""

import array
import itertools
import select
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from uuid import uuid4

from tests.benchmarks.bodies import request_bytes
from tests.benchmarks.events import body_of
from tests.benchmarks.load import Target

_IDLE_S = 0.1


class Pace:
    """An open loop: request *n* is due at *n* / *rate* seconds, and its latency counts from then.

    Args:
        of: Whole requests to send, as many as will be due; by default endless ones, made as they are sent.

    Attributes:
        statuses: How often each status was answered; 0 where a connection broke instead.
        latencies_ms: Of answered requests, in the order of their answers.
        late: How many requests are due and not yet sent, as all connections are busy.
    """

    def __init__(
        self, target: Target, *, rate: float, connections: int = 64, of: Iterator[bytes] | None = None
    ) -> None:
        self._target = target
        self._rate = rate
        self._selector = selectors.DefaultSelector()
        self._idle: list[socket.socket] = []
        self._connections = connections
        self._requests = requests(target) if of is None else of
        self.sent = 0
        self.late = 0
        self.statuses: Counter[int] = Counter()
        self.latencies_ms = array.array("f")

    @property
    def accepted(self) -> int:
        """Return how many events were acknowledged."""
        return self.statuses[200]

    def run(self, until: Callable[[float], bool]) -> float:
        """Send while *until*, given the seconds since the start, is false; return the seconds up to the last answer."""
        self._idle = [self._connect() for _ in range(self._connections)]
        begun = time.perf_counter()
        while not until(now := time.perf_counter() - begun):
            due = int(now * self._rate)
            while self.sent < due and self._idle:
                self._send(self._open(self._idle.pop()), begun + self.sent / self._rate)
            self.late = due - self.sent
            self._collect(_IDLE_S if self.late else max(0.0, (self.sent + 1) / self._rate - now))
        while self._selector.get_map():
            self._collect(_IDLE_S)
        for connection in self._idle:
            connection.close()
        self._selector.close()
        return time.perf_counter() - begun

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._target.port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _open(self, connection: socket.socket) -> socket.socket:
        """Return *connection*, or a new one if the server closed it for having been idle, as clients' pools do."""
        if not select.select([connection], [], [], 0)[0]:
            return connection
        connection.close()
        return self._connect()

    def _send(self, connection: socket.socket, due: float) -> None:
        self.sent += 1
        self._selector.register(connection, selectors.EVENT_READ, due)
        try:
            connection.sendall(next(self._requests))
        except OSError:  # its end will be read
            return

    def _collect(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            self._selector.unregister(connection)
            try:
                answer = connection.recv(65536)
            except OSError:
                answer = b""
            status = int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0
            self.statuses[status] += 1
            if status:
                self.latencies_ms.append((time.perf_counter() - key.data) * 1e3)
            if not status or b"connection: close" in answer.lower():
                connection.close()
                connection = self._connect()
            self._idle.append(connection)


def requests(target: Target) -> Iterator[bytes]:
    """Return requests without end: events of about 5 KB, of few hundred issues, each with values of its own."""
    body_of(0, uuid4())  # the templates of all take a second or two, which no request should wait for
    return (request_bytes(target.path, target.auth, body_of(number, uuid4())) for number in itertools.count())
