"""A project's events filed anew, step by step: surveyed, moved in batches while others record, and put back."""

import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeVar

import attrs

from rustrak_core.digested import GroupingKey
from rustrak_core.errors import StoreUnavailableError
from rustrak_core.issue import IssueId
from rustrak_core.ports import Refiled, Refiling, Store
from rustrak_core.project import Project, ProjectId
from rustrak_core.regroup import History, Plan, Source, StoreSource, make_plan
from rustrak_core.regroup.batches import drop_batches, key_batches, move_batches
from rustrak_core.regroup.undo import End, Heirs
from rustrak_http.regroup.journal import Journal
from rustrak_http.regroup.key_pool import with_keys

T = TypeVar("T")

_BATCH: Final = 1000
_KEYS: Final = 5000
_TRIES: Final = 6
_PASSES: Final = 4
_LEARNT_S: Final = 4.0
"""After so long whoever digests knows a project's new rules."""

Progress = Callable[[int], None]
"""Told of so many more events, or steps."""


@attrs.frozen(kw_only=True)
class Survey:
    """A project's events, and what is to become of them."""

    history: History
    plan: Plan


def mark_of(project: Project) -> str:
    """Return what tells a project from those of other stores."""
    return hashlib.blake2b(f"{project.sentry_key}/{project.created_at}".encode(), digest_size=8).hexdigest()


def survey(
    source: Source,
    rules: str,
    *,
    after: int = 0,
    heirs: Mapping[IssueId, GroupingKey] | None = None,
    progress: Progress = lambda _: None,
) -> Survey:
    """Return what is to become of a project's events with *rules*, changing nothing.

    Args:
        source: Where they are.
        rules: A TOML document that can be read.
        after: Only events with numbers above this one.
        heirs: See `rustrak_core.regroup.make_plan`.
        progress: Told of events.

    Raises:
        UnknownProjectError: there is no such project.
    """
    history = History()
    for page in with_keys(source.pages(after), rules):
        for event, key in page:
            history.add(event, key)
        progress(len(page))
    history.settle()
    owners: dict[GroupingKey, IssueId] = {}
    keys = history.keys()
    for start in range(0, len(keys), _KEYS):
        owners |= source.owners(keys[start : start + _KEYS])
    plan = make_plan(history.flows, owners, origins=source.origins(), heirs=heirs)
    return Survey(history=history, plan=plan)


@attrs.define(kw_only=True)
class Applying:
    """Files a project's events anew while others record, each batch written down first.

    Attributes:
        set_rules: Called once keys are attached and before events move: new events then get the same keys.
    """

    store: Store
    project_id: ProjectId
    journal: Journal
    rules: str
    clock: Callable[[], datetime]
    set_rules: Callable[[], None]
    progress: Progress = lambda _: None

    def run(self, found: Survey) -> int:
        """Do what *found* has planned, and what is due for events that come meanwhile; return how many were filed.

        Raises:
            UnknownProjectError: the project was deleted meanwhile.
            StoreUnavailableError: the store cannot be reached; what was done stays, and running it again goes on.
            ConfigurationError: the undo file cannot be written; likewise.
        """
        known = self.journal.heirs
        if known is None:
            known = Heirs(found.plan.heirs, found.plan.dropped)
            self.journal.write(known)
        done = 0
        for refiling in key_batches(found.plan, _KEYS):
            self._refile(refiling)
        self.set_rules()
        settled_at = time.monotonic() + _LEARNT_S
        for _ in range(_PASSES):
            done += self._move(found)
            source = StoreSource(self.store, self.project_id)
            found = survey(source, self.rules, after=found.history.last, heirs=known.heirs)
            if not len(found.history):
                break
            # Events come, and whoever digests them may not know the new rules yet.
            time.sleep(max(settled_at - time.monotonic(), 0))
        for refiling in drop_batches(known.dropped, _KEYS):
            self._refile(refiling)
        self.settle()
        self.journal.write(End("done"))
        return done

    def _move(self, found: Survey) -> int:
        done = 0
        for refiling in key_batches(found.plan, _KEYS):
            self._refile(refiling)
        for refiling in move_batches(found.history, found.plan, _BATCH):
            done += self._refile(refiling).events
            self.progress(len(refiling.moves))
        return done

    def undo(self) -> int:
        """Take back what the journal tells, the last first; return how many events moved.

        Raises:
            UnknownProjectError: the project was deleted meanwhile.
            StoreUnavailableError: the store cannot be reached; what was done stays, and running it again goes on.
        """
        self.set_rules()
        moved = 0
        for refiled in self.journal.backwards():
            moved += _patiently(lambda: self.store.revert(self.project_id, refiled, now=self.clock()))  # noqa: B023
            self.progress(1)
        self.settle()
        self.journal.write(End("undone"))
        return moved

    def settle(self) -> None:
        """Have all issues whose events moved say of them what is right."""
        while _patiently(lambda: self.store.settle(self.project_id)):
            pass

    def _refile(self, refiling: Refiling) -> Refiled:
        return _patiently(
            lambda: self.store.refile(self.project_id, refiling, now=self.clock(), confirm=self.journal.write)
        )


def _patiently(work: Callable[[], T]) -> T:
    """Do *work*, again where the store is away for a moment."""
    for attempt in range(_TRIES):
        try:
            return work()
        except StoreUnavailableError:
            if attempt == _TRIES - 1:
                raise
            time.sleep(0.2 * 2**attempt)
    raise AssertionError("not reached")
