"""`rustrak serve --role`: one server only accepts and another only digests, of one data directory and one database."""

import socket
import subprocess
from pathlib import Path

import pytest

from tests.faults.accounts import totals
from tests.serve.support import SERVE, Served, exception, new_ids
from tests.serve.test_metrics import scrape


def test_one_accepts_and_another_digests(tmp_path: Path) -> None:
    """What an HTTP server accepts waits until a worker on its data directory is there; both say what they are."""
    ids = new_ids(20)
    with Served(tmp_path, "--role", "http") as http:
        for event_id in ids:
            assert http.send(event_id, **exception("RoleError")) == 200
        assert (http.facts["role"], http.pids("digest")) == ("http", [])
        assert totals(http)["queued"] == len(ids)
        ready = http.get("/health/ready")
        assert ready["role"] == "http"
        assert "worker" not in ready
        with Served(tmp_path, "--role", "worker") as worker:
            http.wait_for_events(len(ids))
            assert (worker.facts["role"], worker.pids("http")) == ("worker", [])
            assert not {"url", "local_url", "dsn", "token"} & worker.facts.keys()
            assert totals(http)["queued"] == 0
            assert worker.stop() == 0
        assert http.send(ids[0], **exception("RoleError")) == 200
        assert http.stop() == 0
    assert http.stderr.read_text() == ""


def test_a_server_does_both_unless_told(tmp_path: Path) -> None:
    """Without --role a server accepts and digests, and says so."""
    with Served(tmp_path) as served:
        assert served.facts["role"] == "all"
        served.wait_for(served.is_ready, "readiness")
        assert served.get("/health/ready")["role"] == "all"


def test_a_worker_listens_on_no_port(tmp_path: Path) -> None:
    """That the port is taken is nothing to a worker, nor does it use up the first facts of a database."""
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        Served(tmp_path, "--role", "worker", port=taken.getsockname()[1]),
    ):
        pass
    with Served(tmp_path, "--role", "http") as http:
        assert http.token


def test_a_worker_answers_metrics_on_a_port_of_their_own(tmp_path: Path) -> None:
    """The figures of a worker are those of its processes, of the spool and of the store."""
    with (
        Served(tmp_path, "--role", "http") as http,
        Served(tmp_path, "--role", "worker", "--workers", "1", "--metrics-port", "0") as worker,
    ):
        assert http.send(new_ids(1)[0], message="one") == 200
        http.wait_for_events(1)
        url = worker.facts["metrics_url"]
        worker.wait_for(lambda: scrape(url)["rustrak_events_total 1 stored"] == 1, "the event in the figures")
        found = scrape(url)
        assert found["rustrak_process_up digest-0"] == 1
        assert "rustrak_process_up http-0" not in found
        assert not any(value for name, value in found.items() if name.startswith("rustrak_scrape_failed"))
        assert worker.stop() == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        pytest.param(["--role", "worker", "--metrics"], "--metrics-port", id="metrics without a port"),
        pytest.param(["--role", "http", "--database-url", "memory://"], "one process", id="memory"),
        pytest.param(["--role", "worker", "--database-url", "duckdb:///x.duckdb"], "one process", id="duckdb"),
    ],
)
def test_what_does_not_go_together_is_said(tmp_path: Path, options: list[str], text: str) -> None:
    """It is refused in a line that says what to do, before anything is made."""
    data_dir = tmp_path / "data"
    command = [*SERVE, "--port", "0", "--data-dir", str(data_dir), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("rustrak: ")
    assert text in done.stderr
    assert not data_dir.exists()
