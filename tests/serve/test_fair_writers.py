"""SQLite's writers take turns: one that writes without a pause, as a script that merges does, keeps nobody else out."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import pytest

from rustrak_core.project import ProjectId
from rustrak_storage import open_store
from rustrak_storage.testing.races import merge_on_and_on
from rustrak_storage.testing.values import digested, record_one
from tests.serve.support import Served, eventually, exception, new_ids

pytestmark = pytest.mark.slow

WRITES = 25
MEANWHILE_MAX = 10
"""A command's writes during one of the API's, on average: one or two, and more where the machine is busy."""


@pytest.fixture
def merged(tmp_path: Path) -> Iterator[tuple[Served, "Synchronized[int]"]]:
    """A server, beside a process that merges and takes apart, one after the other, and how often it has written."""
    spawn = multiprocessing.get_context("spawn")
    with Served(tmp_path / "data") as served:
        url = f"sqlite:///{tmp_path / 'data' / 'rustrak.db'}"
        store = open_store(url)
        project = ProjectId(served.project_id)
        one, two = (record_one(store, digested(project, n, text)).id for n, text in enumerate("ab"))
        store.record([digested(project, 100 + n, "b") for n in range(300)])
        store.close()
        stop, written = spawn.Event(), spawn.Value("q", 0)
        process = spawn.Process(target=merge_on_and_on, args=(url, one, two, stop, written))
        process.start()
        eventually(lambda: written.value >= 10)
        yield served, written
        stop.set()
        process.join(60)
        assert process.exitcode == 0


def test_a_command_keeps_nobody_out(merged: tuple[Served, "Synchronized[int]"]) -> None:
    """The API and the digest worker get their turn beside a command that writes one transaction after the other."""
    served, written = merged
    before = served.project()["event_count"]
    meanwhile = []
    for number, event_id in enumerate(new_ids(WRITES)):
        assert served.send(event_id, **exception("ReportedError")) == 200
        begun = written.value
        status, answer = served.ask("POST", "/api/tokens", {"description": str(number)})
        meanwhile.append(written.value - begun)
        assert status == 201, answer
        assert sum(meanwhile) <= WRITES * MEANWHILE_MAX, meanwhile
    begun = written.value
    eventually(lambda: served.project()["event_count"] == before + WRITES)
    assert written.value - begun <= WRITES * MEANWHILE_MAX
