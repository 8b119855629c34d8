"""Two HTTP nodes and two workers on one PostgreSQL: some are killed with -9 while events come in, and start again."""

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.databases import new_database, text_of
from tests.faults.accounts import hold
from tests.faults.burst import Burst, free_port
from tests.serve.support import Served, new_ids

ISSUES = 300

pytestmark = [pytest.mark.slow, pytest.mark.needs_server]


@pytest.fixture
def database() -> Iterator[URL]:
    with new_database("postgres") as url:
        yield url


class Node:
    """A data directory with an HTTP server and a worker, which are processes of their own.

    Args:
        first: The HTTP server of another node of the database, None where there is none yet.
    """

    def __init__(self, data_dir: Path, database: URL, first: Served | None = None) -> None:
        self._data_dir = data_dir
        self._options = "--database-url", text_of(database)
        self._port = free_port()
        self._first = first
        self.start_http()
        self.start_worker()

    def start_http(self) -> None:
        """Start the HTTP server, on the port that it had."""
        options = (*self._options, "--role", "http", "--processes", "2")
        self.http = Served(self._data_dir, *options, port=self._port, like=self._first)
        self._first = self._first or self.http

    def start_worker(self) -> None:
        """Start the worker."""
        self.worker = Served(self._data_dir, *self._options, "--role", "worker", "--workers", "1")

    def end(self) -> None:
        """Kill what runs."""
        for served in (self.http, self.worker):
            if served.process.poll() is None:
                served.kill()


@pytest.mark.parametrize(
    ("events", "rounds"), [(1_200, 1), pytest.param(20_000, 3, marks=pytest.mark.faults)], ids=["short", "long"]
)
def test_two_nodes_lose_and_double_nothing(tmp_path: Path, database: URL, events: int, rounds: int) -> None:
    """One HTTP server and one worker of two are killed, again and again: all is there, once, short ids without gaps."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    halves = new_ids(events // 2), new_ids(events // 2)
    with contextlib.ExitStack() as ends:
        nodes = [Node(tmp_path / "a", database)]
        ends.callback(nodes[0].end)
        nodes.append(Node(tmp_path / "b", database, first=nodes[0].http))
        ends.callback(nodes[1].end)
        bursts = [
            ends.enter_context(Burst(ids, nodes[0].http.envelope_path, node.http.port, clients=4, kinds=ISSUES))
            for node, ids in zip(nodes, halves, strict=True)
        ]
        for number in range(rounds):
            part = len(halves[0]) // (rounds + 1)
            bursts[0].wait_for(number * part + chance.randrange(1, part), within_s=300)
            http, worker = chance.choice(nodes), chance.choice(nodes)
            http.http.kill()
            worker.worker.kill()
            worker.start_worker()
            http.start_http()
        for burst, ids in zip(bursts, halves, strict=True):
            burst.finish(within_s=900)
            assert burst.refused == []
            assert burst.acknowledged == set(ids)
        for node in nodes:
            node.http.wait_for(node.http.is_ready, "readiness")
        one = nodes[0].http
        hold(one, halves[0] + halves[1], within_s=600)
        issues = list(one.pages(f"/api/projects/{one.project_id}/issues"))
        assert {issue["short_id"] for issue in issues} == {f"MY-APP-{n}" for n in range(1, ISSUES + 1)}
        assert (len(issues), sum(issue["event_count"] for issue in issues)) == (ISSUES, events)
        for node in nodes:
            assert node.http.stop() == 0
            assert node.worker.stop() == 0
