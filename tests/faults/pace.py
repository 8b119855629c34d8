"""Sends events at a fixed rate, whether or not the server keeps up: an open loop, which hides no waiting."""

import array
import json
import selectors
import socket
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

from tests.benchmarks.events import ISSUES, payload
from tests.benchmarks.load import Target

_IDLE_S = 0.1
_VARIANTS = 10


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
                self._send(self._idle.pop(), begun + self.sent / self._rate)
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
    """Yield requests without end: events of about 5 KB, gzipped, of few issues, each with its own id and time."""
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\nX-Sentry-Auth: {target.auth}\r\n"
        "Content-Encoding: gzip\r\nContent-Type: application/x-sentry-envelope\r\n"
        "User-Agent: sentry.python.django/2.75.0\r\nContent-Length: "
    )
    bodies = [_rest_of_body(number) for number in range(ISSUES * _VARIANTS)]
    while True:
        for rest in bodies:
            sent_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            body = _gzipped(_envelope(uuid4(), sent_at, rest))
            yield f"{head}{len(body)}\r\n\r\n".encode() + body


def _rest_of_body(number: int) -> bytes:
    """Return the JSON of an event without its id and time, which come first, and its brace."""
    event = payload(number % ISSUES, number, UUID(int=0))
    del event["event_id"], event["timestamp"]
    return json.dumps(event, separators=(",", ":")).encode()[1:]


def _envelope(event_id: UUID, sent_at: str, rest: bytes) -> bytes:
    event = f'{{"event_id":"{event_id.hex}","timestamp":"{sent_at}",'.encode() + rest
    head = f'{{"event_id":"{event_id.hex}","sent_at":"{sent_at}"}}\n'
    return f'{head}{{"type":"event","length":{len(event)}}}\n'.encode() + event + b"\n"


def _gzipped(data: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()
