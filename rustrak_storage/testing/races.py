"""What a store must bear: threads and processes at once, a restart, a fork."""

import itertools
import multiprocessing
import os
import select
import signal
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from typing import Any
from uuid import UUID

import pytest

from rustrak_core.accepted import Outcome
from rustrak_core.errors import InvalidInputError, StalePositionError, UnknownIssueError
from rustrak_core.issue import IssueId, IssueState
from rustrak_core.page import EventQuery, IssueQuery, ListQuery
from rustrak_core.ports import Recorded, Store
from rustrak_core.project import Project, ProjectId
from rustrak_storage.factory import open_store
from rustrak_storage.testing.maintenance import first_start
from rustrak_storage.testing.values import NOW, StoreContract, at, create_project, digested, record_one, step, user

THREADS = 8
PROCESSES = 3
TURNS = 20
MEANWHILE_MAX = 10
"""Writes of a process that never rests during one of another's, on average; where all is well, one or two."""
FORKS = 20
CHILD_WAIT_S = 20.0


class RaceContract(StoreContract):
    """Threads that share a store."""

    def test_threads_open_one_issue(self, store: Store, project: Project) -> None:
        """Finding and opening are one step, also when many report at once."""
        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(lambda n: store.record([digested(project, n, user=user(n % 5))])[0], range(40)))
        assert sum(one.is_new for one in done) == 1
        (issue,) = store.issues(IssueQuery(project_id=project.id)).items
        assert (issue.short_id, issue.event_count, issue.user_count) == ("MY-APP-1", 40, 5)
        assert store.project(project.id).event_count == 40

    def test_threads_number_without_gaps(self, store: Store, project: Project) -> None:
        """Short ids count up without gaps or repeats, across projects in opposite orders."""
        other = create_project(store, "Other")

        def work(n: int) -> None:
            batch = [digested(project, n, str(n)), digested(other, n, str(n))]
            store.record(batch if n % 2 else batch[::-1])

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(30)))
        for owner in (project, other):
            issues = store.issues(IssueQuery(project_id=owner.id, limit=100)).items
            assert sorted(int(issue.short_id.rpartition("-")[2]) for issue in issues) == list(range(1, 31))

    def test_one_event_from_many(self, store: Store, project: Project) -> None:
        """An event that many bring at once is stored once."""
        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(lambda _: store.record([digested(project, 1)])[0].outcome, range(16)))
        assert sorted(done) == sorted([Outcome.STORED] + [Outcome.DUPLICATE] * 15)

    def test_one_batch_from_many(self, store: Store, project: Project) -> None:
        """Of workers that read the same batch of a lane, one records it."""

        def work(n: int) -> bool:
            try:
                store.record([digested(project, n, str(n))], advance=step(0))
            except StalePositionError:
                return False
            return True

        with ThreadPoolExecutor(THREADS) as pool:
            assert sum(pool.map(work, range(16))) == 1
        assert store.project(project.id).event_count == 1
        assert store.position(at(1).lane) == at(1)

    def test_delete_while_digesting(self, store: Store, project: Project) -> None:
        """Every event ends in an issue that was there when it was recorded; none is left without one."""

        def delete(_: int) -> None:
            for issue in store.issues(IssueQuery(project_id=project.id)).items:
                with suppress(UnknownIssueError):
                    store.delete_issue(issue.id, now=NOW)
            store.purge(limit=5)

        def record(n: int) -> Recorded:
            return store.record([digested(project, n)])[0]

        with ThreadPoolExecutor(THREADS) as pool:
            deleting = pool.map(delete, range(10))
            done = list(pool.map(record, range(60)))
            list(deleting)
        assert {one.outcome for one in done} == {Outcome.STORED}
        while store.purge():
            pass
        live = store.issues(IssueQuery(project_id=project.id)).items
        assert len(live) == store.project(project.id).issue_count <= 1
        for issue in live:
            held = store.events(EventQuery(issue_id=issue.id, limit=100)).items
            assert len(held) == issue.event_count
        assert sum(one.is_new for one in done) >= 1

    def test_delete_project_while_digesting(self, store: Store, project: Project) -> None:
        """Events are stored until the project is deleted, and deleted from then on."""
        with ThreadPoolExecutor(THREADS) as pool:
            first = pool.map(lambda n: store.record([digested(project, n)])[0].outcome, range(20))
            deleting = pool.submit(store.delete_project, project.id, now=NOW)
            second = pool.map(lambda n: store.record([digested(project, n)])[0].outcome, range(20, 40))
            outcomes = [*first, *second]
            before = deleting.result()
        assert outcomes.count(Outcome.STORED) == before.event_count
        assert set(outcomes) <= {Outcome.STORED, Outcome.DELETED}

    def test_page_while_recording(self, store: Store, project: Project) -> None:
        """Readers go on while others write, and what stood before is on their pages exactly once."""
        store.record([digested(project, n, str(n), at=-n) for n in range(30)])
        before = {issue.id for issue in store.issues(IssueQuery(project_id=project.id, limit=100)).items}

        def read(_: int) -> list[int]:
            found: list[int] = []
            last = None
            while True:
                page = store.issues(IssueQuery(project_id=project.id, limit=4, after=last))
                found += [issue.id for issue in page.items]
                last = page.after
                if last is None:
                    return found

        with ThreadPoolExecutor(THREADS) as pool:
            writing = pool.map(lambda n: store.record([digested(project, n, str(n), at=n)]), range(100, 140))
            pages = list(pool.map(read, range(6)))
            list(writing)
        for found in pages:
            assert len(found) == len(set(found))
            assert before <= set(found)

    def test_states_while_recording(self, store: Store, project: Project) -> None:
        """Counts lose nothing while states are set."""
        issue = record_one(store, digested(project, 1000))
        states = [IssueState.MUTED, IssueState.OPEN, IssueState.RESOLVED]
        with ThreadPoolExecutor(THREADS) as pool:
            setting = pool.map(lambda n: store.set_issue_state(issue.id, states[n % 3], now=NOW), range(12))
            list(pool.map(lambda n: store.record([digested(project, n)]), range(30)))
            list(setting)
        assert store.issue(issue.id).event_count == 31

    def test_merge_while_digesting(self, store: Store, project: Project) -> None:
        """While issues are merged and taken apart, no event is lost or counted twice, and each is where its key is."""
        one, two, three = (record_one(store, digested(project, n, text)).id for n, text in enumerate("abc"))

        def merge(n: int) -> None:
            with suppress(InvalidInputError):  # another thread was quicker
                if n % 2:
                    store.unmerge_issues(one, [two, three][n % 3 % 2 :])
                else:
                    store.merge_issues(one, [two, three], now=NOW)

        def record(n: int) -> Recorded:
            return store.record([digested(project, n, "abc"[n % 3], user=user(n % 7))])[0]

        with ThreadPoolExecutor(THREADS) as pool:
            merging = pool.map(merge, range(24))
            done = list(pool.map(record, range(3, 75)))
            list(merging)
        assert {(one.outcome, one.is_new) for one in done} == {(Outcome.STORED, False)}
        merged = store.merge_issues(one, [two, three], now=NOW)
        assert (merged.event_count, merged.user_count) == (75, 7)
        store.unmerge_issues(one, [two, three])
        for n, number in enumerate((one, two, three)):
            held = store.events(EventQuery(issue_id=number, limit=100)).items
            assert {event.id.int % 3 for event in held} == {n}
            assert len(held) == store.issue(number).event_count == 25
            assert store.issue(number).user_count == 7
        assert (store.project(project.id).issue_count, store.project(project.id).event_count) == (3, 75)

    def test_merge_crosswise(self, store: Store, project: Project) -> None:
        """Of threads that merge two issues into each other, one merges, and the others find it done."""
        one, two = (record_one(store, digested(project, n, text)).id for n, text in enumerate("ab"))

        def merge(n: int) -> bool:
            try:
                store.merge_issues(*((one, [two]) if n % 2 else (two, [one])), now=NOW)
            except InvalidInputError:
                return False
            return True

        with ThreadPoolExecutor(THREADS) as pool:
            assert any(pool.map(merge, range(16)))
        (issue,) = store.issues(IssueQuery(project_id=project.id)).items
        assert (issue.event_count, len(issue.merged), store.project(project.id).issue_count) == (2, 1, 1)

    def test_first_start_of_many(self, store: Store) -> None:
        """Of threads that start at once, one gets the first project."""
        with ThreadPoolExecutor(THREADS) as pool:
            created = list(pool.map(lambda n: first_start(store, str(n)), range(THREADS)))
        assert sum(one is not None for one in created) == 1
        assert len(store.projects(ListQuery()).items) == 1


class SharedStoreContract(StoreContract):
    """Stores whose data outlives them, and is seen by other processes."""

    def test_restart(self, store: Store, store_url: str, project: Project) -> None:
        """All that was recorded is there after a restart."""
        issue = record_one(store, digested(project, 1, user=user(1), environment="prod"))
        store.record([], advance=step(0))
        store.set_grouping(project.id, "# mine", now=NOW)
        kept = store.use_mechanism(project.id, "anchor@1")
        store.close()
        again = open_store(store_url)
        assert again.issue(issue.id) == issue
        assert again.event(UUID(int=1)).payload == b'{"number": 1}'
        assert again.position(at(1).lane) == at(1)
        assert (again.grouping(project.id), again.grouping_changes()) == (kept, 1)
        (recorded,) = again.record([digested(project, 2, user=user(1), environment="prod")])
        assert (recorded.issue_id, recorded.is_new) == (issue.id, False)
        assert again.issue(issue.id).user_count == 1
        again.close()

    def test_ids_after_a_restart(self, store: Store, store_url: str, project: Project) -> None:
        """Ids of what was deleted and purged are not used again after a restart either."""
        issue = record_one(store, digested(project, 1))
        token = store.create_token(sha256=b"x" * 32, prefix="a1b2", description=None, now=NOW)
        store.delete_issue(issue.id, now=NOW)
        store.delete_token(token.id)
        store.delete_project(project.id, now=NOW)
        while store.purge():
            pass
        store.close()
        again = open_store(store_url)
        fresh = create_project(again, "New")
        assert fresh.id > project.id
        assert record_one(again, digested(fresh, 1)).id > issue.id
        assert again.create_token(sha256=b"x" * 32, prefix="a1b2", description=None, now=NOW).id > token.id
        again.close()

    def test_processes_open_one_issue(self, store: Store, store_url: str, project: Project) -> None:
        """Processes that report one error at once open one issue, and number others without gaps."""
        done = _in_processes(_record, [(store_url, project.id, number) for number in range(PROCESSES)])
        assert sum(sum(new) for new, _others in done) == 1
        issues = store.issues(IssueQuery(project_id=project.id, limit=100)).items
        assert sorted(int(issue.short_id.rpartition("-")[2]) for issue in issues) == list(range(1, 10 * PROCESSES + 2))
        assert store.project(project.id).event_count == 20 * PROCESSES
        assert max(issue.user_count for issue in issues) == 10

    def test_processes_record_what_is_merged(self, store: Store, store_url: str, project: Project) -> None:
        """Processes that know an issue's users and values go on rightly while it is merged and taken apart."""
        one, two = (
            record_one(store, digested(project, n, text)).id for n, text in ((90_000, "other"), (90_001, "shared"))
        )
        arguments = [(store_url, project.id, number) for number in range(PROCESSES)]
        with ThreadPoolExecutor(1) as pool:
            recording = pool.submit(_in_processes, _record, arguments)
            while not recording.done():
                store.merge_issues(one, [two], now=NOW)
                store.unmerge_issues(one, [two])
            done = recording.result()
        assert not any(any(new) for new, _others in done)
        assert (store.issue(one).event_count, store.issue(one).user_count) == (1, 0)
        assert (store.issue(two).event_count, store.issue(two).user_count) == (10 * PROCESSES + 1, 10)

    def test_a_process_that_never_rests(self, store: Store, store_url: str, project: Project) -> None:
        """A process that writes transaction after transaction keeps no other one out: each gets its turn."""
        one, two = (record_one(store, digested(project, n, text)).id for n, text in enumerate("ab"))
        store.record([digested(project, 100 + n, "b") for n in range(200)])
        spawn = multiprocessing.get_context("spawn")
        stop, written = spawn.Event(), spawn.Value("q", 0)
        process = spawn.Process(target=merge_on_and_on, args=(store_url, one, two, stop, written))
        process.start()
        meanwhile: list[int] = []
        try:
            for turn in range(TURNS):
                _wait_for_more(written)
                begun = written.value
                store.set_issue_state(one, [IssueState.MUTED, IssueState.OPEN][turn % 2], now=NOW)
                meanwhile.append(written.value - begun)
                assert sum(meanwhile) <= TURNS * MEANWHILE_MAX, meanwhile
        finally:
            stop.set()
            process.join(60)
        assert process.exitcode == 0

    def test_processes_start_first(self, store_url: str) -> None:
        """Of processes that start on one empty store, one gets the first project and token."""
        created = _in_processes(_start, [(store_url, number) for number in range(PROCESSES)])
        assert sorted(created) == [False] * (PROCESSES - 1) + [True]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="forks only where the system does")
    def test_fork(self, store: Store, project: Project) -> None:
        """A forked child goes on with connections of its own, and leaves the parent's alone."""
        issue = record_one(store, digested(project, 1))
        assert _record_in_child(store, project, issue.id, 2) == "2"
        store.record([digested(project, 3)])
        assert store.issue(issue.id).event_count == 3

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="forks only where the system does")
    def test_forks_while_threads_read_and_write(self, store: Store, project: Project) -> None:
        """No child inherits a lock, ours or the database library's, whose holder is a thread of the parent."""
        issue = record_one(store, digested(project, 1))
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                store.issue(issue.id)

        def write() -> None:
            numbers = itertools.count(100_000)
            while not stop.wait(0.002):  # else it would keep the children's database busy
                store.record([digested(project, next(numbers), "of the parent")])

        with ThreadPoolExecutor(3) as pool:
            busy = [pool.submit(work) for work in (read, read, write)]
            try:
                told = [_record_in_child(store, project, issue.id, 2 + number) for number in range(FORKS)]
            finally:
                stop.set()
            for thread in busy:
                thread.result(60)
        assert told == [str(2 + number) for number in range(FORKS)]


def _record_in_child(store: Store, project: Project, issue: IssueId, number: int) -> str:
    """Record an event in a forked child, and return what that says: the count of the issue, or what went wrong."""
    reader, writer = os.pipe()
    child = os.fork()  # pragma: no branch
    if child == 0:  # pragma: no cover - in the child
        try:
            store.record([digested(project, number)])
            os.write(writer, str(store.issue(issue).event_count).encode())
        except BaseException:  # noqa: BLE001 - the parent tells
            os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        ended, _, _ = select.select([told], [], [], CHILD_WAIT_S)
        if not ended:
            os.kill(child, signal.SIGKILL)
        said = told.read() if ended else f"waited {CHILD_WAIT_S} s in vain"
    os.waitpid(child, 0)
    return said


def _in_processes(work: Any, arguments: list[tuple[Any, ...]]) -> list[Any]:
    """Do *work* in as many processes at once, and return what it returned."""
    with multiprocessing.get_context("spawn").Pool(len(arguments)) as pool:
        done = pool.starmap_async(work, arguments, chunksize=1).get(timeout=120)
        pool.close()
        pool.join()
    return done


def _record(url: str, project_id: ProjectId, number: int) -> tuple[list[bool], int]:
    store = open_store(url)
    new = []
    for n in range(10):
        event = number * 1000 + n
        events = [digested(project_id, event, "shared", user=user(n)), digested(project_id, event + 500, str(event))]
        new.append(store.record(events)[0].is_new)
    store.close()
    return new, number


def merge_on_and_on(url: str, one: IssueId, two: IssueId, stop: Event, written: "Synchronized[int]") -> None:
    """Merge issue *two* into *one* and take it out again until *stop* is set; *written* counts both. For a process."""
    store = open_store(url)
    while not stop.is_set():
        store.merge_issues(one, [two], now=NOW)
        written.value += 1
        store.unmerge_issues(one, [two])
        written.value += 1
    store.close()


def _wait_for_more(written: "Synchronized[int]") -> None:
    """Return once the other process has written again: it is at work then."""
    before, deadline = written.value, time.monotonic() + 60
    while written.value < before + 2:
        assert time.monotonic() < deadline, "the other process does not write"
        time.sleep(0.002)


def _start(url: str, number: int) -> bool:
    store = open_store(url)
    created = first_start(store, str(number))
    store.close()
    return created is not None
