"""A backlog in the spool, and how soon it is digested."""

import contextlib
import os
import shutil
import threading
import time
from pathlib import Path

import attrs

from rustrak_core.accepted import Accepted, AcceptedEvent
from rustrak_core.ambient import utc_now
from rustrak_core.errors import RustrakError
from rustrak_core.project import ProjectId
from rustrak_storage.spool import DirectorySpool
from tests.benchmarks.events import event_id_of, event_json, issue_of
from tests.benchmarks.processes import MemoryWatch, cpu_s, stored_bytes
from tests.serve.support import Served

_LANES = 2
_GROUP = 200


@attrs.frozen(kw_only=True)
class Drain:
    """The digesting of a backlog.

    Attributes:
        per_s: Events digested between the first batch seen recorded and the last.
        seconds: From the start of the server until the last event could be read.
        cpu_us: Processor time of the workers, an event.
        pss_bytes: The most memory that all processes were seen to have; None where unknown.
        stored_bytes_per_event: By how much the database grew.
    """

    events: int
    per_s: float
    seconds: float
    cpu_us: float | None
    pss_bytes: int | None
    stored_bytes_per_event: float
    load_average: float


class Backlog:
    """A data directory with events in its spool, which servers are started on copies of.

    The events never went through HTTP: they are put where the two HTTP processes would have.
    """

    def __init__(self, folder: Path, events: int) -> None:
        self._folder = folder
        self._events = events
        with Served(folder) as self._first:
            self._first.wait_for(self._first.is_ready, "readiness")
            self._first.stop()
        fill(folder / "spool", ProjectId(self._first.project_id), events)

    def drain(self, data_dir: Path, *options: str) -> Drain:
        """Start a server on a copy, and wait until all is digested."""
        shutil.copytree(self._folder, data_dir)
        empty = stored_bytes(data_dir)
        begun = time.perf_counter()
        with Served(data_dir, *options, like=self._first) as served, MemoryWatch(served, every_s=0.25) as watch:
            seen: list[tuple[float, int]] = []
            while not seen or seen[-1][1] < self._events:
                count = served.project()["event_count"]
                if count and (not seen or count > seen[-1][1]):
                    seen.append((time.perf_counter(), count))
                assert time.perf_counter() - begun < 300, f"{count} of {self._events} digested in five minutes"
                time.sleep(0.02)
            used = cpu_s(served.worker_pids())
        stored = stored_bytes(data_dir) - empty
        shutil.rmtree(data_dir)
        peak = watch.peak()
        (first_at, first), (last_at, last) = seen[0], seen[-1]
        return Drain(
            events=self._events,
            per_s=(last - first) / (last_at - first_at) if len(seen) > 1 else last / (last_at - begun),
            seconds=last_at - begun,
            cpu_us=None if used is None else used / self._events * 1e6,
            pss_bytes=None if peak is None else peak["total"],
            stored_bytes_per_event=stored / self._events,
            load_average=os.getloadavg()[0],
        )


def fill(folder: Path, project_id: ProjectId, events: int) -> None:
    """Put so many events into a spool, in turns into as many lanes as HTTP processes have."""
    with contextlib.ExitStack() as stack:
        spools = [stack.enter_context(contextlib.closing(DirectorySpool(folder))) for _ in range(_LANES)]
        for group, start in enumerate(range(0, events, _GROUP)):
            _submit(spools[group % _LANES], project_id, range(start, min(start + _GROUP, events)))


def _submit(spool: DirectorySpool, project_id: ProjectId, numbers: range) -> None:
    """Keep events of those numbers, with one sync for all of them."""
    errors: list[RustrakError] = []
    left = threading.Semaphore(0)

    def settled(error: RustrakError | None) -> None:
        if error is not None:
            errors.append(error)
        left.release()

    for number in numbers:
        event_id = event_id_of(number)
        body = event_json(issue_of(number), number, event_id)
        event = AcceptedEvent(project_id=project_id, event_id=event_id, received_at=utc_now(), payload=body)
        spool.submit(Accepted(events=[event]), settled)
    spool.push()
    for _ in numbers:
        left.acquire()
    if errors:
        raise errors[0]
