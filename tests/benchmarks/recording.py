"""Recording by one process and by two, on several databases: what a store takes, with nothing before it.

Events are digested before the clock runs. Each process has a lane of its own, whose position moves with its batches, as
a digest worker's does.

``python -m tests.benchmarks.recording URL PROJECT FIRST EVENTS`` is such a process.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from rustrak_core.accepted import AcceptedEvent, SpoolAdvance, SpoolPosition
from rustrak_core.ambient import utc_now
from rustrak_core.digest import digest
from rustrak_core.digested import Digested
from rustrak_core.ports import Store
from rustrak_core.project import ProjectId
from rustrak_storage.factory import open_store
from tests.benchmarks.events import event_id_of, event_json, issue_of
from tests.databases import new_database, text_of

BATCH = 400
"""Events a batch, as many as a digest worker's has at most."""

CASES = {"one process": (1, 1), "two processes, one project": (2, 1), "two processes, two projects": (2, 2)}
"""How many processes record into how many projects."""

_FIRST = 2000
_WARM_BATCHES = 3


@attrs.frozen(kw_only=True)
class Recording:
    """Events a second, of all processes together, and their processor time an event; not that of a server."""

    workers: int
    projects: int
    per_s: float
    cpu_us: float


def recordings(place: Path, events: int, runs: int, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return for each case the median rate on SQLite and, where there is a server, on PostgreSQL, in turns."""
    rows = []
    for case, (workers, projects) in CASES.items():
        found: dict[str, list[float]] = {"sqlite": [], "postgresql": []}
        for run in range(runs):
            tell(f"recording by {case}, run {run + 1} of {runs}")
            with tempfile.TemporaryDirectory(dir=place) as folder:
                url = f"sqlite:///{folder}/rustrak.db"
                found["sqlite"].append(recording(url, events, workers=workers, projects=projects).per_s)
            try:
                with new_database("postgres") as server:
                    made = recording(text_of(server), events, workers=workers, projects=projects)
            except (pytest.skip.Exception, pytest.fail.Exception) as reason:
                tell(f"without PostgreSQL: {reason}")
            else:
                found["postgresql"].append(made.per_s)
        medians = {name: statistics.median(rates) if rates else None for name, rates in found.items()}
        rows.append({"case": case, "runs": found, "load_average": os.getloadavg()[0]} | medians)
    return rows


def recording(url: str, events: int, *, workers: int, projects: int = 1) -> Recording:
    """Have *workers* processes record *events* events each into an empty store, in turns into *projects* projects."""
    with contextlib.closing(open_store(url)) as store:
        made = [
            store.create_project(f"recording {n}", sentry_key=f"{n:032x}", now=utc_now()).id for n in range(projects)
        ]
        for project in made:  # issues are there, and a dictionary is trained
            for batch in batches(project, 0, _FIRST):
                store.record(batch)
    events = max(events, (_WARM_BATCHES + 1) * BATCH)
    with contextlib.ExitStack() as ends:
        command = [sys.executable, "-m", "tests.benchmarks.recording", url]
        running = []
        for worker in range(workers):
            numbers = str(made[worker % projects]), str(_FIRST + worker * events), str(events)
            process = subprocess.Popen(
                [*command, *numbers], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
            )
            ends.enter_context(process)
            running.append(process)
        for process in running:
            _answer(process)
        begun = time.perf_counter()
        for process in running:
            _tell(process)
        done = [_answer(process) for process in running]
        seconds = time.perf_counter() - begun
        for process in running:
            _tell(process)
    counted = (events - _WARM_BATCHES * BATCH) * workers
    return Recording(
        workers=workers, projects=projects, per_s=counted / seconds, cpu_us=sum(map(float, done)) / counted * 1e6
    )


def batches(project: ProjectId, first: int, events: int) -> list[list[Digested]]:
    """Return events of those numbers, digested."""
    made = []
    for start in range(first, first + events, BATCH):
        accepted = [
            AcceptedEvent(
                project_id=project,
                event_id=event_id_of(number),
                received_at=utc_now(),
                payload=event_json(issue_of(number), number, event_id_of(number)),
            )
            for number in range(start, min(start + BATCH, first + events))
        ]
        made.append([digest(event) for event in accepted])
    return made


def _answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "a recording process ended"
    return line.strip()


def _tell(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")


class _Lane:
    """Records batches of a lane."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._at: SpoolPosition | None = None

    def record(self, batch: Sequence[Digested]) -> None:
        offset = 0 if self._at is None else self._at.offset
        end = SpoolPosition(lane=self._name, segment=1, offset=offset + len(batch))
        self._store.record(batch, advance=SpoolAdvance(start=self._at, end=end))
        self._at = end


def main(url: str, project: str, first: str, events: str) -> None:
    """Digest, and record once a line comes; print the processor time that it took."""
    made = batches(ProjectId(int(project)), int(first), int(events))
    with contextlib.closing(open_store(url)) as store:
        lane = _Lane(store, f"lane-{first}")
        for batch in made[:_WARM_BATCHES]:  # connections and what a process remembers
            lane.record(batch)
        print("ready", flush=True)
        sys.stdin.readline()
        before = time.process_time()
        for batch in made[_WARM_BATCHES:]:
            lane.record(batch)
        print(time.process_time() - before, flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
