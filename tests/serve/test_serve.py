"""``rustrak serve`` as a whole: real processes, real HTTP, a real SDK."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.databases import new_database, text_of
from tests.serve.support import SERVE, Served, envelope, exception, new_ids

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that the tests of this module share; at the end it stops with nothing to complain of."""
    with Served(tmp_path_factory.mktemp("serve")) as running:
        yield running
        assert running.stop() == 0
        assert running.stderr.read_text() == ""


@pytest.fixture(
    params=[
        "",
        "duckdb",
        pytest.param("postgres", marks=pytest.mark.needs_server),
        pytest.param("mariadb", marks=pytest.mark.needs_server),
    ]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variable that names an empty database of each kind; none for the SQLite file that is there without."""
    if not request.param:
        yield {}
    elif request.param == "duckdb":
        yield {"RUSTRAK_DATABASE_URL": f"duckdb:///{tmp_path}/errors.duckdb"}
    else:
        with new_database(request.param) as url:
            yield {"RUSTRAK_DATABASE_URL": text_of(url)}


def test_first_lines_lead_to_an_issue(tmp_path: Path, database: dict[str, str]) -> None:
    """What `serve` prints on an empty database, pasted into a script, gives an issue that the printed line reads."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RUSTRAK_")} | database
    env |= {"RUSTRAK_DATA_DIR": str(tmp_path / "data"), "RUSTRAK_PORT": "0", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(SERVE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not (lines and lines[-1].startswith("curl ")):
                lines.append(process.stdout.readline().rstrip("\n"))
                assert lines[-1] or process.poll() is None, lines
            start = lines.index("import sentry_sdk")
            subprocess.run([sys.executable, "-c", "\n".join(lines[start : start + 3])], check=True, timeout=30)
            begun, rows = time.monotonic(), list[Any]()
            while not rows:
                assert time.monotonic() - begun < 30, "not readable"  # how soon: see below
                curl = subprocess.run(["sh", "-c", lines[-1]], capture_output=True, check=True, timeout=10)
                rows = json.loads(curl.stdout)["data"]
            assert (rows[0]["type"], rows[0]["message"]) == ("RuntimeError", "Hello, Rustrak")
            printed = "\n".join(lines)
            assert str(tmp_path / "data") in printed
            assert ("rustrak.db" in printed) is not bool(database)
            assert ("in a thread" in printed) is ("duckdb" in str(database))
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == ""


def test_shows_first_facts_once(tmp_path: Path) -> None:
    """Project and token are shown at the first start only, and go on working."""
    with Served(tmp_path) as first:
        assert first.stop() == 0
    with Served(tmp_path, like=first) as second:
        line = second.facts
        assert second.project()["name"] == "my-app"
        assert second.send(uuid4(), **exception("LaterError")) == 200
        second.wait_for_events(1)
        assert line["url"] != first.url or line["token"] == first.token


def test_only_one_of_many_is_the_first(tmp_path: Path) -> None:
    """Of many servers that start on one empty database at once, exactly one makes project and token; all serve."""
    database = f"sqlite:///{tmp_path / 'shared.db'}"
    with contextlib.ExitStack() as stack:
        with ThreadPoolExecutor(4) as pool:
            starts = [pool.submit(Served, tmp_path / f"node-{n}", "--database-url", database) for n in range(4)]
            nodes = [stack.enter_context(start.result()) for start in starts]
        firsts = [node for node in nodes if "dsn" in node.facts]
        assert len(firsts) == 1
        first = firsts[0]
        for node in nodes:
            node.token, node.key, node.project_id = first.token, first.key, first.project_id
            assert node.send(uuid4(), **exception("SharedError")) == 200
        first.wait_for_events(4)
        issues = first.get(f"/api/projects/{first.project_id}/issues")["data"]
        assert [issue["event_count"] for issue in issues] == [4]


def test_two_share_a_data_directory(tmp_path: Path) -> None:
    """Two servers on one data directory each have a lane, and an end of one leaves the other at work."""
    with Served(tmp_path / "data") as first, Served(tmp_path / "data", like=None) as second:
        second.token, second.key, second.project_id = first.token, first.key, first.project_id
        assert first.send(uuid4(), **exception("OneError")) == 200
        assert second.send(uuid4(), **exception("OneError")) == 200
        second.wait_for_events(2)
        assert first.send(uuid4(), **exception("OneError")) == 200
        assert first.stop() == 0
        second.wait_for_events(3)


def test_is_ready(served: Served) -> None:
    """Readiness holds once the worker has given a sign of life."""
    served.wait_for(served.is_ready, "readiness")


def test_an_event_is_readable_within_a_second(served: Served) -> None:
    """From its acceptance to its issue in the API less than a second goes by, once the worker has started.

    The quickest of some events decides, since other tests may have the processor when one of them is due.
    """
    served.wait_for(served.is_ready, "readiness")
    assert min(_seconds_until_readable(served) for _ in range(8)) < 1


def _seconds_until_readable(served: Served) -> float:
    event_id = uuid4()
    assert served.send(event_id, **exception("QuickError")) == 200
    begun = time.monotonic()
    served.wait_for(lambda: _has(served, event_id), "event")
    return time.monotonic() - begun


def _has(served: Served, event_id: object) -> bool:
    with contextlib.closing(served.connect()) as client:
        client.request("GET", f"/api/events/{event_id}", headers={"Authorization": f"Bearer {served.token}"})
        response = client.getresponse()
        response.read()
        return response.status == 200


def test_a_chunked_envelope(served: Served) -> None:
    """An envelope in chunks, without a length, is accepted."""
    event_id = uuid4()
    body = envelope(event_id, **exception("ChunkedError"))
    with contextlib.closing(served.connect()) as client:
        client.request("POST", served.envelope_path, body=iter([body[:7], body[7:]]), encode_chunked=True)
        response = client.getresponse()
        assert (response.status, json.loads(response.read())) == (200, {"id": event_id.hex})


def test_one_connection_for_many_envelopes(served: Served) -> None:
    """A connection is kept, also over refusals."""
    with contextlib.closing(served.connect()) as client:
        for body, status in ((envelope(uuid4()), 200), (b"nonsense", 400), (envelope(uuid4()), 200)):
            client.request("POST", served.envelope_path, body=body)
            response = client.getresponse()
            response.read()
            assert response.status == status


def test_half_an_envelope_is_nothing(served: Served) -> None:
    """A client that vanishes in the middle of its body leaves nothing, and the next is served."""
    event_id = uuid4()
    body = envelope(event_id, **exception("HalfError"))
    with socket.create_connection(("127.0.0.1", served.port)) as sock:
        head = f"POST {served.envelope_path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body[: len(body) // 2])
    assert served.send(uuid4(), **exception("NextError")) == 200
    assert not _has(served, event_id)


def test_too_large_a_body_is_said(tmp_path: Path) -> None:
    """A body over the limit of its setting is answered with 413, in JSON, whether its length is told or not."""
    with Served(tmp_path, "--max-body-bytes", "2000") as small:
        for chunked in (False, True):
            with contextlib.closing(small.connect()) as client:
                body = envelope(uuid4(), extra={"x": "y" * 100_000})
                pieces = iter([body[:50_000], body[50_000:]]) if chunked else body
                client.request("POST", small.envelope_path, body=pieces, encode_chunked=chunked)
                response = client.getresponse()
                assert response.status == 413
                assert "2000" in json.loads(response.read())["error"]


def test_waits_for_a_client_that_asks_first(served: Served) -> None:
    """Expect: 100-continue is answered before the body is sent, as curl asks for large bodies."""
    body = envelope(uuid4(), **exception("ContinueError"))
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as sock:
        head = f"POST {served.envelope_path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        sock.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert sock.recv(1000).startswith(b"HTTP/1.1 100")
        sock.sendall(body)
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("server", ["waitress", "granian"])
def test_sigterm_under_load_loses_nothing(tmp_path: Path, server: str) -> None:
    """A stop in the middle of a burst ends with status 0, soon, and every acknowledged event is there afterwards."""
    with Served(tmp_path, "--server", server) as first:
        acknowledged: list[object] = []
        refused = threading.Event()

        def burst(_number: int) -> None:
            while not refused.is_set():
                event_id = uuid4()
                try:
                    if first.send(event_id, **exception("BurstError")) == 200:
                        acknowledged.append(event_id)
                except OSError:
                    refused.set()

        with ThreadPoolExecutor(8) as pool:
            bursts = [pool.submit(burst, number) for number in range(8)]
            first.wait_for(lambda: len(acknowledged) > 200, "acknowledgements")
            begun = time.monotonic()
            assert first.stop() == 0
            assert time.monotonic() - begun < 10
            for each in bursts:
                each.result()
        assert first.stderr.read_text() == ""
    with Served(tmp_path, like=first) as second:
        second.wait_for_events(len(acknowledged))
        assert second.project()["event_count"] == len(acknowledged)


def test_without_granian_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is not installed is named with what to install, before anything is made."""
    (tmp_path / "granian").mkdir()
    (tmp_path / "granian" / "__init__.py").write_text("raise ImportError('broken on purpose', name='granian')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(RuntimeError, match=r"rustrak\[fast\]"):
        Served(tmp_path / "data", "--server", "granian")


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    """A second SIGTERM does not wait for a client that never ends, nor does the worker stay behind."""
    with Served(tmp_path) as stubborn:
        with socket.create_connection(("127.0.0.1", stubborn.port)) as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
            assert stubborn.send(uuid4()) == 200
            workers = stubborn.pids()
            stubborn.process.terminate()
            stubborn.wait_for(lambda: _refuses(stubborn.port), "closed port")
            stubborn.process.terminate()
            assert stubborn.wait(within_s=4) == 128 + signal.SIGTERM
        stubborn.wait_for(lambda: not any(_alive(pid) for pid in workers), "end of the worker")


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


def _alive(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1] not in {"", "Z"}


def test_a_killed_worker_is_started_again(tmp_path: Path) -> None:
    """Kill -9 of the digest worker costs no event: another one goes on where it was."""
    with Served(tmp_path) as served:
        ids = new_ids(300)
        for number, event_id in enumerate(ids):
            assert served.send(event_id, **exception("WorkerError")) == 200
            if number in {50, 150}:
                served.wait_for(served.worker_pids, "worker")
                served.kill(parent=False, http=False)
        served.wait_for_events(len(ids))
        assert served.project()["event_count"] == len(ids)
        assert served.stop() == 0
    problems = [json.loads(line) for line in served.stderr.read_text().splitlines()]
    ends = [problem["message"] for problem in problems if problem["logger"] == "rustrak.supervisor"]
    assert len(ends) >= 2
    assert all("status=-9" in end for end in ends)


def test_a_killed_http_process_is_started_again(tmp_path: Path) -> None:
    """Kill -9 of the HTTP processes costs no event that was acknowledged: others take their place on the same port."""
    with Served(tmp_path, "--processes", "2") as served:
        ids = new_ids(60)
        for number, event_id in enumerate(ids):
            if number in {20, 40}:
                served.wait_for(lambda: len(served.pids("http")) == 2, "HTTP processes")
                served.kill(parent=False, worker=False)
            with contextlib.suppress(OSError):
                assert served.send(event_id, **exception("HttpError")) == 200
                continue
            assert served.send(event_id, **exception("HttpError")) == 200
        served.wait_for_events(len(ids))
        assert served.project()["event_count"] == len(ids)
        assert served.stop() == 0


@pytest.mark.parametrize("processes", ["1", "3"])
def test_as_many_http_processes_as_asked_for(tmp_path: Path, processes: str) -> None:
    """They share port, keys and database: what one made another serves."""
    with Served(tmp_path, "--processes", processes) as served:
        served.wait_for(lambda: len(served.pids("http")) == int(processes), "HTTP processes")
        ids = new_ids(30)
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda event_id: served.send(event_id, **exception("ManyError")), ids)) == {200}
        served.wait_for_events(len(ids))
        assert served.stop() == 0
    assert served.stderr.read_text() == ""


def test_children_do_not_outlive_their_parent(tmp_path: Path) -> None:
    """Kill -9 of the parent leaves nobody behind."""
    with Served(tmp_path) as served:
        served.wait_for(lambda: served.worker_pids() and served.pids("http"), "children")
        children = served.pids()
        served.kill(worker=False, http=False)
        served.wait_for(lambda: not any(_alive(pid) for pid in children), "end of the children")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        pytest.param(["--database-url", "memory://"], "--database-url", id="memory"),
        pytest.param(["--database-url", "duckdb:///x.duckdb", "--processes", "2"], "--processes", id="processes"),
        pytest.param(["--database-url", "duckdb:///x.duckdb", "--workers", "2"], "in a thread", id="workers"),
        pytest.param(["--data-dir", "/dev/null/x"], "--data-dir", id="no directory"),
        pytest.param(["--host", "192.0.2.1"], "--host", id="no address of ours"),
        pytest.param(["--public-url", "nonsense"], "public", id="no URL"),
        pytest.param(["--database-url", "postgresql+psycopg://u:secret@127.0.0.1:1/x"], "reach", id="no database"),
    ],
)
def test_a_wrong_setting_is_said_in_a_line(tmp_path: Path, options: list[str], text: str) -> None:
    """A server that cannot start says why and what to set, in a line without secrets, and ends with a status."""
    data = [] if "--data-dir" in options else ["--data-dir", str(tmp_path)]
    done = subprocess.run(
        [*SERVE, "--port", "0", *data, *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("rustrak: ")
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_duckdb_file_is_of_one_process(tmp_path: Path) -> None:
    """While a server has the file open, other commands and servers say what to do, and disturb nothing."""
    url = f"duckdb:///{tmp_path}/errors.duckdb"
    with Served(tmp_path / "data", "--database-url", url) as served:
        assert (served.facts["digests"], served.pids("digest")) == ("thread", [])
        for command in (["issues"], ["export", str(tmp_path / "copy.duckdb")], ["serve", "--port", "0"]):
            place = ["--data-dir", str(tmp_path / "other"), "--database-url", url]
            done = subprocess.run(
                [*SERVE[:-1], *command, *place], capture_output=True, text=True, timeout=120, check=False
            )
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)
            assert "use the HTTP API, or stop the server and try again" in done.stderr
        ids = new_ids(20)
        assert {served.send(event_id, **exception("DuckError")) for event_id in ids} == {200}
        served.wait_for_events(len(ids), within_s=120)
        served.wait_for(served.is_ready, "readiness")
        served.kill(parent=False)  # the process that serves is started again, and has the file
        served.wait_for(lambda: _answers(served), "readiness", within_s=120)
        assert served.send(new_ids(1)[0], **exception("DuckError")) == 200
        served.wait_for_events(len(ids) + 1, within_s=120)
        assert served.stop() == 0


def test_a_taken_port_uses_nothing_up(tmp_path: Path) -> None:
    """A server that finds its port taken has made no project: the next start shows the first facts."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [*SERVE, "--port", port, "--data-dir", str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    with Served(tmp_path) as served:
        assert "dsn" in served.facts


def test_behind_a_proxy(tmp_path: Path) -> None:
    """DSNs show the public URL; who sets up the proxy is told where the server listens."""
    with Served(tmp_path, "--public-url", "https://errors.example.com/x/") as served:
        assert served.facts["url"] == "https://errors.example.com/x"
        assert served.dsn.endswith("@errors.example.com/x/1")
        assert served.url == served.facts["local_url"] == f"http://127.0.0.1:{served.port}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_ends_in_good_order(number: signal.Signals, tmp_path: Path) -> None:
    """A terminal's Ctrl-C and systemd's SIGTERM go to the worker too; it leaves the end to its parent."""
    with Served(tmp_path) as served:
        assert served.send(uuid4()) == 200
        served.wait_for_events(1)
        for pid in [*served.pids(), served.process.pid]:
            os.kill(pid, number)
        assert served.wait(within_s=10) == 0
        assert served.stderr.read_text() == ""


def _answers(served: Served) -> bool:
    try:
        return served.is_ready()
    except OSError:
        return False
