"""The ring of keys: quick, right at once after a deletion, and of use while the store is away."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rustrak_core.errors import ConfigurationError, StoreUnavailableError, UnknownProjectError
from rustrak_core.project import Project, ProjectId
from rustrak_storage.keys import StoredKeyRing
from tests.spool.helpers import ManualClock

ONE, TWO, NONE = ProjectId(1), ProjectId(2), ProjectId(3)
NOW = datetime(2024, 1, 15, tzinfo=UTC)


def key(number: int) -> str:
    return f"{number:032x}"


class FakeStore:
    """The part of a store that keys need: projects that can be deleted, and a store that can be away or slow."""

    def __init__(self) -> None:
        self.ids = {1, 2}
        self.away = False
        self.asked: Counter[int] = Counter()
        self.begun = threading.Event()
        self.going_on = threading.Event()
        self.going_on.set()

    def project(self, project_id: ProjectId) -> Project:
        self.asked[project_id] += 1
        self.begun.set()
        there = project_id in self.ids
        assert self.going_on.wait(10)
        if self.away:
            raise StoreUnavailableError("away")
        if not there:
            raise UnknownProjectError("none")
        digits = key(project_id)
        hyphened = "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])
        return Project(id=project_id, name="a", slug="a", sentry_key=hyphened, created_at=NOW)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["memory", "disk"])
def ring(
    request: pytest.FixtureRequest, store: FakeStore, clock: ManualClock, tmp_path: Path
) -> Iterator[StoredKeyRing]:
    directory = tmp_path if request.param == "disk" else None
    with_ring = StoredKeyRing(store, directory=directory, clock=clock)  # type: ignore[arg-type]
    yield with_ring
    with_ring.close()


def ring_in(directory: Path, store: FakeStore, clock: ManualClock) -> StoredKeyRing:
    return StoredKeyRing(store, directory=directory, clock=clock)  # type: ignore[arg-type]


def test_a_key_is_asked_for_once(ring: StoredKeyRing, store: FakeStore) -> None:
    """A key that is known costs the store nothing; it comes without hyphens."""
    for _ in range(5):
        assert ring.key_of(ONE) == key(1)
    assert store.asked == {1: 1}


def test_a_key_in_use_is_refreshed_before_it_is_too_old(
    ring: StoredKeyRing, store: FakeStore, clock: ManualClock
) -> None:
    """What is known well can be had without asking; asked for again in time, it stays so."""
    assert ring.known_key_of(ONE) is None
    ring.key_of(ONE)
    for _ in range(10):
        clock.now += 1.0
        assert ring.known_key_of(ONE) == key(1)
        ring.refresh()
    assert 3 <= store.asked[1] <= 5
    store.away = True
    clock.now += 1.5
    assert ring.known_key_of(ONE) == key(1)
    ring.refresh()
    assert ring.known_key_of(ONE) == key(1)
    store.away = False
    clock.now += 4.5
    assert ring.known_key_of(ONE) is None
    assert ring.key_of(ONE) == key(1)


def test_a_deleted_project_is_not_known(ring: StoredKeyRing, store: FakeStore, clock: ManualClock) -> None:
    """Neither after it was deleted here nor, once asked again, elsewhere."""
    ring.key_of(ONE), ring.key_of(TWO)
    store.ids.remove(1)
    ring.changed()
    assert ring.known_key_of(ONE) is None
    clock.now += 3.0
    assert ring.known_key_of(TWO) == key(2)
    store.ids.remove(2)
    ring.refresh()
    assert ring.known_key_of(TWO) is None


def test_a_refusal_is_remembered_for_a_second(ring: StoredKeyRing, store: FakeStore, clock: ManualClock) -> None:
    """An unknown project is not asked for at each request, and found within a second of its creation elsewhere."""
    for _ in range(5):
        with pytest.raises(UnknownProjectError):
            ring.key_of(NONE)
    assert store.asked == {3: 1}
    store.ids.add(3)
    clock.now += 1.0
    assert ring.key_of(NONE) == key(3)


def test_a_project_created_here_is_known_at_once(ring: StoredKeyRing, store: FakeStore) -> None:
    """A refusal does not outlive a change."""
    with pytest.raises(UnknownProjectError):
        ring.key_of(NONE)
    store.ids.add(3)
    ring.changed()
    assert ring.key_of(NONE) == key(3)


def test_refusals_are_bounded(ring: StoredKeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many numbers are tried, few are remembered."""
    monkeypatch.setattr("rustrak_storage.keys._REFUSALS_MAX", 10)
    for number in range(10, 100):
        with pytest.raises(UnknownProjectError):
            ring.key_of(ProjectId(number))
    assert len(ring._refused) == 10


def test_a_deletion_here_counts_at_once(ring: StoredKeyRing, store: FakeStore) -> None:
    """After `changed`, a deleted project's key is refused."""
    ring.key_of(ONE)
    store.ids.remove(1)
    ring.changed()
    with pytest.raises(UnknownProjectError):
        ring.key_of(ONE)


def test_a_deletion_elsewhere_counts_within_five_seconds(
    ring: StoredKeyRing, store: FakeStore, clock: ManualClock
) -> None:
    """What another machine deleted is noticed though nobody tells."""
    ring.key_of(ONE)
    store.ids.remove(1)
    clock.now += 4.9
    with pytest.raises(UnknownProjectError):
        ring.key_of(ONE)


def test_accepting_goes_on_while_the_store_is_away(ring: StoredKeyRing, store: FakeStore, clock: ManualClock) -> None:
    """Known keys are served for as long as it takes; unknown ones cannot be."""
    ring.key_of(ONE)
    store.away = True
    for _ in range(100):
        clock.now += 60
        assert ring.key_of(ONE) == key(1)
    with pytest.raises(StoreUnavailableError):
        ring.key_of(TWO)
    store.away = False
    assert ring.key_of(TWO) == key(2)


def test_a_store_that_is_slow_to_fail_is_left_alone(
    ring: StoredKeyRing, store: FakeStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While each question takes seconds to fail, one a second is asked, and others are refused without waiting."""

    def slow(_: ProjectId) -> Project:
        clock.now += 5
        store.asked[0] += 1
        raise StoreUnavailableError("away")

    monkeypatch.setattr(store, "project", slow)
    for _ in range(10):
        with pytest.raises(StoreUnavailableError):
            ring.key_of(ONE)
    assert store.asked[0] == 1
    clock.now += 1
    with pytest.raises(StoreUnavailableError):
        ring.key_of(ONE)
    assert store.asked[0] == 2


def test_many_ask_once(ring: StoredKeyRing, store: FakeStore) -> None:
    """Threads that want the same unknown key share one question, whatever its answer."""
    for number, there in ((1, True), (3, False)):
        store.going_on.clear()
        with ThreadPoolExecutor(16) as pool:
            tries = [pool.submit(ring.key_of, ProjectId(number)) for _ in range(16)]
            assert store.begun.wait(10)
            store.going_on.set()
            answers = [each.exception(10) or each.result() for each in tries]
        assert store.asked[number] == 1
        assert all(answer == key(number) if there else isinstance(answer, UnknownProjectError) for answer in answers)
        store.begun.clear()


def test_others_go_on_while_one_asks_again(ring: StoredKeyRing, store: FakeStore, clock: ManualClock) -> None:
    """When a key is to be confirmed, only one thread waits for the store."""
    ring.key_of(ONE)
    clock.now += 4.2
    store.going_on.clear()
    store.begun.clear()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ring.key_of, ONE)
        assert store.begun.wait(10)
        assert ring.key_of(ONE) == key(1)
        assert not asking.done()
        store.going_on.set()
        assert asking.result(10) == key(1)
    assert store.asked == {1: 2}


def test_an_answer_from_before_a_deletion_is_void(ring: StoredKeyRing, store: FakeStore) -> None:
    """A question that was on its way when the project was deleted does not bring its key back."""
    store.going_on.clear()
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ring.key_of, ONE)
        assert store.begun.wait(10)
        store.ids.remove(1)
        ring.changed()
        store.going_on.set()
        asking.exception(10)
    with pytest.raises(UnknownProjectError):
        ring.key_of(ONE)


class TestOnDisk:
    """Keys outlive the process, and deletions outlive keys."""

    def test_after_a_restart_while_the_store_is_away(
        self, store: FakeStore, clock: ManualClock, tmp_path: Path
    ) -> None:
        """What was known is served though the store was never asked."""
        ring_in(tmp_path, store, clock).key_of(ONE)
        store.away = True
        restarted = ring_in(tmp_path, store, clock)
        assert restarted.key_of(ONE) == key(1)
        with pytest.raises(StoreUnavailableError):
            restarted.key_of(TWO)

    def test_after_a_restart_the_store_is_asked_first(
        self, store: FakeStore, clock: ManualClock, tmp_path: Path
    ) -> None:
        """What was deleted meanwhile, elsewhere, is not served from the disk while the store can be asked."""
        ring_in(tmp_path, store, clock).key_of(ONE)
        store.ids.remove(1)
        with pytest.raises(UnknownProjectError):
            ring_in(tmp_path, store, clock).key_of(ONE)

    def test_a_deleted_project_is_never_served(self, store: FakeStore, clock: ManualClock, tmp_path: Path) -> None:
        """Not by another process, not after a restart, not while the store is away."""
        one, other = ring_in(tmp_path, store, clock), ring_in(tmp_path, store, clock)
        for ring in (one, other):
            ring.key_of(ONE)
            ring.key_of(TWO)
        store.ids.remove(1)
        one.changed()
        with pytest.raises(UnknownProjectError):
            other.key_of(ONE)
        store.away = True
        for ring in (other, ring_in(tmp_path, store, clock)):
            clock.now += 2
            with pytest.raises(StoreUnavailableError):
                ring.key_of(ONE)
            assert ring.key_of(TWO) == key(2), "confirmed by whoever said that projects changed"

    def test_deleted_with_the_store_gone_at_once(self, store: FakeStore, clock: ManualClock, tmp_path: Path) -> None:
        """Where the store went away before it could confirm anything, nothing is served that may be deleted."""
        ring = ring_in(tmp_path, store, clock)
        ring.key_of(ONE)
        store.ids.remove(1)
        store.away = True
        ring.changed()
        for each in (ring, ring_in(tmp_path, store, clock)):
            with pytest.raises(StoreUnavailableError):
                each.key_of(ONE)

    def test_only_the_owner_may_read(self, store: FakeStore, clock: ManualClock, tmp_path: Path) -> None:
        """Keys on disk are for this user."""
        ring_in(tmp_path, store, clock).key_of(ONE)
        assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600
        assert not list(tmp_path.glob(".keys*"))

    @pytest.mark.parametrize("text", ["", "[]", '{"1": 3}', '{"1": ["zz", 1]}', '{"x": ["' + "0" * 32 + '", 1]}', "{"])
    def test_a_broken_file(self, store: FakeStore, clock: ManualClock, tmp_path: Path, text: str) -> None:
        """A file of keys that cannot be read is as good as none."""
        (tmp_path / "keys.json").write_text(text)
        ring = ring_in(tmp_path, store, clock)
        assert ring.key_of(ONE) == key(1)
        assert list(json.loads((tmp_path / "keys.json").read_text())) == ["1"]

    def test_processes_keep_what_others_wrote(self, store: FakeStore, clock: ManualClock, tmp_path: Path) -> None:
        """Two that learn different keys both have them on disk."""
        one, other = ring_in(tmp_path, store, clock), ring_in(tmp_path, store, clock)
        one.key_of(ONE)
        other.key_of(TWO)
        assert sorted(json.loads((tmp_path / "keys.json").read_text())) == ["1", "2"]

    def test_no_folder(self, store: FakeStore, clock: ManualClock, tmp_path: Path) -> None:
        """A data directory that is not there is named, with what to do."""
        with pytest.raises(ConfigurationError, match=r"keys\.generation.*writable"):
            ring_in(tmp_path / "none", store, clock)

    def test_an_unwritable_file_costs_nothing(
        self, store: FakeStore, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where keys cannot be written any more, they are served all the same."""
        ring = ring_in(tmp_path, store, clock)

        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("rustrak_storage.key_files.KeyFile._replace", refuse)
        assert ring.key_of(ONE) == key(1)

    def test_what_is_learned_is_written_in_bulk(self, store: FakeStore, clock: ManualClock, tmp_path: Path) -> None:
        """Many new keys at once are written once a second."""
        store.ids = set(range(1, 50))
        ring = ring_in(tmp_path, store, clock)
        for number in range(1, 50):
            ring.key_of(ProjectId(number))
        assert len(json.loads((tmp_path / "keys.json").read_text())) == 1
        clock.now += 1.1
        ring.key_of(ONE)
        assert len(json.loads((tmp_path / "keys.json").read_text())) == 49


def test_threads_learn_and_forget(ring: StoredKeyRing, store: FakeStore) -> None:
    """While projects come and go, every answer is one that held."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            assert ring.key_of(ONE) == key(1)
            try:
                assert ring.key_of(NONE) == key(3)
            except UnknownProjectError:
                continue

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask) for _ in range(3)]
        for _ in range(10):
            store.ids.add(3)
            ring.changed()
            assert ring.key_of(NONE) == key(3)
            store.ids.remove(3)
            ring.changed()
            with pytest.raises(UnknownProjectError):
                ring.key_of(NONE)
        stop.set()
        for each in asking:
            each.result(10)


def test_another_process_deletes(store: FakeStore, clock: ManualClock, tmp_path: Path) -> None:
    """What another process of the data directory says is heeded by the very next call."""
    ring = ring_in(tmp_path, store, clock)
    assert ring.key_of(ONE) == key(1)
    store.ids.remove(1)
    script = (
        "import sys; from pathlib import Path; from rustrak_storage.key_files import FileGeneration; "
        "FileGeneration(Path(sys.argv[1])).advance()"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])
    with pytest.raises(UnknownProjectError):
        ring.key_of(ONE)
