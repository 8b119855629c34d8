"""The HTTP server of the extra ``fast``: granian, whose HTTP is Rust, under the same application and express lane.

An envelope like most never leaves the event loop: its body is read, it takes the lane, and is answered when the spool
has synced. All else is run by a thread of a pool, as WSGI.
"""

import asyncio
import contextlib
import io
import logging
import math
import os
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import attrs
import uvloop
from granian import _granian  # its own module: there is no other way to hand it a socket
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server
from waitress.proxy_headers import proxy_headers_middleware

from rustrak_http.connection import PROXY_HEADERS
from rustrak_http.express import BODY_BYTES, HEADERS, Sender
from rustrak_http.listener import ROOM_BYTES_PER_S, ROOM_RATE_S, ROOM_SLOW_S
from rustrak_http.request_id import HEADER, request_id
from rustrak_http.request_parser import HARD_BODY_BYTES
from rustrak_http.server import BACKLOG, HEADER_BYTES, TRUSTED_HEADERS, ServerSettings, WsgiApp

_log = logging.getLogger("rustrak.http")

_QUIET_BODY_S = 120.0
"""A client that sends nothing of its body for so long is given up."""

_STALLED_S = 5.0
"""Who looks at bodies each second, and has not for so long, did not get to read them either, and blames nobody."""

_CROWDED = 0.5
"""Once bodies come in on so large a part of the connections that may be open, the slow ones are given up."""

_IN_MEMORY_BYTES = 512 * 1024
_SENDERS_MAX = 256
_HEAD_MAX = 2048
_TICK_S = 0.9
_GONE = (_granian.RSGIProtocolError, _granian.RSGIProtocolClosed)
_HEADERS = [(name.lower(), value) for name, value in HEADERS]
_LENGTH_DIGITS = 12
_TOO_LARGE = b'{"error":"Request Entity Too Large","detail":"Request Entity Too Large"}'
_REQUEST_ID = HEADER.lower()

Head = tuple[str, str, str, str | None, str | None, str | None]


@attrs.define
class _Incoming:
    """A body that comes in.

    Attributes:
        begun, heard_at: When its first and its latest bytes came, as far as we are told.
        size: How many bytes have come, at most.
    """

    begun: float
    heard_at: float
    size: int

    def is_too_slow(self, now: float, *, since: float) -> bool:
        """Tell whether, of the time *since* then, others should not wait for it, by the rule of our `listener`."""
        seconds = now - max(self.begun, since)
        return seconds > ROOM_SLOW_S or (seconds > ROOM_RATE_S and self.size < ROOM_BYTES_PER_S * seconds)


class GranianServer:
    """A WSGI application on a listening socket, as `rustrak_http.server.HttpServer` is.

    Attributes:
        host, port: Where it listens.
    """

    def __init__(self, app: WsgiApp, sock: socket.socket, settings: ServerSettings) -> None:
        """Put *app* on *sock*, which is bound and listening; `run` serves it."""
        self.host, self.port = sock.getsockname()[:2]
        self._sock = sock
        self._connections = settings.connections
        if settings.trusted_proxy:
            app = proxy_headers_middleware(
                app,
                trusted_proxy=settings.trusted_proxy,
                trusted_proxy_count=1,
                trusted_proxy_headers=TRUSTED_HEADERS,
            )
        self._target = _Target(app, settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = False
        self._server: _OnSocket | None = None

    def run(self, *, grace_s: float = 5.0, beat: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`, then finish what has begun, for up to *grace_s* seconds; *beat* is called each second."""
        logging.getLogger("_granian").setLevel(logging.ERROR)  # it tells each step of start and stop
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._run(grace_s, beat))
        self._target.close()
        self._sock.close()

    def stop(self) -> None:
        """Make `run` end. May be called from any thread, and more than once."""
        self._stopped = True
        loop, server = self._loop, self._server
        if loop is not None and server is not None and not loop.is_closed():
            loop.call_soon_threadsafe(server.stop)

    async def _run(self, grace_s: float, beat: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = server = _OnSocket(
            self._target,
            self._sock,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(max_buffer_size=HEADER_BYTES),
            websockets=False,
            log_enabled=False,
            backpressure=self._connections,
        )
        server.workers_kill_timeout = math.ceil(grace_s)
        if self._stopped:
            return
        ticking = asyncio.create_task(self._tick(beat))
        try:
            await server.serve()
        except TimeoutError:  # somebody is not done in time, and is left
            pass
        finally:
            ticking.cancel()

    async def _tick(self, beat: Callable[[], None]) -> None:
        while True:
            beat()
            self._target.give_up_slow_bodies(time.monotonic())
            await asyncio.sleep(_TICK_S)


class _OnSocket(Server):
    """granian in this process, on a socket that was opened elsewhere."""

    _shd: Any
    _sfd: Any

    def __init__(self, target: Any, sock: socket.socket, **settings: Any) -> None:
        self._opened = sock
        super().__init__(target, **settings)

    def _init_shared_socket(self) -> None:
        holder: Any = _granian.SocketHolder
        # Not socket.dup(), which makes a socket blocking for a moment: siblings have the same one, and would block.
        self._shd = holder(os.dup(self._opened.fileno()), False, BACKLOG)  # noqa: FBT003 - not a Unix one
        self._sfd = self._shd.get_fd()


class _Target:
    """What granian calls for each request: RSGI."""

    def __init__(self, app: WsgiApp, settings: ServerSettings) -> None:
        self._app = app
        self._kept_body_bytes = settings.body_bytes + 1
        self._keep_proxy_headers = bool(settings.trusted_proxy)
        self._lane = settings.usable_lane
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="http")
        self._senders: dict[Head, Sender | None] = {}
        self._answers: deque[tuple[asyncio.Future[bytes | None], bytes | None]] = deque()
        self._told = False
        self._pushing = False
        self._incoming: dict[asyncio.Task[Any], _Incoming] = {}
        self._crowd = math.ceil(settings.connections * _CROWDED)
        self._looked_at = self._watched_since = -math.inf
        self._loop: asyncio.AbstractEventLoop

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Remember the loop."""
        self._loop = loop

    def __rsgi__(self, scope: Any, proto: Any) -> Coroutine[Any, Any, None]:
        """Answer a request."""
        return self._answer(scope, proto)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def give_up_slow_bodies(self, now: float) -> None:
        """Let go of requests whose body does not come or, where their connections are wanted, comes too slowly."""
        if now > self._looked_at + _STALLED_S:
            self._watched_since = now
        self._looked_at = now
        is_crowded = len(self._incoming) >= self._crowd
        for task, body in list(self._incoming.items()):
            if body.heard_at < now - _QUIET_BODY_S or (is_crowded and body.is_too_slow(now, since=self._watched_since)):
                task.cancel()

    async def _answer(self, scope: Any, proto: Any) -> None:
        length = scope.headers.get("content-length", "")
        if length.isdigit() and (len(length) > _LENGTH_DIGITS or int(length) > HARD_BODY_BYTES):
            proto.response_bytes(413, _own_headers(scope), _TOO_LARGE)  # none of it is read, nor by waitress
            return
        try:
            body = await self._read(scope, proto)
        except _GONE:  # the client went away, and nobody would read the answer
            return
        if self._lane is not None and isinstance(body, bytes):
            sender = self._sender(scope)
            answer = None if sender is None else await self._express(sender, body, scope.client)
            if answer is not None:
                proto.response_bytes(200, _own_headers(scope), answer)
                return
        environ = _environ(scope, body, keep_proxy_headers=self._keep_proxy_headers)
        status, headers, answer = await self._loop.run_in_executor(self._pool, _call, self._app, environ)
        try:
            proto.response_bytes(status, headers, answer)
        except _GONE:
            return

    async def _read(self, scope: Any, proto: Any) -> "bytes | tempfile.SpooledTemporaryFile[bytes]":
        """Return the body: as bytes if it is short, else as a file that holds one byte over the limit at most."""
        length = scope.headers.get("content-length", "")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        now = time.monotonic()
        incoming = self._incoming[task] = _Incoming(now, now, 0)
        try:
            if length.isdigit() and len(length) < 8 and int(length) <= BODY_BYTES:
                incoming.size = int(length)  # granian tells of it when all of it is there
                body: bytes = await proto()
                return body
            return await self._read_long(proto, incoming, int(length) if length.isdigit() else None)
        finally:
            del self._incoming[task]

    async def _read_long(
        self, proto: Any, incoming: _Incoming, length: int | None
    ) -> "bytes | tempfile.SpooledTemporaryFile[bytes]":
        # Where the client goes away, the pieces just end. Chunks that end early are taken as they are: what they hold
        # is judged by its own framing, and nobody hears that it was accepted.
        file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - closed when it was read
        room = self._kept_body_bytes
        async for piece in proto:
            incoming.heard_at = time.monotonic()
            incoming.size += len(piece)
            kept = bytes(piece[:room])
            room -= len(kept)
            file.write(kept)
        if length is not None and incoming.size < length:
            file.close()
            raise _granian.RSGIProtocolClosed("the body is cut short")
        file.seek(0)
        if incoming.size > BODY_BYTES:
            return file
        with file:
            return file.read()

    def _sender(self, scope: Any) -> Sender | None:
        get = scope.headers.get
        head = (
            scope.method,
            scope.path,
            scope.query_string,
            get("x-sentry-auth"),
            get("authorization"),
            get("content-encoding"),
        )
        try:
            return self._senders[head]
        except KeyError:
            pass
        assert self._lane is not None  # noqa: S101 - for the type checker
        method, path, query, auth, authorization, encoding = head
        headers = {"X_SENTRY_AUTH": auth, "AUTHORIZATION": authorization, "CONTENT_ENCODING": encoding}
        sender = self._lane.sender(
            method=method, path=path, query=query, headers={name: text for name, text in headers.items() if text}
        )
        if sum(len(text) for text in head if text) <= _HEAD_MAX:
            if len(self._senders) >= _SENDERS_MAX:
                self._senders.clear()
            self._senders[head] = sender
        return sender

    async def _express(self, sender: Sender, body: bytes, client: str) -> bytes | None:
        """Return the answer of the express lane; None where the request must go the long way."""
        lane = self._lane
        assert lane is not None  # noqa: S101 - for the type checker
        future = self._loop.create_future()
        if not lane.take(sender, body, _address(client), partial(self._answered, future)):
            return None
        if not self._pushing:
            self._pushing = True
            self._loop.call_soon(self._push)
        answer: bytes | None = await future
        return answer

    def _push(self) -> None:
        self._pushing = False
        if self._lane is not None:
            self._lane.push()

    def _answered(self, future: "asyncio.Future[bytes | None]", answer: bytes | None) -> None:
        """Have the loop go on with a request; called by any thread."""
        self._answers.append((future, answer))
        if not self._told:
            self._told = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits for the answer
                self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._told = False
        while self._answers:
            future, answer = self._answers.popleft()
            if not future.done():
                future.set_result(answer)


def _own_headers(scope: Any) -> list[tuple[str, str]]:
    """Return the headers of an answer that the application does not give."""
    return [*_HEADERS, (_REQUEST_ID, request_id(scope.headers.get("x-request-id")))]


def _address(client: str) -> str:
    """Return the address of ``ADDRESS:PORT``."""
    return client.rpartition(":")[0].strip("[]")


def _environ(scope: Any, body: Any, *, keep_proxy_headers: bool) -> dict[str, Any]:
    """Return a request as WSGI has it."""
    host, _, port = scope.server.rpartition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "REMOTE_ADDR": _address(scope.client),
        "SERVER_NAME": host.strip("[]"),
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(body) if isinstance(body, bytes) else body,
        "wsgi.input_terminated": True,
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        key = name.upper().replace("-", "_")
        if "_" in name or (key in PROXY_HEADERS and not keep_proxy_headers):
            continue
        if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]}, {value}" if key in environ else value
    environ.setdefault("HTTP_HOST", scope.authority or "")
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return environ


def _call(app: WsgiApp, environ: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return what the application answers; called by a thread."""
    said: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> Callable[..., Any]:
        said[:] = [(status, headers)]
        return lambda _: None

    try:
        pieces: Iterable[bytes] = app(environ, start_response)
        try:
            body = b"".join(pieces)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        status, headers = said[0]
        return int(status[:3]), [(name.lower(), value) for name, value in headers], body
    except Exception:  # noqa: BLE001 - the last to see it
        _log.exception("request_failed")
        return (
            500,
            [*_HEADERS, (_REQUEST_ID, request_id(None))],
            b'{"error":"Internal Server Error","detail":"Internal Server Error"}',
        )
    finally:
        if not isinstance(environ["wsgi.input"], io.BytesIO):
            environ["wsgi.input"].close()
