"""The HTTP server: what it bounds, what it answers itself, and how it stops."""

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rustrak_core.errors import ConfigurationError
from rustrak_http import listener as listener_module
from rustrak_http import server as server_module
from rustrak_http.cli.http import server_class as server_class_of
from rustrak_http.loop import EpollLoop, PollLoop
from rustrak_http.request_parser import CHUNK_LINE_BYTES
from rustrak_http.server import HEADER_BYTES, HttpServer, ServerSettings, listen

BODY_BYTES = 1000
LOOPS = [
    pytest.param(PollLoop, id="poll"),
    pytest.param(EpollLoop, id="epoll", marks=pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll here")),
]


class App:
    """Answers with the length of the body; ``/hold`` waits for `release`, ``/break`` raises, ``/big`` is 3 MB."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        length = len(environ["wsgi.input"].read())
        if environ["PATH_INFO"] == "/hold":
            self.entered.set()
            self.release.wait(10)
        if environ["PATH_INFO"] == "/break":
            raise RuntimeError("broken on purpose")
        facts = {"length": length, "content_length": environ.get("CONTENT_LENGTH"), "from": environ["REMOTE_ADDR"]}
        body = b"x" * 3_000_000 if environ["PATH_INFO"] == "/big" else json.dumps(facts).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


class Running:
    """A server on a thread."""

    def __init__(self, server_class: Any = HttpServer, **settings: Any) -> None:
        self.app = App()
        asked: dict[str, Any] = {"body_bytes": BODY_BYTES, "threads": 4, **settings}
        self.server = server_class(self.app, listen("127.0.0.1", 0), ServerSettings(**asked))
        self.thread = threading.Thread(target=self.server.run, kwargs={"grace_s": 5.0})
        self.thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=10)

    def stop(self) -> None:
        self.app.release.set()
        self.server.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture(params=LOOPS)
def on_waitress(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(server_module, "make_loop", request.param)
    served = Running()
    yield served
    served.stop()


@pytest.fixture(params=[*LOOPS, "granian"])
def running(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    if request.param == "granian":
        served = Running(server_class_of("granian"))
    else:
        monkeypatch.setattr(server_module, "make_loop", request.param)
        served = Running()
    yield served
    served.stop()


def answer(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += (more := sock.recv(65536))
        if not more:
            raise ConnectionError("no answer")
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += sock.recv(1 << 20)
    return int(status.split()[1]), headers, body


def post(body: bytes, *, path: str = "/", more: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def test_keeps_a_connection_for_many_requests(running: Running) -> None:
    """A keep-alive connection answers one request after another, and requests sent at once, in their order."""
    with running.connect() as sock:
        for length in (0, 1, 999):
            sock.sendall(post(b"x" * length))
            assert json.loads(answer(sock)[2])["length"] == length
        sock.sendall(post(b"x" * 3) + post(b"x" * 4))
        status, _, body = answer(sock)
        first, _, rest = body.partition(b"}")
        assert status == 200
        assert json.loads(first + b"}")["length"] == 3
        while b"length" not in rest:
            rest += sock.recv(65536)
        assert b'"length": 4' in rest


def test_reads_a_chunked_body_without_a_length(running: Running) -> None:
    """A chunked body comes to the application whole, as @sentry/node sends it."""
    with running.connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        sock.sendall(b"5\r\ndefgh\r\n0\r\n\r\n")
        assert json.loads(answer(sock)[2])["length"] == 8


def test_says_continue(running: Running) -> None:
    """A client that asks before it sends its body is told to go on."""
    with running.connect() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert answer(sock)[0] == 100
        sock.sendall(b"hello")
        assert json.loads(answer(sock)[2])["length"] == 5


@pytest.mark.parametrize("chunked", [False, True])
def test_keeps_one_byte_more_than_the_limit(running: Running, chunked: bool) -> None:
    """The application sees that a body is too long, without all of it being kept, and the client hears the answer."""
    body = b"x" * 300_000
    with running.connect() as sock:
        if chunked:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            sock.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        else:
            sock.sendall(post(body))
        status, _, answered = answer(sock)
    assert status == 200
    assert json.loads(answered)["length"] == BODY_BYTES + 1


REFUSED = pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="no request line"),
        pytest.param(b"GET / HTTP/1.1\r\nAuthorization: Bearer\n0b5e\r\n\r\n", 400, id="line feed"),
        pytest.param(b"GET / HTTP/1.1\r\n Authorization: Bearer 0b5e\r\n\r\n", 400, id="first line goes on"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, id="negative length"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 9223372036854775808\r\n\r\n", 413, id="2^63"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"y" * 4 * HEADER_BYTES + b"\r\n\r\n", 431, id="long header"),
        pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501, id="unknown transfer"),
        pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, id="no chunk"),
        pytest.param(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * (CHUNK_LINE_BYTES + 1),
            400,
            id="chunk line",
        ),
    ],
)


@REFUSED
def test_answers_in_json_what_the_application_cannot(
    on_waitress: Running, request_bytes: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What the server refuses by itself is JSON too, says no more than needed, and the next request is served."""
    running = on_waitress
    with running.connect() as sock:
        sock.sendall(request_bytes)
        got, headers, body = answer(sock)
    assert got == status
    assert headers["content-type"] == "application/json"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["connection"] == "close"
    assert "server" not in headers
    assert set(json.loads(body)) == {"error", "detail"}
    assert b"0b5e" not in body, "it tells a secret"
    with running.connect() as sock:
        sock.sendall(post(b"next"))
        assert answer(sock)[0] == 200


@REFUSED
def test_granian_refuses_it_too(request_bytes: bytes, status: int) -> None:
    """In its own words, or by closing the connection; the next request is served.

    It ends a body where a chunk is broken, and passes on what came before; whether that is whole, its framing says.
    """
    served = Running(server_class_of("granian"))
    with served.connect() as sock:
        sock.sendall(request_bytes)
        try:
            got = answer(sock)[0]
        except TimeoutError:
            raise  # it must not leave a client waiting
        except ConnectionError:
            got = 400
    assert 400 <= got < 500 or b"chunked" in request_bytes
    with served.connect() as sock:
        sock.sendall(post(b"next"))
        assert answer(sock)[0] == 200
    served.stop()


def test_an_application_that_raises_is_a_500(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """It is answered in JSON that says nothing of the error, which the log does."""
    with running.connect() as sock:
        sock.sendall(post(b"", path="/break"))
        status, headers, body = answer(sock)
    assert (status, headers["content-type"], headers["access-control-allow-origin"]) == (500, "application/json", "*")
    assert set(json.loads(body)) == {"error", "detail"}
    assert b"on purpose" not in body
    assert "on purpose" in caplog.text
    with running.connect() as sock:
        sock.sendall(post(b"next"))
        assert answer(sock)[0] == 200


def test_half_a_body_costs_nothing(running: Running) -> None:
    """Clients that vanish within their body leave nothing behind, and others are served."""
    for _ in range(20):
        with running.connect() as sock:
            sock.sendall(post(b"x" * 500)[:-100])
    with running.connect() as sock:
        sock.sendall(post(b"whole"))
        assert answer(sock)[0] == 200
    assert not running.app.entered.is_set()


def test_slow_readers_do_not_hold_others(running: Running) -> None:
    """A client that does not read a large answer gets it all in the end, and others are served meanwhile."""
    with running.connect() as slow:
        slow.sendall(post(b"", path="/big"))
        with running.connect() as sock:
            sock.sendall(post(b"quick"))
            assert answer(sock)[0] == 200
        assert len(answer(slow)[2]) == 3_000_000


def test_many_connections_at_once(running: Running) -> None:
    """Hundreds of SDKs that report at once all get their answers, though threads are few."""

    def report(number: int) -> int:
        with running.connect() as sock:
            sock.sendall(post(b"x" * number))
            return int(json.loads(answer(sock)[2])["length"])

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(report, range(300))) == list(range(300))


def test_waits_for_connections_over_the_limit() -> None:
    """Over the limit of connections, more wait in the backlog until others end."""
    served = Running(connections=6)
    try:
        socks = [served.connect() for _ in range(12)]
        for sock in socks:
            sock.sendall(post(b"x", more="Connection: close\r\n"))
        for sock in socks:
            with sock:
                assert answer(sock)[0] == 200
    finally:
        served.stop()


def test_whoever_sends_on_keeps_his_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all connections taken, those that come in byte by byte are closed for others; those that flow are not."""
    monkeypatch.setattr(listener_module, "ROOM_RATE_S", 1.0)
    served = Running(connections=10, body_bytes=1_000_000)
    over = threading.Event()

    def flow(sock: socket.socket, piece: bytes) -> None:
        while not over.wait(0.05):
            with contextlib.suppress(OSError):
                sock.sendall(piece)

    try:
        flowing, slow = [served.connect() for _ in range(3)], [served.connect() for _ in range(12)]
        piece = b"x" * 1000
        for sock in flowing + slow:
            sock.sendall(post(b"x" * 900_000)[:-900_000])
        with ThreadPoolExecutor(15) as pool:
            for sock in flowing:
                pool.submit(flow, sock, piece)
            for sock in slow:
                pool.submit(flow, sock, b"x")
            with served.connect() as sock:  # one in the queue, behind slow ones
                sock.sendall(post(b"quick"))
                assert answer(sock)[0] == 200
            over.set()
        for sock in flowing:
            sock.settimeout(0.01)
            with pytest.raises(TimeoutError):  # it waits for the rest
                sock.recv(1)
    finally:
        over.set()
        for sock in flowing + slow:
            sock.close()
        served.stop()


def test_stop_answers_what_has_begun(running: Running) -> None:
    """A stop lets requests finish: one being worked on, one half sent, and one that only waits in the backlog."""
    held, half = running.connect(), running.connect()
    held.sendall(post(b"held", path="/hold"))
    half.sendall(post(b"0123456789")[:-5])
    assert running.app.entered.wait(5)
    idle = running.connect()
    late = running.connect()
    late.sendall(post(b"late"))
    running.server.stop()
    half.sendall(b"56789")
    assert json.loads(answer(late)[2])["length"] == 4
    status, headers, body = answer(half)
    assert (status, json.loads(body)["length"]) == (200, 10)
    if isinstance(running.server, HttpServer):  # granian says so only once its loop has heard of the stop
        assert headers["connection"] == "close"
    running.app.release.set()
    assert json.loads(answer(held)[2])["length"] == 4
    assert idle.recv(1) == b""
    running.thread.join(5)
    assert not running.thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        running.connect()
    for sock in (held, half, idle, late):
        sock.close()


def test_stop_does_not_wait_for_ever() -> None:
    """A client that never finishes its body does not keep the server from stopping."""
    served = Running()
    with served.connect() as sock:
        sock.sendall(post(b"0123456789")[:-5])
        listener = served.server._listener
        listener.stopping = True
        begun = time.monotonic()
        served.server._drain(begun + 0.3)
        assert time.monotonic() - begun < 2
    served.stop()


def test_idle_connections_are_closed(on_waitress: Running) -> None:
    """A connection that was idle for too long is closed."""
    running = on_waitress
    with running.connect() as sock:
        sock.sendall(post(b"x"))
        assert answer(sock)[0] == 200
        listener = running.server._listener
        listener.adj.channel_timeout = listener.adj.cleanup_interval = listener.next_channel_cleanup = 0
        listener.pull_trigger()
        assert sock.recv(1) == b""


@pytest.mark.parametrize("server", ["waitress", "granian"])
def test_believes_a_trusted_proxy_only(server: str) -> None:
    """The address of a client comes from X-Forwarded-For where its proxy is trusted, and never else."""
    for trusted, expected in ((None, "127.0.0.1"), ("127.0.0.1", "203.0.113.9"), ("192.0.2.1", "127.0.0.1")):
        served = Running(server_class_of(server), trusted_proxy=trusted)
        try:
            with served.connect() as sock:
                sock.sendall(post(b"", more="X-Forwarded-For: 203.0.113.9\r\n"))
                assert json.loads(answer(sock)[2])["from"] == expected
        finally:
            served.stop()


def test_a_taken_port_is_said_clearly() -> None:
    """A port in use is an error that names it, and what to do."""
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port}: .*in use.*--port"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "\udc80"])
def test_an_address_of_others_is_said_clearly(host: str) -> None:
    """An address that this machine does not have is an error that says what to do."""
    with pytest.raises(ConfigurationError, match="--host"):
        listen(host, 0)
