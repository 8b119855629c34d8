"""Poison: an event that no digester survives costs itself only, and is kept with its payload."""

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.accepted import Accepted, AcceptedEvent, Outcome
from rustrak_core.digest import digest
from rustrak_core.digested import Digested
from rustrak_core.errors import SpoolUnavailableError, StoreUnavailableError
from rustrak_core.ports import Stage, Store
from rustrak_http.lane import MAX_TRIES, POISON_ALARM
from rustrak_http.pulse import Pulse
from rustrak_http.rehearsal import Rehearsal
from rustrak_http.worker import DigestWorker
from rustrak_storage.factory import open_store
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader, QuarantineFolder

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
KEY = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"


class Crash(BaseException):
    """What ends a process at once: no handler of the worker's sees it."""


class House:
    """A spool, a store, and workers that end at poison and are followed by others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store: Store = open_store("memory://")
        self.project = self.store.create_project("my-app", sentry_key=KEY, now=NOW)
        self.spool = DirectorySpool(folder, min_free_bytes=1)
        self.quarantine = QuarantineFolder(folder)
        self.poison: set[int] = set()
        self.poison_to_record: set[int] = set()
        self.endless: set[int] = set()
        self.crashes = 0
        self.rehearsal: Rehearsal | None = None
        self._pid = os.getpid()

    def close(self) -> None:
        self.spool.close()
        self.store.close()

    def event(self, number: int) -> AcceptedEvent:
        payload = b'{"message": "number %d", "level": "info"}' % number
        return AcceptedEvent(project_id=self.project.id, event_id=UUID(int=number), received_at=NOW, payload=payload)

    def accept(self, *numbers: int) -> None:
        for number in numbers:
            self.spool.accept(Accepted(events=[self.event(number)]))

    def counted(self, outcome: Outcome) -> int:
        counts = self.store.ledger(self.project.id, since=NOW.date(), until=NOW.date()).counts
        return sum(count.quantity for count in counts if count.outcome == outcome)

    def queued(self) -> int:
        ledger = self.store.ledger(self.project.id, since=NOW.date(), until=NOW.date())
        return sum(self.spool.queued(self.project.id, ledger.positions).values())

    def received(self) -> int:
        return sum(map(self.counted, (Outcome.STORED, Outcome.DUPLICATE, Outcome.QUARANTINED))) + self.queued()

    def _digest(self, event: AcceptedEvent) -> Digested:
        if event.event_id.int in self.poison:
            if os.getpid() != self._pid:
                os.kill(os.getpid(), signal.SIGKILL)
            raise Crash
        if event.event_id.int in self.endless and os.getpid() != self._pid:
            while True:
                time.sleep(0.01)
        return digest(event)

    def work(self, *, lives: int = 100, settle: bool = True) -> int:
        """Let workers live and die until nothing waits; return how many it took."""
        for life in range(1, lives + 1):
            reader = DirectorySpoolReader(self.folder)
            worker = DigestWorker(_Deadly(self), reader, digesting=self._digest, rehearsal=self.rehearsal)
            try:
                while worker.run_once() or worker._moved:
                    pass
                if not self.queued() or not settle:
                    return life
            except Crash:
                self.crashes += 1
            finally:
                reader.close()
        raise AssertionError("it does not come to an end")

    def give_back(self, text: str = "") -> None:
        entries = self.quarantine.entries() if not text else [self.quarantine.find(text)]
        for entry in entries:
            self.quarantine.give_back(entry, now=NOW, recorded=self.store.position)


class _Deadly:
    """A store that some events end the process in."""

    def __init__(self, house: House) -> None:
        self._house = house

    def __getattr__(self, name: str) -> Any:
        return getattr(self._house.store, name)

    def record(self, events: Sequence[Digested], **how: Any) -> Any:
        if self._house.poison_to_record & {event.event_id.int for event in events}:
            raise Crash
        return self._house.store.record(events, **how)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with_house = House(tmp_path / "spool")
    yield with_house
    with_house.close()


@pytest.mark.parametrize("number", [1, 2, 77, 150, 300])
def test_poison_costs_itself_only(house: House, number: int, caplog: pytest.LogCaptureFixture) -> None:
    """An event that ends each digester is known after one crash, and in quarantine after three; the rest is stored."""
    house.poison = {number}
    house.accept(*range(1, 301))
    house.work()
    assert house.crashes == MAX_TRIES
    assert (house.counted(Outcome.STORED), house.counted(Outcome.QUARANTINED), house.received()) == (299, 1, 300)
    (entry,) = house.quarantine.entries()
    assert house.quarantine.event(entry) == house.event(number)
    assert (entry.project_id, entry.event_id, entry.since.tzinfo) == (1, str(UUID(int=number)), UTC)
    lines = [record for record in caplog.records if "event_quarantined" in record.getMessage()]
    assert len(lines) == 1
    assert f"number {number}" not in caplog.text, "nothing of a payload in the log"


def test_many_poisons(house: House) -> None:
    """Several, also side by side and in a row, each cost three crashes."""
    house.poison = {1, 2, 50, 51, 100}
    house.accept(*range(1, 101))
    house.work()
    assert house.crashes == MAX_TRIES * 5
    assert (house.counted(Outcome.STORED), house.counted(Outcome.QUARANTINED)) == (95, 5)
    assert {UUID(entry.event_id).int for entry in house.quarantine.entries()} == house.poison


@given(poison=st.sets(st.integers(1, 40), max_size=5), deadly=st.sets(st.integers(1, 40), max_size=3))
def test_any_poison(tmp_path_factory: pytest.TempPathFactory, poison: set[int], deadly: set[int]) -> None:
    """Whichever events end a digester or the recording: they are in quarantine, the others stored, all counted once."""
    house = House(tmp_path_factory.mktemp("poison") / "spool")
    try:
        house.poison, house.poison_to_record = poison, deadly
        house.accept(*range(1, 41))
        house.work(lives=200)
        assert {UUID(entry.event_id).int for entry in house.quarantine.entries()} == poison | deadly
        assert house.counted(Outcome.STORED) == 40 - len(poison | deadly)
        assert house.received() == 40
    finally:
        house.close()


def test_an_event_that_no_worker_survives_recording(house: House) -> None:
    """Where recording ends the process, the batch is halved until the event is known."""
    house.poison_to_record = {33}
    house.accept(*range(1, 101))
    house.work()
    assert house.crashes < 15
    assert (house.counted(Outcome.STORED), house.counted(Outcome.QUARANTINED)) == (99, 1)
    assert [UUID(entry.event_id).int for entry in house.quarantine.entries()] == [33]


def test_a_store_that_ends_every_worker_does_not_empty_the_spool(house: House) -> None:
    """After a number of events in a row that no worker survived recording, the store is to blame, and events wait."""
    numbers = range(1, POISON_ALARM + 11)
    house.poison_to_record = set(numbers)
    house.accept(*numbers)
    with pytest.raises(AssertionError, match="come to an end"):
        house.work(lives=150)
    assert house.counted(Outcome.QUARANTINED) == POISON_ALARM
    house.poison_to_record = set()
    house.work()
    assert (house.counted(Outcome.STORED), house.received()) == (10, POISON_ALARM + 10)


def test_a_worker_that_is_killed_while_it_waits_blames_nobody(house: House) -> None:
    """What ends a process while the store is away, or between batches, is no event's fault."""
    house.accept(1)
    for _ in range(5):
        reader = DirectorySpoolReader(house.folder)
        worker = DigestWorker(_Away(), reader)  # type: ignore[arg-type]
        with pytest.raises(StoreUnavailableError):
            worker.run_once()
        reader.close()
    house.work()
    assert (house.crashes, house.counted(Outcome.STORED), house.quarantine.entries()) == (0, 1, [])


class _Away:
    def position(self, lane: str) -> None:
        return None

    def record(self, *_: Any, **__: Any) -> None:
        raise StoreUnavailableError("away")


def test_a_killed_worker_makes_no_poison(house: House) -> None:
    """A worker that was killed once in an event, for whatever reason, is followed by one that stores it."""
    house.accept(*range(1, 11))
    house.poison = {5}
    with pytest.raises(AssertionError):
        house.work(lives=2)
    house.poison = set()
    house.work()
    assert (house.counted(Outcome.STORED), house.quarantine.entries()) == (10, [])


def test_a_quarantine_that_cannot_be_written_holds_its_lane_only(house: House, tmp_path: Path) -> None:
    """While an event cannot be set aside it stays in the spool; other lanes go on, and nothing is lost."""
    house.poison = {1}
    house.accept(1, 2)
    with pytest.raises(AssertionError):
        house.work(lives=MAX_TRIES)
    house.quarantine.path.write_text("in the way")
    other = DirectorySpool(house.folder, min_free_bytes=1)
    other.accept(Accepted(events=[house.event(3)]))
    with closing(DirectorySpoolReader(house.folder)) as reader:
        worker = DigestWorker(house.store, reader)
        worker.run_once()
        with pytest.raises(SpoolUnavailableError, match="quarantine"):
            worker.run_once()
    assert (house.counted(Outcome.STORED), house.queued()) == (1, 2)
    house.quarantine.path.unlink()
    house.work()
    assert (house.counted(Outcome.STORED), house.counted(Outcome.QUARANTINED)) == (2, 1)
    other.close()


class TestGivingBack:
    """An event returns by the normal way, once, and the counters are right all the time."""

    @pytest.fixture
    def house(self, tmp_path: Path) -> Iterator[House]:
        with_house = House(tmp_path / "spool")
        with_house.poison = {2}
        with_house.accept(1, 2, 3)
        with_house.work()
        with_house.poison = set()
        yield with_house
        with_house.close()

    def test_it_is_stored(self, house: House) -> None:
        """Once given back it is digested, and no longer counted as quarantined; it is received once."""
        house.give_back()
        assert house.quarantine.entries() == []
        assert (house.received(), house.counted(Outcome.QUARANTINED)) == (3, 1), "until it is digested"
        house.work(settle=False)
        assert (house.received(), house.counted(Outcome.STORED), house.counted(Outcome.QUARANTINED)) == (3, 3, 0)
        assert house.store.event(UUID(int=2)).payload == house.event(2).payload

    @pytest.mark.parametrize("digested", [False, True])
    def test_once(self, house: House, monkeypatch: pytest.MonkeyPatch, digested: bool) -> None:
        """Interrupted between its return and its removal, and tried again, it returns once all the same."""
        (entry,) = house.quarantine.entries()
        with monkeypatch.context() as patch:
            patch.setattr(QuarantineFolder, "_unlink", _crash)
            with pytest.raises(Crash):
                house.give_back()
        if digested:
            house.work(settle=False)
            for _ in range(2):  # so that the lane is removed
                house.work(settle=False)
        assert house.quarantine.entries() == [entry]
        house.give_back()
        house.work(settle=False)
        assert house.quarantine.entries() == []
        assert (house.received(), house.counted(Outcome.STORED), house.counted(Outcome.QUARANTINED)) == (3, 3, 0)

    def test_it_is_poison_still(self, house: House) -> None:
        """What fails again is in quarantine again, with all of it, and can be given back again."""
        for _ in range(3):
            house.poison = {2}
            house.give_back()
            house.work(settle=False)
            (entry,) = house.quarantine.entries()
            assert house.quarantine.event(entry) == house.event(2)
            assert (house.received(), house.counted(Outcome.QUARANTINED)) == (3, 1)
        house.poison = set()
        house.give_back()
        house.work(settle=False)
        assert (house.received(), house.counted(Outcome.STORED)) == (3, 3)

    def test_not_while_it_is_being_set_aside(self, house: House) -> None:
        """Before the store knows that it was set aside, it is not given back: it would be set aside again."""
        (entry,) = house.quarantine.entries()
        with pytest.raises(SpoolUnavailableError, match="just now"):
            house.quarantine.give_back(entry, now=NOW, recorded=lambda _: None)
        assert house.quarantine.entries() == [entry]

    def test_of_a_lane_that_is_gone(self, house: House) -> None:
        """Also where the database is another one, and the lane it was read from is no more."""
        house.spool.close()
        house.work(settle=False)
        house.work(settle=False)
        (entry,) = house.quarantine.entries()
        house.quarantine.give_back(entry, now=NOW, recorded=lambda _: None)
        house.work(settle=False)
        assert house.counted(Outcome.STORED) == 3


def _crash(*_: Any) -> None:
    raise Crash


class TestRehearsal:
    """For a while after a crash, events are digested in another process first, whose end costs little."""

    @pytest.fixture
    def house(self, house: House) -> House:
        house.rehearsal = Rehearsal(stuck_s=10, digesting=house._digest)
        return house

    @pytest.mark.slow
    def test_a_flood_of_poison_costs_one_crash(self, house: House) -> None:
        """However many follow the first, they end copies of the worker only; each is tried three times, as ever."""
        house.poison = set(range(2, 100, 3))
        house.accept(*range(1, 101))
        house.work()
        assert house.crashes == 1
        assert {UUID(entry.event_id).int for entry in house.quarantine.entries()} == house.poison
        assert (house.counted(Outcome.STORED), house.received()) == (100 - len(house.poison), 100)

    def test_an_event_that_never_ends(self, house: House) -> None:
        """A copy that is stuck is ended, and that is a try too."""
        house.rehearsal = Rehearsal(stuck_s=0.2, digesting=house._digest)
        house.rehearsal.be_careful()
        house.endless = {3}
        house.accept(3)
        house.work()
        assert (house.crashes, house.counted(Outcome.STORED), house.counted(Outcome.QUARANTINED)) == (0, 0, 1)

    @pytest.mark.slow
    def test_a_slow_batch_is_not_stuck(self, house: House) -> None:
        """Each event has its time: a batch of many that takes longer is digested."""
        real = house._digest

        def slow(event: AcceptedEvent) -> Digested:
            time.sleep(0.1)
            return real(event)

        house.rehearsal = Rehearsal(stuck_s=2.0, digesting=slow)
        house.rehearsal.be_careful()
        house.accept(*range(1, 31))
        house.work()
        assert (house.counted(Outcome.STORED), house.counted(Outcome.QUARANTINED)) == (30, 0)

    def test_only_for_a_while(self) -> None:
        """It begins when an event has ended a process, and is over some time after the last."""
        clock = iter([0.0, 0.0, 59.0, 61.0])
        rehearsal = Rehearsal(stuck_s=1, careful_s=60, monotonic=lambda: next(clock))
        told = [rehearsal.is_wanted]
        rehearsal.be_careful()
        told += [rehearsal.is_wanted, rehearsal.is_wanted]
        assert told == [False, True, False]

    def test_what_only_fails_is_no_end(self, house: House) -> None:
        """An event on which digesting raises survives the rehearsal."""
        house.rehearsal = Rehearsal(stuck_s=2.0, digesting=_fail)
        house.rehearsal.be_careful()
        house.accept(1)
        house.work()
        assert (house.counted(Outcome.STORED), house.quarantine.entries()) == (1, [])

    def test_without_a_process_to_spare(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no process can be started, events are digested without rehearsal."""

        def fork() -> int:
            raise BlockingIOError(errno.EAGAIN, "no more processes")

        monkeypatch.setattr(os, "fork", fork)
        assert house.rehearsal is not None
        house.rehearsal.be_careful()
        house.accept(1, 2)
        house.work()
        assert house.counted(Outcome.STORED) == 2


def _fail(_: AcceptedEvent) -> Digested:
    raise RecursionError


class TestPulse:
    """Signs of life stop where a worker is stuck, and only there."""

    def test_it_beats_while_the_worker_gets_on(self) -> None:
        """It beats by itself, with what ails the worker."""
        said: list[str] = []
        beaten = threading.Event()

        def beat(text: str) -> None:
            said.append(text)
            if said.count("away") >= 2:
                beaten.set()

        pulse = Pulse(beat, stuck_s=10, beat_s=0.001)
        pulse.trouble = "away"
        with pulse:
            assert beaten.wait(10)
        assert set(said) == {"away"}

    @pytest.mark.parametrize(
        ("stage", "wall_s", "cpu_s", "stuck"),
        [
            (Stage.DIGESTING, 5, 5, False),
            (Stage.DIGESTING, 15, 0, True),
            (Stage.RECORDING, 10_000, 10, False),
            (Stage.RECORDING, 40, 35, True),
            (Stage.RESTING, 10_000, 10, False),
            (Stage.RESTING, 40, 35, True),
        ],
    )
    def test_what_is_stuck(self, stage: Stage, wall_s: float, cpu_s: float, stuck: bool) -> None:
        """An event that is digested for too long; all else only if it computes: it may wait for ever."""
        wall, cpu = 0.0, 0.0
        pulse = Pulse(lambda _: None, stuck_s=10, stuck_cpu_s=30, monotonic=lambda: wall, cpu_time=lambda: cpu)
        pulse.step(stage)
        assert not pulse.is_stuck
        wall, cpu = wall_s, cpu_s
        assert pulse.is_stuck is stuck
        pulse.step(stage)
        assert not pulse.is_stuck, "it has come further"

    def test_a_worker_tells_of_each_step(self, house: House) -> None:
        """A long batch is many steps, so that it is not taken for stuck."""
        house.accept(1, 2, 3)
        steps: list[Stage] = []
        with closing(DirectorySpoolReader(house.folder)) as reader:
            DigestWorker(house.store, reader, progress=steps.append).run_once()
        busy = [step for step in steps if step is not Stage.RESTING]
        assert busy == [Stage.DIGESTING] * 3 + [Stage.RECORDING]
        assert steps[-1] is Stage.RESTING
