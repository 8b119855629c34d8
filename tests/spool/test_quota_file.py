"""Quotas that processes share: exact, whatever happens to one of them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rustrak_core.errors import ConfigurationError
from rustrak_core.project import ProjectId
from rustrak_core.quota import CATEGORIES, Quota, Quotas
from rustrak_storage import quota_file
from rustrak_storage.quota_file import QuotaFile

NOW = datetime(2024, 1, 15, 10, 30, 10, tzinfo=UTC)
ONE, TWO = ProjectId(1), ProjectId(2)
FEW = Quotas(project_minute=Quota(each=3), server_hour=Quota(each=5))


@pytest.fixture(params=["file", "memory"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[QuotaFile]:
    keeper = QuotaFile(tmp_path / "quotas" if request.param == "file" else None, FEW)
    yield keeper
    keeper.close()


def take(keeper: QuotaFile, project: ProjectId, quantity: int = 1, at: datetime = NOW, category: str = "error") -> int:
    return keeper.take(project, {category: quantity}, at).granted[category]


def test_a_quota_is_told_of_by_the_one_who_uses_it_up(keeper: QuotaFile) -> None:
    """And by those who come after; never before."""
    told = [keeper.take(ONE, {"error": 1}, NOW) for _ in range(4)]
    assert [taken.granted["error"] for taken in told] == [1, 1, 1, 0]
    assert [[limit.scope for limit in taken.used_up] for taken in told] == [[], [], ["project"], ["project"]]
    assert told[2].used_up[0].retry_after_s == 50


def test_each_has_its_own(keeper: QuotaFile) -> None:
    """Projects, categories and minutes; the server's quota is of all projects."""
    assert take(keeper, ONE, 9) == 3
    assert take(keeper, ONE, 9, category="attachment") == 3
    assert take(keeper, ONE, 9, NOW + timedelta(minutes=1)) == 2
    taken = keeper.take(TWO, {"error": 1}, NOW + timedelta(minutes=2))
    assert taken.granted == {"error": 0}
    assert [limit.scope for limit in taken.used_up] == ["organization"]
    assert take(keeper, TWO, 9, NOW + timedelta(hours=1)) == 3


def test_taking_freely_leaves_the_last_one(keeper: QuotaFile) -> None:
    """The last one is told of the quota, which is not for those in a hurry."""
    assert [keeper.take_freely(ONE, {"error": 1}, NOW) for _ in range(4)] == [True, True, False, False]
    assert not keeper.take_freely(ONE, {"attachment": 1, "error": 1}, NOW)
    assert take(keeper, ONE, 5) == 1
    assert take(keeper, ONE, 5, category="attachment") == 3


def test_what_is_given_back_can_be_taken_again(keeper: QuotaFile) -> None:
    """Of the same window; another is not touched."""
    assert take(keeper, ONE, 3) == 3
    keeper.give_back(ONE, {"error": 2}, NOW)
    assert take(keeper, ONE, 3) == 2
    keeper.give_back(ONE, {"error": 3}, NOW - timedelta(minutes=1))
    assert take(keeper, ONE, 3) == 0


def test_without_a_quota_anything_goes() -> None:
    """Also what has no category of ours."""
    keeper = QuotaFile(None, Quotas(project_minute=Quota(named={"error": 1})))
    assert take(keeper, ONE, 10**9, category="attachment") == 10**9
    assert take(keeper, ONE, 10**9, category="news") == 10**9
    assert keeper.take_freely(ONE, {"attachment": 10**9}, NOW)
    keeper.close()


def test_a_clock_that_is_set_back_ends_no_service(keeper: QuotaFile) -> None:
    """By an hour, as much as by a minute; a process whose clock is a moment behind gives nothing away."""
    late = NOW + timedelta(hours=1)
    assert take(keeper, ONE, 3, late) == 3
    assert take(keeper, ONE, 3, late - timedelta(seconds=15)) == 0
    assert take(keeper, ONE, 3, NOW) == 3


def test_more_projects_than_rows_are_counted_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is found again by whoever had it, and given to another after an hour."""
    monkeypatch.setattr(quota_file, "_ROWS", 64)
    keeper = QuotaFile(None, Quotas(project_minute=Quota(each=2)))
    for hour in range(3):
        at = NOW + timedelta(hours=hour)
        first = [take(keeper, ProjectId(n), 5, at) for n in range(hour * 10 + 1, hour * 10 + 65)]
        again = [take(keeper, ProjectId(n), 5, at) for n in range(hour * 10 + 1, hour * 10 + 65)]
        assert (first, again) == ([2] * 64, [0] * 64)
    keeper.close()


def _hurry(path: Path, quotas: Quotas, start: Any, got: Any) -> None:
    keeper, done = QuotaFile(path, quotas), []
    start.wait(30)

    def work() -> None:
        mine = 0
        for n in range(400):
            freely = keeper.take_freely(ONE, {"error": 1}, NOW)
            mine += 1 if freely else take(keeper, ONE)
            if n % 4 == 0 and freely:
                keeper.give_back(ONE, {"error": 1}, NOW)
                mine -= 1
        done.append(mine)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keeper.close()
    got.put(sum(done))


@pytest.mark.parametrize("most", [1, 7, 1000, 10**6])
def test_processes_and_threads_together_take_exactly_what_there_is(tmp_path: Path, most: int) -> None:
    """The promise: exact on one machine, whatever the number of processes."""
    spawn = multiprocessing.get_context("spawn")
    quotas = Quotas(project_minute=Quota(each=most), server_hour=Quota(each=most))
    start, got = spawn.Event(), spawn.Queue()
    children = [spawn.Process(target=_hurry, args=(tmp_path / "quotas", quotas, start, got)) for _ in range(3)]
    for child in children:
        child.start()
    start.set()
    taken = sum(got.get(timeout=60) for _ in children)
    for child in children:
        child.join(30)
    keeper = QuotaFile(tmp_path / "quotas", quotas)
    assert take(keeper, ONE, 10**7) == most - taken
    assert most in {taken, 10**6}
    keeper.close()


def _take_for_ever(path: Path, started: Any) -> None:
    keeper = QuotaFile(path, Quotas(project_minute=Quota(each=10**9)))
    while True:
        take(keeper, ONE)
        started.set()


def test_a_process_that_is_killed_leaves_no_lock(tmp_path: Path) -> None:
    """Whatever it was at, the others go on, and what it counted stays counted."""
    spawn = multiprocessing.get_context("spawn")
    keeper = QuotaFile(tmp_path / "quotas", Quotas(project_minute=Quota(each=10**9)))
    for _ in range(3):
        started = spawn.Event()
        child = spawn.Process(target=_take_for_ever, args=(tmp_path / "quotas", started))
        child.start()
        assert started.wait(60)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join(30)
        before = 10**9 - take(keeper, ONE, 10**9)
        assert before > 0
        keeper.give_back(ONE, {"error": 10**9 - before}, NOW)
        assert take(keeper, ONE) == 1
    keeper.close()


def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    """The text says what to do."""
    path = tmp_path / "quotas"
    path.write_bytes(b"my notes")
    with pytest.raises(ConfigurationError, match="move it away"):
        QuotaFile(path, FEW)
    assert path.read_bytes() == b"my notes"
    with pytest.raises(ConfigurationError, match="writable"):
        QuotaFile(tmp_path / "none" / "quotas", FEW)


def test_counts_outlive_a_restart(tmp_path: Path) -> None:
    """A server that is started again gives no second quota."""
    for left in (3, 0):
        keeper = QuotaFile(tmp_path / "quotas", FEW)
        assert take(keeper, ONE, 9) == left
        keeper.close()


def test_every_category_has_rows_of_its_own() -> None:
    """Of projects whose numbers follow each other."""
    keeper = QuotaFile(None, Quotas(project_minute=Quota(each=1)))
    for project in range(1, 60):
        for category in CATEGORIES:
            assert take(keeper, ProjectId(project), 1, category=category) == 1
    keeper.close()
