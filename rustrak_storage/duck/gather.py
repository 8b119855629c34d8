"""Events of a store, gathered into a stage: by this process, or by several that share their numbers."""

import multiprocessing
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

import duckdb

from rustrak_core.errors import RustrakError, StoreUnavailableError, UnknownProjectError
from rustrak_core.page import LIMIT_MAX, ListQuery, walk
from rustrak_core.ports import BareEvent, BareExportStore, Selection, Store
from rustrak_core.project import Project, ProjectId
from rustrak_storage.duck.errors import DatasetError
from rustrak_storage.duck.rows import bare_event, event_line, part_of
from rustrak_storage.duck.stage import APART, Stage
from rustrak_storage.interrupting import ctrl_c_held_back

Progress = Callable[[int], None]
"""Called with how many event numbers further it is; their sum is the highest that an event has."""

Reopen = Callable[[], Store]
"""Opens the store once more, in another process; it can be pickled."""

PAGE = 2000
WORTH = 20_000
"""So many numbers are worth a process of their own."""


class Gatherer:
    """Reads events and stages them."""

    def __init__(self, store: Store, selection: Selection, stage: Stage) -> None:
        self._store = store
        self._selection = selection
        self._stage = stage
        self._projects = {project.id: project for project in all_projects(store)}

    def read(self, after: int, upto: int, progress: Progress) -> None:
        """Stage the events whose numbers are above *after* and not above *upto*."""
        done = after
        for page in self._pages(after, upto):
            self._take(page)
            progress(page[-1].number - done)
            done = page[-1].number
        self._stage.flush()
        progress(upto - done)

    def read_these(self, numbers: Collection[int]) -> None:
        """Stage the events with those *numbers*."""
        self._take(map(bare_event, self._store.export_events(numbers)))

    def _take(self, events: Iterable[BareEvent]) -> None:
        self._stage.add(
            (part_of(event), event.issue_id, event_line(event, slug))
            for event in events
            if (slug := self._slug(ProjectId(event.project_id))) is not None
        )

    def _pages(self, after: int, upto: int) -> Iterator[Sequence[BareEvent]]:
        store, wanted = self._store, {"upto": upto, "limit": PAGE}
        while page := (
            store.export_bare(self._selection, after=after, **wanted)
            if isinstance(store, BareExportStore)
            else [*map(bare_event, store.export(self._selection, after=after, **wanted))]
        ):
            yield page
            after = page[-1].number

    def _slug(self, project_id: ProjectId) -> str | None:
        """Return the slug of a project; None where it was deleted meanwhile."""
        if project_id not in self._projects:  # created since
            with suppress(UnknownProjectError):
                self._projects[project_id] = self._store.project(project_id)
        project = self._projects.get(project_id)
        return None if project is None else project.slug


def all_projects(store: Store) -> list[Project]:
    """Return the projects of a store."""
    return list(walk(lambda after: store.projects(ListQuery(limit=LIMIT_MAX, after=after))))


def gather_apart(
    reopen: Reopen, selection: Selection, folder: Path, *, numbers: tuple[int, int], processes: int, progress: Progress
) -> int:
    """Have so many *processes* stage events below *folder*, each a part of *numbers*; return how many events there are.

    Args:
        numbers: The number above which they begin, and the last one.

    Raises:
        StoreUnavailableError: one of them could not read the store.
        DatasetError: one of them could not write, or was ended.
    """
    context = multiprocessing.get_context("spawn")
    after, upto = numbers
    bounds = [after + (upto - after) * part // processes for part in range(processes + 1)]
    workers, pipes = [], []
    try:
        for part in range(processes):
            pipe, theirs = context.Pipe(duplex=False)
            place = folder / f"{APART}{part}"
            place.mkdir()
            work = (reopen, selection, place, (bounds[part], bounds[part + 1]), theirs, os.getpid())
            worker = context.Process(target=_work, args=work, daemon=True)
            with ctrl_c_held_back():
                worker.start()
            theirs.close()
            workers.append(worker)
            pipes.append(pipe)
        return _heed(pipes, progress)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
        for pipe in pipes:
            pipe.close()


def _heed(pipes: Sequence[Connection], progress: Progress) -> int:
    """Follow what processes say until all are done; return how many events they staged."""
    events, going = 0, list(pipes)
    while going:
        for pipe in wait(going):
            assert isinstance(pipe, Connection)  # noqa: S101 - it is one of ours
            try:
                kind, said = pipe.recv()
            except EOFError:
                raise DatasetError("a process that read events was ended; export again") from None
            if kind == "step":
                progress(said)
            elif kind == "done":
                events += said
                going.remove(pipe)
            else:
                raise (StoreUnavailableError if kind == "store" else DatasetError)(said)
    return events


def _work(  # noqa: PLR0917 - a process takes them so
    reopen: Reopen, selection: Selection, folder: Path, numbers: tuple[int, int], pipe: Connection, parent: int
) -> None:
    """Stage events, in a process of its own, and say how it goes; stop where the one that waits is gone."""

    def step(steps: int) -> None:
        if os.getppid() != parent:
            os._exit(1)
        pipe.send(("step", steps))

    try:
        with (
            duckdb.connect(config={"threads": 1, "temp_directory": str(folder / "spill")}) as connection,
            closing(reopen()) as store,
            closing(Stage(folder, connection)) as stage,
        ):
            Gatherer(store, selection, stage).read(*numbers, step)
            pipe.send(("done", stage.events))
    except RustrakError as error:
        pipe.send(("store" if isinstance(error, StoreUnavailableError) else "dataset", str(error)))
