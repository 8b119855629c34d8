"""A connection, its requests and their answers: waitress' own, with bounds and manners that SDKs need."""

import functools
import json
import time
from collections.abc import Callable
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, build_http_date

from rustrak_http.express import BODY_BYTES, HEADERS
from rustrak_http.request_id import HEADER, request_id
from rustrak_http.request_parser import CappedParser

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
        # What it quotes is left out: a header line may hold a token or a key.
        text = str(error.body).partition('"')[0].rstrip() if isinstance(error, BadRequest) else error.reason
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

    def watched(self, now: float, *, since: float) -> tuple[float, int]:
        """Return for how long the request at hand was seen to come in, in seconds, and how many bytes came meanwhile.

        Args:
            now: Monotonic.
            since: What was seen before is forgotten.
        """
        request = self.request
        if request is None or self.requests:
            return 0.0, 0
        size: int = request.header_bytes_received + request.body_bytes_received
        if request.seen_at is None or request.seen_at < since:
            request.seen_at, request.seen_bytes = now, size
        return now - request.seen_at, size - request.seen_bytes
