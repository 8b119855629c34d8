"""A connection, its requests and their answers: waitress' own, with bounds and manners that SDKs need."""

import functools
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, build_http_date

from rustrak_http.express import BODY_BYTES, HEADERS, Lane, Sender
from rustrak_http.header_memory import HeaderMemory
from rustrak_http.request_id import HEADER, request_id

HARD_BODY_BYTES = 1 << 30
"""A body that says it is longer than this is not read at all."""

CHUNK_LINE_BYTES = 16 * 1024

ROOM_EVERY_S = 0.2
ROOM_IDLE_S = 1.0
ROOM_SLOW_S = 30.0
"""Where as many connections are open as may be, one that was idle for so long, or whose request has been coming in for
so long, is closed for others. SDKs open another, or have given up by then."""

_CORS = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "x-sentry-error, x-sentry-rate-limits, retry-after"),
]


_RULED = frozenset({"connection", "date", "server", "transfer-encoding"})
PROXY_HEADERS = frozenset(
    {"X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_FORWARDED_PORT", "X_FORWARDED_BY", "FORWARDED"}
)
"""Headers that only a trusted proxy may send."""


@functools.lru_cache(maxsize=2)
def _http_date(second: int) -> str:
    date: str = build_http_date(second)
    return date


@functools.lru_cache(maxsize=4)
def _express_header(second: int, *, last: bool) -> bytes:
    """Return the header of an answer of the express lane, but for its length."""
    headers = [*HEADERS, ("Date", _http_date(second)), *([("Connection", "close")] if last else [])]
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers)]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


class ThreadPool:
    """Threads that answer requests, in the order in which they came; what waitress calls a task dispatcher.

    waitress' own is three times as slow to hand a request over, and logs a line whenever all threads are busy.
    """

    def __init__(self, threads: int) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"http-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def add_task(self, channel: Any) -> None:
        """Have the next request of *channel* answered."""
        self._queue.put(channel)

    def shutdown(self, timeout_s: float) -> None:
        """Let threads end once all requests that are here are answered; wait up to *timeout_s* seconds."""
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while True:
            channel = self._queue.get()
            if channel is None:
                return
            channel.serve_one()


class CappedBuffer:
    """A buffer of waitress' that takes up to a number of bytes, and drops the rest."""

    def __init__(self, inner: Any, cap: int) -> None:
        self._inner = inner
        self._room = cap

    def append(self, data: bytes) -> None:
        """Take of *data* what there is room for."""
        if self._room > 0:
            self._inner.append(data if len(data) <= self._room else data[: self._room])
            self._room -= len(data)

    def __len__(self) -> int:
        return len(self._inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class CappedParser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request; a body is read to its end, but kept only so far that the application sees it is too long."""

    kept_body_bytes = HARD_BODY_BYTES
    seen_at: float | None = None
    memory: HeaderMemory
    sender: Sender | None = None

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header, and get ready for the body."""
        self.memory.parse(self, header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = CappedBuffer(self.body_rcv.buf, self.kept_body_bytes)

    def received(self, data: bytes) -> int:
        """Take *data*, and return how much of it is of this request."""
        consumed: int = super().received(data)
        body = self.body_rcv
        if self.chunked and body is not None and len(body.control_line) + len(body.trailer) > CHUNK_LINE_BYTES:
            self.error = BadRequest("a chunk's first line, or the trailer, is too long")
            self.completed = True
        return consumed


class Task(WSGITask):  # type: ignore[misc]
    """Answers a request; header and body leave together, and a server that stops says so."""

    wrote_header: bool

    def build_response_header(self) -> bytes:
        """Return the status line and headers."""
        if self.channel.http.stopping:
            self.set_close_on_finish()
        if self.version == "1.1" and self.content_length is not None and self.has_body and not self.close_on_finish:
            plain = self._plain_header()
            if plain is not None:
                return plain
        header: bytes = super().build_response_header()
        return header

    def _plain_header(self) -> bytes | None:
        """Return the header of an answer like most, or None where waitress' rules must be asked."""
        if self.request.headers.get("CONNECTION", "").lower() == "close":
            return None
        lines = [f"HTTP/1.1 {self.status}"]
        sized = False
        for name, value in self.response_headers:
            lower = name.lower()
            if lower in _RULED:
                return None
            sized = sized or lower == "content-length"
            lines.append(f"{name}: {value}")
        if not sized:
            lines.append(f"Content-Length: {self.content_length}")
        lines.append(f"Date: {_http_date(int(self.start_time))}\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1")

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment; headers that only a trusted proxy may send are not in it."""
        if not self.channel.http.trusts_proxy:
            headers = self.request.headers
            for name in PROXY_HEADERS & headers.keys():
                del headers[name]
        environ: dict[str, Any] = super().get_environment()
        return environ

    def write(self, data: bytes) -> None:
        """Send a piece of the body, the header before the first."""
        if self.complete and not self.wrote_header and data and self.content_length == len(data) and self.has_body:
            header = self.build_response_header()
            self.wrote_header = True
            self.content_bytes_written += len(data)
            self.channel.write_soon(header + data)
        else:
            super().write(data)


class JsonErrorTask(ErrorTask):  # type: ignore[misc]
    """Answers in JSON what never reaches the application: a broken request line, headers too long, ..."""

    def execute(self) -> None:
        """Write the answer, and close the connection."""
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        text = str(error.body) if isinstance(error, BadRequest) else error.reason
        body = json.dumps({"error": text, "detail": text}).encode()
        self.response_headers.extend([("Content-Type", "application/json"), *_CORS])
        self.response_headers.extend([("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store")])
        self.response_headers.append((HEADER, request_id(None)))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Waker:
    """What a connection takes for its server: it wakes that connection alone, and the rest is the server's."""

    def __init__(self, server: Any, wake: Callable[[], None]) -> None:
        self._server = server
        self.pull_trigger = wake

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._server, name)
        setattr(self, name, value)
        return value


class Connection(HTTPChannel):  # type: ignore[misc]
    """A connection of a client."""

    task_class = Task
    error_task_class = JsonErrorTask

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:  # noqa: A002 - waitress
        self.http = server
        super().__init__(Waker(server, self.wake), sock, addr, adj, map=map)
        self.wake()

    def parser_class(self, adj: Any) -> Any:
        """Return a parser for the next request."""
        parser = CappedParser(adj)
        parser.kept_body_bytes = self.http.kept_body_bytes
        parser.memory = self.http.header_memory
        return parser

    def serve_one(self) -> None:
        """Answer a request, on a thread of the pool; that thread survives whatever happens."""
        try:
            self.service()
        except Exception:
            self.logger.exception("request_failed")
            self.will_close = True
            self.wake()

    def take_lane(self) -> bool:
        """Have the next request taken in by the express lane; False where it must go the long way."""
        request, lane = self.requests[0], self.http.lane
        if request.sender is None or request.error or request.body_rcv is None:
            return False
        body = request.body_rcv.getbuf()
        if len(body) > BODY_BYTES:
            return False
        taken: bool = lane.take(request.sender, body.get(), self.addr[0], self._answered)
        return taken

    def _answered(self, body: bytes | None) -> None:
        self.http.answered(self, body)

    def answer(self, body: bytes) -> None:
        """Answer the request that took the express lane; called by the thread of the loop."""
        if not self.connected:
            return
        last = self.http.stopping
        head = _express_header(int(time.time()), last=last)
        known_as = request_id(self.requests[0].headers.get("X_REQUEST_ID")).encode("ascii")
        data = b"%sX-Request-Id: %s\r\nContent-Length: %d\r\n\r\n%s" % (head, known_as, len(body), body)
        self._send_at_once(data)
        self.requests[0].close()
        with self.requests_lock:
            self.requests.pop(0)
            if last:
                self.close_when_flushed = True
                self.requests.clear()
            elif self.requests:
                self.server.add_task(self)
            elif self.request is not None and self.request.expect_continue and self.request.headers_finished:
                self.send_continue()
        self.last_activity = time.time()
        self.wake()

    def _send_at_once(self, data: bytes) -> None:
        """Send what the socket takes, and leave the rest to the loop."""
        with self.outbuf_lock:
            sent = 0
            if not self.total_outbufs_len:
                try:
                    sent = self.socket.send(data)
                except BlockingIOError:
                    pass
                except OSError:  # the client went away
                    self.will_close = True
                    return
            if sent < len(data):
                self.outbufs[-1].append(data[sent:])
                self.current_outbuf_count += len(data) - sent
                self.total_outbufs_len += len(data) - sent

    def wake(self) -> None:
        """Have the loop see what this connection waits for now."""
        self.http.loop.wake(self)

    def del_channel(self, map: Any = None) -> None:  # noqa: A002 - waitress
        """Leave the loop."""
        self.http.loop.forget(self)
        super().del_channel(map)

    def is_idle(self) -> bool:
        """Tell whether nothing of a request is here and nothing of an answer is left."""
        return not (self.requests or self.request is not None or self.total_outbufs_len)

    def has_come_in_since(self, now: float) -> float:
        """Return since when, as far as anyone looked, the request at hand has been coming in; *now* where none is."""
        request = self.request
        if request is None or self.requests:
            return now
        if request.seen_at is None:
            request.seen_at = now
        since: float = request.seen_at
        return since


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """The listening socket.

    Attributes:
        loop: Waits for it and its connections.
        lane: The express lane; None where all requests go through the application.
        accepts_at_once: How many connections a turn of the loop accepts.
        stopping: Connections are closed after the request that they are at.
        trusts_proxy: waitress looks after the headers of proxies; else they are dropped.
    """

    channel_class = Connection
    loop: Any = None
    stopping = False
    trusts_proxy = False
    kept_body_bytes = HARD_BODY_BYTES
    accepts_at_once = 64

    def __init__(self, *args: Any, lane: Lane | None = None, **kwargs: Any) -> None:
        self.lane = lane
        self.header_memory = HeaderMemory(lane)
        self._answers: deque[tuple[Any, bytes | None]] = deque()
        self._told = False
        self._room_at = 0.0
        self._trigger_lock = threading.RLock()  # re-entrant, since a signal handler may come in between
        super().__init__(*args, **kwargs)

    def handle_accept(self) -> None:
        """Accept all connections that wait, up to a number that keeps the others served."""
        for _ in range(self.accepts_at_once):
            if not self.accept_one():
                return

    @property
    def is_full(self) -> bool:
        """Whether as many connections are open as may be."""
        return len(self._map) >= int(self.adj.connection_limit)

    def readable(self) -> bool:
        """Tell whether connections may be accepted; where there are too many, close some that have waited longest."""
        if self.accepting and self.is_full:
            self._make_room(time.time())
        allowed: bool = super().readable()
        return allowed

    def accept_one(self) -> bool:
        """Accept a connection that waits; tell whether there was one."""
        before = len(self._map)
        super().handle_accept()
        return len(self._map) > before

    def add_task(self, channel: Any) -> None:
        """Have the next request of *channel* answered, by the express lane if it takes it, else by a thread."""
        if self.lane is None or not channel.take_lane():
            super().add_task(channel)

    def answered(self, channel: Any, body: bytes | None) -> None:
        """Have the loop send the answer of the express lane, or None the long way; called by any thread."""
        self._answers.append((channel, body))
        if not self._told:
            self._told = True
            self.pull_trigger()

    def finish_turn(self) -> None:
        """Send answers that have come meanwhile, and have kept what was taken in; the loop calls it at each turn."""
        self._told = False
        while self._answers:
            channel, body = self._answers.popleft()
            if body is None:
                super().add_task(channel)
            else:
                channel.answer(body)
        if self.lane is not None:
            self.lane.push()

    def pull_trigger(self) -> None:
        """Wake the loop, unless it has ended: the number of its pipe may be another file's by now."""
        with self._trigger_lock:
            if not self.trigger._closed:  # noqa: SLF001 - waitress has no other name for it
                super().pull_trigger()

    def close(self) -> None:
        """Close the listening socket and the trigger."""
        with self._trigger_lock:
            super().close()

    def maintenance(self, now: float) -> None:
        """Close connections that were idle for too long."""
        cutoff = now - self.adj.channel_timeout
        for channel in list(self.active_channels.values()):
            if not channel.requests and channel.last_activity < cutoff:
                channel.handle_close()

    def _make_room(self, now: float) -> None:
        """Close the idlest connections, else those whose request comes in too slowly, so that others get in."""
        if now < self._room_at:
            return
        self._room_at = now + ROOM_EVERY_S
        channels = sorted(self.active_channels.values(), key=lambda channel: channel.last_activity)
        idle = [channel for channel in channels if channel.is_idle() and channel.last_activity < now - ROOM_IDLE_S]
        slow = [channel for channel in channels if channel.has_come_in_since(now) < now - ROOM_SLOW_S]
        for channel in [*idle, *slow][: len(channels) // 4 + 1]:
            channel.handle_close()

    def stop_listening(self) -> None:
        """Close the listening socket, but not the trigger, by which threads wake the loop."""
        self.accepting = False
        self.del_channel()
        self.socket.close()
