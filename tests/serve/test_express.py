"""The express lane: the same answers as the long way, and none but after the sync."""

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rustrak_core.accepted import Accepted
from rustrak_core.ambient import new_uuid, utc_now
from rustrak_core.errors import OverloadError, RustrakError, SpoolUnavailableError
from rustrak_core.project import Project
from rustrak_core.receive import Admission, Limits
from rustrak_http import server as server_module
from rustrak_http.app import create_app
from rustrak_http.cli.http import server_class as server_class_of
from rustrak_http.express import ExpressLane
from rustrak_http.loop import EpollLoop, PollLoop
from rustrak_http.server import HttpServer, ServerSettings, listen
from rustrak_storage.factory import open_store
from rustrak_storage.keys import StoredKeyRing
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader
from tests.corpus.recorded import CLIENTS, Request, requests_of
from tests.serve.support import envelope, eventually
from tests.serve.test_server import answer
from tests.spool.helpers import drain, numbers

KEY = "0123456789abcdef0123456789abcdef"
LOOPS = [
    pytest.param(PollLoop, id="poll"),
    pytest.param(EpollLoop, id="epoll", marks=pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll here")),
]


class Ledger(ExpressLane):
    """A lane that notes what it took, and what became of it."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.taken = 0
        self.refused = 0

    def take(self, *request: Any) -> bool:
        took = super().take(*request)
        self.taken += took
        self.refused += not took
        return took


class Served:
    """The application on a server, with the lane or without."""

    def __init__(self, folder: Path, server_class: Any, *, express: bool) -> None:
        self.store = open_store(f"sqlite:///{folder / 'express.db' if express else folder / 'long.db'}")
        self.project: Project = self.store.create_project(name="my-app", sentry_key=str(UUID(KEY)), now=utc_now())
        self.spool = DirectorySpool(folder / ("express" if express else "long"), min_free_bytes=1)
        self.directory = folder / ("express" if express else "long")
        keys = StoredKeyRing(self.store)
        self.app = create_app(self.store, spool=self.spool, keys=keys)
        self.lane = Ledger(
            keys=keys,
            intake=self.spool,
            limits=Limits(),
            clock=utc_now,
            new_id=new_uuid,
            admission=Admission(None),
        )
        settings = ServerSettings(body_bytes=20 << 20, threads=4, lane=self.lane if express else None)
        self.server = server_class(self.app, listen("127.0.0.1", 0), settings)
        self.thread = threading.Thread(target=self.server.run, kwargs={"grace_s": 5.0})
        self.thread.start()
        keys.key_of(self.project.id)

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.spool.close()
        self.store.close()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=30)

    def ask(self, wire: bytes) -> tuple[int, dict[str, str], bytes]:
        with self.connect() as sock:
            sock.sendall(wire)
            return answer(sock)

    def kept(self) -> list[Accepted]:
        reader = DirectorySpoolReader(self.directory)
        try:
            return drain(reader)
        finally:
            reader.close()


@pytest.fixture(params=[*LOOPS, "granian"])
def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Served]]:
    made: list[Served] = []
    if request.param == "granian":
        server_class: Any = server_class_of("granian")
    else:
        server_class = HttpServer
        monkeypatch.setattr(server_module, "make_loop", request.param)

    def build(*, express: bool = True) -> Served:
        made.append(Served(tmp_path, server_class, express=express))
        return made[-1]

    yield build
    for each in made:
        each.stop()


def post(body: bytes, *headers: str, target: str = "/api/1/envelope/", auth: str | None = KEY) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: h", *headers, f"Content-Length: {len(body)}"]
    if auth is not None:
        lines.append(f"X-Sentry-Auth: Sentry sentry_key={auth}, sentry_client=test/1")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def event(number: int = 1) -> bytes:
    return envelope(UUID(int=number), message="hello")


def outcome(served: Served, wire: bytes) -> tuple[int, dict[str, str], Any]:
    status, headers, body = served.ask(wire)
    return status, {name: value for name, value in headers.items() if name != "date"}, json.loads(body)


def answered(served: Served, request: Request) -> Any:
    status, headers, body = served.ask(request.wire())
    assert headers["x-request-id"]
    plain = {name: value for name, value in headers.items() if name not in {"date", "x-request-id"}}
    return status, plain, (json.loads(body) if body and request.event_hex else bool(body))


def facts(kept: list[Accepted]) -> list[Any]:
    """Return what was kept, but for when, and for ids that were made up here."""
    return [[(each.payload, each.remote_addr, each.sdk_client, each.kind) for each in one.events] for one in kept]


@pytest.mark.parametrize("client", CLIENTS)
def test_recorded_clients_get_the_same_answers(make: Callable[..., Served], client: str) -> None:
    """Whatever SDKs send, status, headers, body and what is kept are the same with the lane and without."""
    lane, long = make(express=True), make(express=False)
    for request in requests_of(client):
        assert answered(lane, request) == answered(long, request), request.name
    assert facts(lane.kept()) == facts(long.kept())
    if any("/envelope" in request.target and request.event_hex for request in requests_of(client)):
        assert lane.lane.taken


REFUSED = [
    pytest.param(post(event(), auth="f" * 32), id="another key"),
    pytest.param(post(event(), auth=None), id="no key"),
    pytest.param(post(event(), target="/api/99/envelope/"), id="another project"),
    pytest.param(post(event(), target=f"/api/1/envelope/?sentry_key={'f' * 32}"), id="keys that disagree"),
    pytest.param(post(b'{"dsn":"http://%b@h/2"}\n' % KEY.encode() + event().partition(b"\n")[2]), id="another dsn"),
    pytest.param(post(event()[:-9]), id="cut short"),
    pytest.param(post(b"nonsense"), id="no envelope"),
    pytest.param(post(event(), "Content-Encoding: gzip"), id="no gzip"),
    pytest.param(post(event(), "Content-Encoding: lzma"), id="unknown encoding"),
    pytest.param(post(envelope(UUID(int=1), message="x" * (1 << 20))), id="too large"),
    pytest.param(post(event(), target="/api/1/envelopes/"), id="another path"),
]


@pytest.mark.parametrize("wire", REFUSED)
def test_what_is_refused_is_refused_alike(make: Callable[..., Served], wire: bytes) -> None:
    """The lane refuses nothing itself: the application says what is wrong."""
    lane = make()
    status, _, body = outcome(lane, wire)
    assert status >= 400
    assert body == outcome(make(express=False), wire)[2]
    assert lane.lane.taken == 0
    assert outcome(lane, post(event()))[0] == 200


@pytest.mark.parametrize("express", [True, False])
def test_a_request_keeps_its_id(make: Callable[..., Served], express: bool) -> None:
    """The id that a proxy gave a request comes back; one that would break a header does not, nor one without."""
    served = make(express=express)
    assert served.ask(post(event(1), "X-Request-Id: proxy-7"))[1]["x-request-id"] == "proxy-7"
    made = [served.ask(post(event(2), *odd))[1]["x-request-id"] for odd in ([], [], ["X-Request-Id: a b"])]
    assert len(set(made)) == 3
    assert "a b" not in made


def test_requests_on_one_connection_are_answered_in_order(make: Callable[..., Served]) -> None:
    """Pipelined ones too, and those of the long way among them."""
    served = make()
    wires = [
        post(event(1)),
        b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n",
        post(event(2)),
        post(event(3), auth="f" * 32),
        post(event(4)),
    ]
    with served.connect() as sock:
        sock.sendall(b"".join(wires))
        data = b""
        while data.count(b"HTTP/1.1 ") < len(wires) or not data.endswith(b"}"):
            data += sock.recv(65536)
    statuses = [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 200, 200, 401, 200]
    assert sorted(numbers(served.kept())) == [1, 2, 4]
    assert served.lane.taken == 3


def test_a_body_in_pieces_takes_the_lane(make: Callable[..., Served]) -> None:
    """Chunks, and Expect: 100-continue, as some SDKs send."""
    served, body = make(), event(5)
    chunked = post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    chunked += b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (20, body[:20], len(body) - 20, body[20:])
    assert outcome(served, chunked)[0] == 200
    head, _, rest = post(event(6), "Expect: 100-continue").partition(b"\r\n\r\n")
    with served.connect() as sock:
        sock.sendall(head + b"\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(rest)
        assert answer(sock)[0] == 200
    assert sorted(numbers(served.kept())) == [5, 6]
    assert served.lane.taken == 2


def test_an_answer_waits_for_the_sync(make: Callable[..., Served]) -> None:
    """As long as the write is under way nothing is answered, and others are served meanwhile."""
    served = make()
    written = threading.Event()
    push = served.lane._intake.push
    served.lane._intake.push = lambda: push() if written.is_set() else None  # type: ignore[method-assign]
    with served.connect() as sock:
        sock.sendall(post(event(7)))
        served_meanwhile = served.ask(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        assert served_meanwhile[0] == 200
        assert select.select([sock], [], [], 0.2)[0] == []
        assert served.kept() == []
        written.set()
        push()
        assert answer(sock)[0] == 200
    assert numbers(served.kept()) == [7]


def test_what_could_not_be_written_goes_the_long_way(
    make: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again by the application, whose answer the client gets."""
    served = make()

    def fail(_: Accepted, settled: Callable[[RustrakError | None], None]) -> None:
        threading.Timer(0.05, settled, [SpoolUnavailableError("broken on purpose")]).start()

    monkeypatch.setattr(served.spool, "submit", fail)
    assert outcome(served, post(event(8)))[0] == 200
    assert numbers(served.kept()) == [8]


def test_where_there_is_no_room_the_application_says_so(
    make: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overload is a 429 with both headers, as without the lane."""
    served = make()

    def full(*_: object) -> None:
        raise OverloadError("full on purpose", retry_after_s=5, reason="spool_full")

    monkeypatch.setattr(served.spool, "submit", full)
    monkeypatch.setattr(served.spool, "accept", full)
    status, headers, _ = outcome(served, post(event(8)))
    assert (status, headers["retry-after"]) == (429, "5")
    assert headers["x-sentry-rate-limits"].startswith("5:")


def test_a_client_that_goes_away_costs_nothing(make: Callable[..., Served]) -> None:
    """Its event is kept, unless granian hears of its end first; none is kept twice, and the next client is served."""
    served = make()
    for number in range(20):
        with served.connect() as sock:
            sock.sendall(post(event(number + 1)))
    assert outcome(served, post(event(99)))[0] == 200
    if isinstance(served.server, HttpServer):
        eventually(lambda: len(served.kept()) == 21)
        assert sorted(numbers(served.kept())) == [*range(1, 21), 99]
    kept = sorted(numbers(served.kept()))
    assert kept == sorted({*kept, 99})
