"""Clients that are slow, idle, many, large or bombs: the others are served meanwhile, and memory stays bounded."""

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from tests.faults.accounts import faults_in, hold, totals
from tests.faults.memory import pss_bytes
from tests.serve.support import Served, envelope, exception, new_ids

_MIB = 2**20
SLOW_LIMIT = 100
BOMBS = 10


@contextlib.contextmanager
def connections(served: Served, count: int, first: bytes = b"") -> Iterator[list[socket.socket]]:
    """Open so many connections, and send *first* on each."""
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(count):
            socks.append(stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=30)))
            if first:
                socks[-1].sendall(first)
        yield socks


@contextlib.contextmanager
def dribbling(socks: list[socket.socket], every_s: float = 0.5) -> Iterator[None]:
    """Send another byte on each connection from time to time."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every_s):
            for sock in socks:
                with contextlib.suppress(OSError):
                    sock.sendall(b"a")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def head(served: Served, length: int, *, encoding: str = "") -> bytes:
    """Return the header of a request with an envelope."""
    more = f"Content-Encoding: {encoding}\r\n" if encoding else ""
    line = f"POST {served.envelope_path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{more}\r\n"
    return line.encode()


def status(sock: socket.socket) -> int:
    """Read an answer, and return its status."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = sock.recv(65536)
        if not piece:
            return 0
        answer += piece
    return int(answer[9:12])


def send_some(served: Served, count: int = 20) -> list[UUID]:
    """Send events on new connections; all must be taken."""
    ids = new_ids(count)
    for event_id in ids:
        assert served.send(event_id, **exception("FineError")) == 200
    return ids


@pytest.mark.slow
@pytest.mark.parametrize(
    ("idle", "options"),
    [
        (500, ("--connections", "100")),
        pytest.param(4000, ("--connections", "1000"), marks=pytest.mark.faults),
        pytest.param(4000, ("--server", "granian"), marks=pytest.mark.faults),
    ],
)
def test_idle_connections(tmp_path: Path, idle: int, options: tuple[str, ...]) -> None:
    """Thousands of idle connections keep nobody out: the idlest are closed to make room, or there is room for all."""
    with Served(tmp_path, *options) as served:
        before = pss_bytes(served)["total"]
        with connections(served, idle):
            begun = time.monotonic()
            ids = send_some(served)
            print(f"{idle} idle connections: 20 events took {time.monotonic() - begun:.1f} s")
            print(f"memory {before / _MIB:.0f} -> {pss_bytes(served)['total'] / _MIB:.0f} MiB")
        hold(served, ids)
        assert served.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("server", ["waitress", pytest.param("granian", marks=pytest.mark.faults)])
@pytest.mark.parametrize("where", ["body", pytest.param("header", marks=pytest.mark.faults)])
def test_slow_loris(tmp_path: Path, where: str, server: str) -> None:
    """Requests that come byte by byte hold no thread: others are served meanwhile, and a stop waits for none."""
    with Served(tmp_path, "--server", server) as served:
        first = b"POST / HTTP/1.1\r\nX-A: " if where == "header" else head(served, 100_000) + b"{"
        with connections(served, SLOW_LIMIT, first) as socks, dribbling(socks, 0.05):
            ids = send_some(served, 100)
            hold(served, ids)
            assert served.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "server", "slow", "room"),
    [
        ("body", "granian", 20, 10),
        pytest.param("header", "waitress", 200, 50, marks=pytest.mark.faults),
        pytest.param("body", "waitress", 200, 50, marks=pytest.mark.faults),
        pytest.param("body", "granian", 200, 50, marks=pytest.mark.faults),
    ],
)
def test_slow_loris_on_every_connection(tmp_path: Path, where: str, server: str, slow: int, room: int) -> None:
    """With all connections taken by such requests, and more waiting, others are served within seconds all the same.

    But for headers at granian, which gives each 30 seconds whoever waits.
    """
    with Served(tmp_path, "--server", server, "--connections", str(room)) as served:
        first = b"POST / HTTP/1.1\r\nX-A: " if where == "header" else head(served, 5_000) + b"{"
        with connections(served, slow, first) as socks, dribbling(socks):
            begun = time.monotonic()

            ids: list[UUID] = []

            def answered() -> bool:
                with contextlib.suppress(OSError):
                    ids.extend(send_some(served, 1))
                return bool(ids)

            served.wait_for(answered, "answer", within_s=60)
            print(
                f"{server}: {slow} slow requests on {room} connections: others waited {time.monotonic() - begun:.1f} s"
            )
            hold(served, ids)
        assert served.stop() == 0


@pytest.mark.slow
def test_sigterm_with_half_a_body(tmp_path: Path) -> None:
    """A stop lets a body come to its end and answers it; one that never ends is neither waited for nor kept."""
    (whole, torn, early) = new_ids(3)
    with Served(tmp_path) as served, connections(served, 2) as (first, second):
        assert served.send(early, message="early") == 200
        for sock, event_id in ((first, whole), (second, torn)):
            body = envelope(event_id, message="half")
            sock.sendall(head(served, len(body)) + body[:-20])
        time.sleep(0.5)  # the server has no way to tell that it has read them
        served.process.terminate()
        time.sleep(0.5)
        first.sendall(envelope(whole, message="half")[-20:])
        assert status(first) == 200
        assert served.wait() == 0
        assert second.recv(10) == b""
    with Served(tmp_path, like=served) as again:
        hold(again, [whole, early])
        assert again.stop() == 0


@pytest.mark.slow
def test_decompression_bombs(tmp_path: Path) -> None:
    """A body of a MiB that unpacks to a GiB costs its sender a 413, and the server no memory."""
    with Served(tmp_path) as served:
        more = gzip.compress(b"a" * _MIB * 16, 6) * 63  # with what precedes it, a GiB
        event = b'{"type":"event"}\n{"a":"' + b"a" * _MIB * 16
        unknown = b'{"type":"whatever"}\n' + b"a" * _MIB * 16
        before = pss_bytes(served)["total"]
        for payload in (event, unknown):
            bomb = gzip.compress(b"{}\n" + payload, 6) + more
            with connections(served, BOMBS, head(served, len(bomb), encoding="gzip")) as socks:
                with ThreadPoolExecutor(BOMBS) as pool:
                    list(pool.map(lambda sock, bomb=bomb: sock.sendall(bomb), socks))
                assert [status(sock) for sock in socks] == [413] * BOMBS
        after = pss_bytes(served)["total"]
        print(f"{2 * BOMBS} bombs: memory {before / _MIB:.0f} -> {after / _MIB:.0f} MiB")
        hold(served, send_some(served))
        assert after < 300 * _MIB
        served.wait_for(lambda: totals(served)["too_large"] == 2 * BOMBS, "count of what was too large")
        assert not faults_in(served)
        assert served.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["", pytest.param("gzip", marks=pytest.mark.faults)])
def test_a_hundred_large_bodies_at_once(tmp_path: Path, encoding: str) -> None:
    """A hundred bodies of 6 MiB at the same time: each is answered, and memory stays under 300 MiB."""
    padding = json.dumps({"length": 5 * _MIB, "type": "attachment"}).encode() + b"\n" + b"x" * 5 * _MIB + b"\n"
    ids = new_ids(100)
    most = 0
    over = threading.Event()
    with Served(tmp_path) as served:

        def watch() -> None:
            nonlocal most
            while not over.wait(0.05):
                most = max(most, pss_bytes(served)["total"])

        def send(event_id: UUID) -> int:
            noise = event_id.hex.encode() * (_MIB // 40)
            body = envelope(event_id, message="large", extra={"noise": noise.decode()}) + padding
            body = gzip.compress(body, 1) if encoding else body
            with socket.create_connection(("127.0.0.1", served.port), timeout=120) as sock:
                sock.sendall(head(served, len(body), encoding=encoding) + body)
                return status(sock)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            with ThreadPoolExecutor(100) as pool:
                answers = list(pool.map(send, ids))
            hold(served, [event_id for event_id, answer in zip(ids, answers, strict=True) if answer == 200])
        finally:
            over.set()
            watching.join()
        assert served.stop() == 0
    print(f"100 bodies of 6 MiB {encoding}: at most {most / _MIB:.0f} MiB, answers {sorted(set(answers))}")
    assert answers == [200] * 100
    assert most < 300 * _MIB
