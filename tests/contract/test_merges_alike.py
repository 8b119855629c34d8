"""Whatever is recorded, merged and taken apart in whatever order: every store has the same issues afterwards."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rustrak_core.errors import InvalidInputError, UnknownIssueError
from rustrak_core.issue import IssueId, IssueState, ShortId
from rustrak_core.page import EventQuery, IssueQuery
from rustrak_core.ports import Store
from rustrak_storage.factory import open_store
from rustrak_storage.testing.values import after, create_project, digested, key, user

_LETTER = st.sampled_from("abcde")
_NAME = st.integers(1, 6).map(lambda n: f"MY-APP-{n}")
_RECORD = st.tuples(
    st.just("record"), _LETTER, st.sampled_from("abcdeABCDE"), st.integers(0, 30), st.integers(0, 5), st.integers(0, 3)
)
_OTHERS = st.lists(_NAME, min_size=1, max_size=3)
_STEP = st.one_of(
    _RECORD,
    _RECORD,
    st.tuples(st.just("merge"), _NAME, _OTHERS),
    st.tuples(st.just("merge"), _NAME, _OTHERS),
    st.tuples(st.just("unmerge"), _NAME, _OTHERS),
    st.tuples(st.sampled_from(["resolved", "muted", "open"]), _NAME),
    st.tuples(st.just("delete"), _NAME),
)
_FIRST = [("record", letter, letter, 0, n, n) for n, letter in enumerate("abcde")]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(_STEP, min_size=4, max_size=25))
def test_stores_agree(sqlite_template: Path, steps: list[tuple[Any, ...]]) -> None:
    """The store in memory counts from nothing each time; SQLite's adds and takes away, and comes to the same."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(sqlite_template, f"{folder}/rustrak.db")
        stores = [open_store("memory://"), open_store(f"sqlite:///{folder}/rustrak.db")]
        done = [_run(store, [*_FIRST, *steps]) for store in stores]
        for store in stores:
            store.close()
    assert done[0] == done[1]


def _run(store: Store, steps: list[tuple[Any, ...]]) -> list[Any]:
    project = create_project(store, "My App")
    said: list[Any] = []
    for moment, (what, *given_) in enumerate(steps):
        with suppress(UnknownIssueError):
            try:
                if what == "record":
                    said.append(_record(store, project.id, moment, given_))
                elif what == "merge":
                    sources = [ShortId(name) for name in given_[1]]
                    said.append(attrs.asdict(store.merge_issues(ShortId(given_[0]), sources, now=after(moment))))
                elif what == "unmerge":
                    sources = [ShortId(name) for name in given_[1]]
                    said += map(attrs.asdict, store.unmerge_issues(ShortId(given_[0]), sources))
                elif what == "delete":
                    said.append(attrs.asdict(store.delete_issue(ShortId(given_[0]), now=after(moment))))
                    store.purge()
                else:
                    store.set_issue_state(ShortId(given_[0]), IssueState(what), now=after(moment))
            except InvalidInputError as refused:
                said.append(str(refused))
    return [*said, store.project(project.id), *_seen(store, project.id)]


def _record(store: Store, project: Any, moment: int, step: list[Any]) -> Any:
    former, own, late, who, where = step
    event = digested(
        project,
        moment,
        own,
        former=() if former == own else (key(former),),
        at=moment,
        late=late,
        type=f"T{moment}",
        user=user(who) if who else None,
        release=str(moment) if where else None,
        environment=f"e{where}",
        tags=(("t", str(who)),),
    )
    return store.record([event])


def _seen(store: Store, project: Any) -> list[Any]:
    """Return all that can be seen of a project's issues."""
    filters: list[dict[str, Any]] = [{}, *({"environment": f"e{n}"} for n in range(4))]
    filters += [{"tags": (("t", str(n)),)} for n in range(6)]
    found = [store.issues(IssueQuery(project_id=project, **each)).items for each in filters]
    events = [store.events(EventQuery(issue_id=IssueId(issue.id), limit=100)) for issue in found[0]]
    return [*found, *events]
