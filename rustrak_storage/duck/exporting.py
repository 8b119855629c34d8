"""From a store to a dataset, as much as is new each time, while the store is in use."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from rustrak_core.errors import UnknownProjectError
from rustrak_core.issue import Issue
from rustrak_core.page import LIMIT_MAX, IssueQuery, IssueSort, Keyset, ListQuery, walk
from rustrak_core.ports import Selection, Store
from rustrak_core.project import Project, ProjectId
from rustrak_core.times import to_micros
from rustrak_storage.duck.about import About, is_file
from rustrak_storage.duck.errors import DatasetError, reading, writing
from rustrak_storage.duck.file import File
from rustrak_storage.duck.folder import Folder
from rustrak_storage.duck.gather import PAGE, WORTH, Gatherer, Progress, Reopen, all_projects, gather_apart
from rustrak_storage.duck.reconcile import differences
from rustrak_storage.duck.rows import issue_row, project_row
from rustrak_storage.duck.schema import EVENTS, ISSUES, PROJECTS
from rustrak_storage.duck.sources import rows_of
from rustrak_storage.duck.stage import Stage
from rustrak_storage.duck.target import GONE, MOVED, Target, check_place
from rustrak_storage.interrupting import executed

_FILED = "number, project_id, issue_id, mechanism, grouping_key"


@attrs.frozen(kw_only=True)
class Exported:
    """What an export did.

    Attributes:
        new: Events that the dataset did not have.
        moved: Events that were filed anew: in another issue, or by another key.
        gone: Events that it has no more.
        events: Events that it has.
        issues: Issues that it has.
        watermark: The number behind which the next export goes on.
    """

    new: int
    moved: int
    gone: int
    events: int
    issues: int
    watermark: int


def export(
    store: Store,
    path: Path,
    *,
    now: datetime,
    selection: Selection | None = None,
    progress: Progress | None = None,
    reopen: Reopen | None = None,
    processes: int = 1,
) -> Exported:
    """Bring the dataset at *path* to what *store* has at *now*; make one where there is none.

    Whatever ends it early, the dataset is as it was. Others may record, delete, and file events anew meanwhile; what
    they do after the beginning is the next export's.

    Args:
        store: Whose events.
        path: A folder, or a DuckDB file where it ends in ``.duckdb``.
        now: The present.
        selection: Which events; those that were chosen before by default, all for a new dataset.
        progress: Told how far it is.
        reopen: Opens the store again in other processes, so that *processes* of them read it where that is worth it;
            they are spawned, so that a script which exports so must be one that can be imported.

    Raises:
        DatasetError: *path* is something else or cannot be written; the dataset is that of another store, or of another
            selection.
        StoreUnavailableError: the store cannot be read.
    """
    with writing(str(path)):
        kind = File if is_file(path) else Folder
    check_place(path)
    with closing(kind(path)) as target:
        one = _Export(store, target, selection)
        with closing(one):
            return one.run(now, progress or (lambda _steps: None), reopen, processes)


class _Export:
    def __init__(self, store: Store, target: Target, selection: Selection | None) -> None:
        self._store = store
        self._target = target
        self._selection = _chosen(target, selection)
        _check_source(target, all_projects(store))
        self._stage = Stage(target.work, target.connection)
        self._gatherer = Gatherer(store, self._selection, self._stage)

    def close(self) -> None:
        self._stage.close()

    def run(self, now: datetime, progress: Progress, reopen: Reopen | None, processes: int) -> Exported:
        refilings = self._store.refilings()  # before events are read: what comes then, the next export looks into
        upto = self._store.last_event_number()
        begin = min(self._target.about.watermark if self._target.about else 0, upto)
        progress(begin)
        worth = min(processes, (upto - begin) // WORTH)
        apart = 0
        if reopen is None or worth < 2:
            self._gatherer.read(begin, upto, progress)
        else:
            apart = gather_apart(
                reopen,
                self._selection,
                self._target.work,
                numbers=(begin, upto),
                processes=worth,
                progress=progress,
            )
        moved, gone = self._reconcile(upto, self._refiled(refilings))
        issues = self._load_state()
        about = About(exported_at=now, watermark=upto, selection=self._selection, refilings=refilings)
        events = self._target.commit(self._stage, about)
        new = self._stage.events + apart
        return Exported(new=new, moved=moved, gone=gone, events=events, issues=issues, watermark=upto)

    def _refiled(self, refilings: Mapping[ProjectId, int]) -> list[ProjectId]:
        """Return the wanted projects whose events may have been filed anew since the last export."""
        about = self._target.about
        if about is None:
            return []
        if about.refilings is None:
            projects = {project.id for project in all_projects(self._store)}
        else:
            known = about.refilings
            projects = {one for one in {**known, **refilings} if known.get(one) != refilings.get(one)}
        return sorted(filter(self._is_wanted, projects))

    def _reconcile(self, upto: int, refiled: Iterable[ProjectId]) -> tuple[int, int]:
        """Have the tables ``moved`` and ``gone``, and stage what came late; return how many are moved and gone."""
        staged = rows_of(EVENTS, self._stage.files())
        events = f"SELECT {_FILED} FROM kept UNION ALL SELECT {_FILED} FROM ({staged})"
        with reading(str(self._target.path)):
            found = differences(
                self._target.connection, events, self._store, self._selection, upto=upto, refiled=refiled
            )
        missing = sorted(found.missing)
        for start in range(0, len(missing), PAGE):
            self._gatherer.read_these(missing[start : start + PAGE])
        self._stage.flush()
        self._stage.load(MOVED, found.moved_rows())
        self._stage.load(GONE, found.gone_rows())
        return len(found.moved), len(found.gone)

    def _load_state(self) -> int:
        """Have the tables ``new_issues`` and ``new_projects``; return how many issues there are."""
        projects = [project for project in all_projects(self._store) if self._is_wanted(project.id)]
        issues = [(issue, project.slug) for project in projects for issue in self._issues(project)]
        self._stage.load(attrs.evolve(ISSUES, name="new_issues"), self._issue_rows(issues))
        rules = {one.project_id: one.rules for one in walk(lambda after: self._store.groupings(_page(after)))}
        rows = (project_row(project, rules.get(project.id, "")) for project in projects)
        self._stage.load(attrs.evolve(PROJECTS, name="new_projects"), rows)
        return len(issues)

    def _issue_rows(self, issues: Sequence[tuple[Issue, str]]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(issues), PAGE):
            some = issues[start : start + PAGE]
            keys = self._store.issue_keys([issue.id for issue, _slug in some])
            yield from (issue_row(issue, slug, keys.get(issue.id, ())) for issue, slug in some)

    def _issues(self, project: Project) -> Iterator[Issue]:
        query = IssueQuery(project_id=project.id, sort=IssueSort.FIRST_SEEN, limit=LIMIT_MAX)
        with suppress(UnknownProjectError):  # deleted meanwhile
            yield from walk(lambda after: self._store.issues(attrs.evolve(query, after=after)))

    def _is_wanted(self, project_id: ProjectId) -> bool:
        wanted = self._selection.project_ids
        return wanted is None or project_id in wanted


def _page(after: Keyset | None) -> ListQuery:
    return ListQuery(limit=LIMIT_MAX, after=after)


def _chosen(target: Target, selection: Selection | None) -> Selection:
    """Return which events the dataset has, or is to have."""
    if target.about is None:
        return selection or Selection()
    known = target.about.selection
    if selection is not None and selection != known:
        reason = f"{target.path} was exported with other --since, --until or --project"
        raise DatasetError(f"{reason}; leave these out to go on with it, or export to another path")
    return known


def _check_source(target: Target, projects: Iterable[Project]) -> None:
    """Refuse a dataset that came from another store, which would lose all that it has."""
    if target.about is None:
        return
    with reading(str(target.path)):
        rows = executed(target.connection, "SELECT id, slug, epoch_us(created_at) FROM known_projects")
    known = {number: (slug, created_at) for number, slug, created_at in rows}
    for project in projects:
        ours = (project.slug, to_micros(project.created_at))
        if known.get(project.id, ours) != ours:
            raise DatasetError(f"{target.path} was exported from another store; export to another path")
