"""The digest worker: everything accepted is recorded, once, whatever fails meanwhile."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest

from rustrak_core.accepted import Accepted, AcceptedEvent, Count, Outcome, SpoolAdvance, SpoolPosition
from rustrak_core.digest import digest
from rustrak_core.digested import Digested
from rustrak_core.errors import SpoolUnavailableError, StoreUnavailableError
from rustrak_core.grouping import Rules
from rustrak_core.page import EventQuery, IssueQuery
from rustrak_core.ports import Recorded, Store
from rustrak_core.project import Project
from rustrak_http.quarantine import undigested
from rustrak_http.worker import Beat, DigestWorker
from rustrak_storage.factory import open_store
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
KEY = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"


class Faulty:
    """A store whose calls can be made to fail."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fail: Callable[[Sequence[Digested]], None] = lambda _: None
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def record(
        self, events: Sequence[Digested], *, counts: Sequence[Count] = (), advance: SpoolAdvance | None = None
    ) -> Sequence[Recorded]:
        self.batches.append(len(events))
        self.fail(events)
        return self.store.record(events, counts=counts, advance=advance)


@attrs.define
class House:
    """A spool, a store and the worker between them."""

    spool: DirectorySpool
    reader: DirectorySpoolReader
    store: Faulty
    project: Project
    worker: DigestWorker

    def accept(self, *numbers: int, counts: Sequence[Count] = ()) -> None:
        self.spool.accept(Accepted(events=[self.event(number) for number in numbers], counts=counts))

    def event(self, number: int) -> AcceptedEvent:
        payload = b'{"message": "number %d", "level": "info"}' % number
        return AcceptedEvent(project_id=self.project.id, event_id=UUID(int=number), received_at=NOW, payload=payload)

    def stored(self) -> dict[int, str]:
        """Return the recorded events' numbers, with the type of the issue each is in."""
        found: dict[int, str] = {}
        for issue in self.store.issues(IssueQuery(project_id=self.project.id, limit=100)).items:
            query = EventQuery(issue_id=issue.id, limit=100)
            while True:
                page = self.store.events(query)
                found |= {row.id.int: issue.type for row in page.items}
                if page.after is None:
                    break
                query = attrs.evolve(query, after=page.after)
        return found

    def counted(self, outcome: Outcome) -> int:
        counts = self.store.ledger(self.project.id, since=NOW.date(), until=NOW.date()).counts
        return sum(count.quantity for count in counts if count.outcome == outcome)

    def settle(self) -> int:
        """Let the worker go on until nothing waits; return how many events it recorded."""
        total = 0
        for _ in range(200):
            total += self.worker.run_once()
            if not self.worker._moved:
                return total
        raise AssertionError("it does not come to an end")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    store = Faulty(open_store("memory://"))
    project = store.create_project("my-app", sentry_key=KEY, now=NOW)
    spool = DirectorySpool(tmp_path / "spool", min_free_bytes=1)
    reader = DirectorySpoolReader(tmp_path / "spool")
    worker = DigestWorker(store, reader)
    yield House(spool, reader, store, project, worker)
    reader.close()
    spool.close()
    store.close()


def test_what_is_accepted_is_recorded(house: House) -> None:
    """Events, counts and the lane's position arrive together; a second round finds nothing."""
    session = Count(project_id=house.project.id, day=NOW.date(), category="session", outcome=Outcome.DISCARDED)
    for number in range(1, 6):
        house.accept(number, counts=[session])
    assert house.settle() == 5
    assert sorted(house.stored()) == [1, 2, 3, 4, 5]
    assert (house.counted(Outcome.STORED), house.counted(Outcome.DISCARDED)) == (5, 5)
    assert house.store.batches == [5]
    position = house.store.position(house.spool.lane)
    assert position is not None
    assert house.spool.queued(house.project.id, [position]) == {}
    assert house.spool.stats().size_bytes == 0


def test_another_worker_goes_on_where_one_ended(house: House) -> None:
    """What was recorded is not read again, what was not is."""
    house.accept(1)
    house.settle()
    house.accept(2)
    other = DigestWorker(house.store, house.reader)
    assert other.run_once() == 1
    assert (house.counted(Outcome.STORED), house.counted(Outcome.DUPLICATE)) == (2, 0)


def test_a_position_that_moved_meanwhile(house: House) -> None:
    """Where someone else recorded the batch, the worker reads on from there and counts nothing twice."""
    house.accept(1)
    house.settle()
    house.accept(2)
    DigestWorker(house.store, house.reader).run_once()
    house.accept(3)
    assert house.worker.run_once() == 0
    assert house.settle() == 1
    assert (house.counted(Outcome.STORED), house.counted(Outcome.DUPLICATE)) == (3, 0)


def test_an_event_that_cannot_be_digested_is_kept(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """A fault in digesting costs that event its columns, not its payload, nor the others anything."""
    from rustrak_core.digest import digest

    def digesting(event: AcceptedEvent) -> Digested:
        if event.event_id.int == 2:
            raise RecursionError("number 2")
        return digest(event)

    house.worker._digest = digesting
    house.accept(1, 2, 3)
    assert house.settle() == 3
    assert house.stored() == {1: "Message", 2: "Undigested", 3: "Message"}
    assert house.store.event(UUID(int=2)).payload == house.event(2).payload
    assert "digest_failed" in caplog.text
    assert "number 2" not in caplog.text, "nothing of a payload in the log"


def test_a_store_that_is_away_is_no_fault_of_an_event(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it cannot be asked which mechanisms a project has used, events wait; none of them counts as undigested."""
    house.accept(1, 2)

    def away(_: object) -> None:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "mechanisms", away, raising=False)
        for _ in range(3):
            with pytest.raises(StoreUnavailableError):
                house.worker.run_once()
    assert house.stored() == {}
    house.settle()
    assert house.stored() == {1: "Message", 2: "Message"}


def test_one_event_that_breaks_recording_is_isolated(house: House) -> None:
    """Among many in a batch, the one at fault is found, and only that one is kept without its columns."""

    def fail(events: Sequence[Digested]) -> None:
        if any(event.event_id.int == 13 and event.type != "Undigested" for event in events):
            raise ValueError("poison")

    house.store.fail = fail
    for number in range(1, 41):
        house.accept(number)
    assert house.settle() == 40
    stored = house.stored()
    assert sorted(stored) == list(range(1, 41))
    assert [number for number, kind in stored.items() if kind == "Undigested"] == [13]
    assert len(house.store.batches) < 25


def test_an_event_that_cannot_be_kept_is_counted(house: House) -> None:
    """Where even the payload cannot be stored, the event is counted as quarantined, and the rest goes on."""

    def fail(events: Sequence[Digested]) -> None:
        if any(event.event_id.int == 2 for event in events):
            raise ValueError("poison")

    house.store.fail = fail
    for number in (1, 2, 3):
        house.accept(number)
    assert house.settle() == 2
    assert sorted(house.stored()) == [1, 3]
    assert (house.counted(Outcome.QUARANTINED), house.counted(Outcome.STORED)) == (1, 2)


def test_a_store_that_fails_on_everything_does_not_empty_the_spool(house: House) -> None:
    """After a number of bad events in a row, the store is to blame: the worker waits instead of giving events up."""

    def fail(events: Sequence[Digested]) -> None:
        if events:
            raise ValueError("broken")

    house.store.fail = fail
    for number in range(1, 61):
        house.accept(number)
    with pytest.raises(StoreUnavailableError, match="every event"):
        house.settle()
    assert house.counted(Outcome.QUARANTINED) == 20
    house.store.fail = lambda _: None
    house.settle()
    assert len(house.stored()) == 40


class TestRunning:
    """The loop: it waits for a store that is away, gives signs of life, and stops when told."""

    def run(self, house: House) -> tuple[threading.Thread, threading.Event]:
        stop = threading.Event()
        thread = threading.Thread(target=house.worker.run, args=(stop,))
        thread.start()
        return thread, stop

    def test_it_waits_for_the_store(self, house: House, caplog: pytest.LogCaptureFixture) -> None:
        """While the store is away nothing is lost, and the log has one line, not one a try."""
        caplog.set_level(logging.INFO)
        tries, recorded = threading.Semaphore(0), threading.Event()
        away = True

        def fail(_: Sequence[Digested]) -> None:
            tries.release()
            if away:
                raise StoreUnavailableError("the database cannot be reached")
            recorded.set()

        house.store.fail = fail
        house.accept(1)
        thread, stop = self.run(house)
        for _ in range(3):
            assert tries.acquire(timeout=10)
        away = False
        assert recorded.wait(10)
        stop.set()
        thread.join(10)
        assert not thread.is_alive()
        assert sorted(house.stored()) == [1]
        assert caplog.text.count("worker_waits") == 1

    def test_it_stops_in_the_middle(self, house: House) -> None:
        """Told to stop, it finishes its batch; what is left stays in the spool for the next."""
        thread, stop = None, threading.Event()
        house.worker._max_events = 2
        for number in range(1, 11):
            house.accept(number)
        house.store.fail = lambda _: stop.set()
        thread = threading.Thread(target=house.worker.run, args=(stop,))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert sorted(house.stored()) == [1, 2]
        house.settle()
        assert len(house.stored()) == 10

    def test_signs_of_life(self, house: House) -> None:
        """It says that it lives, since when events wait, and what is in the way."""
        beats: list[Beat] = []
        beaten = threading.Event()

        def beat(each: Beat) -> None:
            beats.append(each)
            if each.trouble:
                beaten.set()

        def fail(_: Sequence[Digested]) -> None:
            raise StoreUnavailableError("away")

        house.worker._heartbeat = beat
        house.store.fail = fail
        house.accept(1)
        thread, stop = self.run(house)
        assert beaten.wait(10)
        stop.set()
        thread.join(10)
        assert beats[0].trouble is None
        assert (beats[-1].trouble, beats[-1].oldest_at) == ("StoreUnavailableError", NOW)

    @pytest.mark.parametrize(("events", "seconds"), [(1, 0.02), (5, 0.02), (60, 0.12), (200, 0.2)])
    def test_the_more_come_the_longer_they_are_gathered(
        self, house: House, monkeypatch: pytest.MonkeyPatch, events: int, seconds: float
    ) -> None:
        """A transaction has its price, so that in a stream of events batches are few; a single one need not wait."""
        house.accept(*range(1, events + 1))
        worker = DigestWorker(house.store, house.reader, monotonic=lambda: 100.0)
        waited: list[float] = []
        stop = threading.Event()

        def wait(_stop: threading.Event, seconds: float) -> None:
            waited.append(seconds)
            stop.set()

        monkeypatch.setattr(worker, "_wait", wait)
        worker.run(stop)
        assert house.store.batches == [events]
        assert waited == [pytest.approx(seconds)]

    def test_a_backlog_is_digested_without_a_pause(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a batch was full, by number or by bytes, the next one is begun at once."""
        house.accept(*range(1, 41))
        house.accept(*range(41, 81))
        house.worker = DigestWorker(house.store, house.reader, max_events=40)
        waited: list[float] = []
        stop = threading.Event()

        def wait(_stop: threading.Event, seconds: float) -> None:
            waited.append(sum(house.store.batches))
            if waited[-1] == 80:
                stop.set()

        monkeypatch.setattr(house.worker, "_wait", wait)
        house.worker.run(stop)
        assert set(waited) == {80}

    def test_it_purges_in_idle_time(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rows of what was deleted go in small steps while there is nothing else to do."""
        left, done = [3], threading.Event()

        def purge(*, limit: int) -> int:
            assert limit <= 1000
            left[0] -= 1
            if left[0] == 0:
                done.set()
            return max(left[0], 0)

        house.store.purge = purge  # type: ignore[attr-defined]
        thread, stop = self.run(house)
        assert done.wait(10)
        stop.set()
        thread.join(10)

    def test_it_works_out_newer_keys_in_idle_time(self, house: House) -> None:
        """After an upgrade, issues get their newer keys while there is nothing else to do."""
        value = {"type": "OrderError", "value": "order 1 failed"}
        event = attrs.evolve(house.event(1), payload=json.dumps({"exception": {"values": [value]}}).encode())
        house.store.record([digest(event, rules=Rules(mechanism="message@1"))])
        newer = digest(event).keys[0]
        thread, stop = self.run(house)
        deadline = time.monotonic() + 20
        while not (found := house.store.owners(event.project_id, [newer])) and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        thread.join(10)
        assert list(found) == [newer]


def test_a_lane_that_cannot_be_read_does_not_hold_the_others(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An I/O error in one lane leaves the rest to be digested."""
    other = DirectorySpool(tmp_path / "spool", min_free_bytes=1)
    other.accept(Accepted(events=[house.event(1)]))
    house.accept(2)
    read = house.reader.read

    def failing(lane: str, **how: Any) -> Any:
        if lane == min(other.lane, house.spool.lane):
            raise SpoolUnavailableError("I/O error")
        return read(lane, **how)

    monkeypatch.setattr(house.reader, "read", failing)
    assert house.worker.run_once() == 1
    monkeypatch.undo()
    house.settle()
    assert sorted(house.stored()) == [1, 2]
    other.close()


def test_a_lane_that_cannot_be_cleared_does_not_hold_the_others(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its start, too, a worker digests all lanes, though what is recorded of one cannot be removed."""
    other = DirectorySpool(tmp_path / "spool", min_free_bytes=1)
    other.accept(Accepted(events=[house.event(1)]))
    house.accept(2)
    house.settle()
    other.accept(Accepted(events=[house.event(3)]))
    house.accept(4)

    def failing(upto: SpoolPosition) -> None:
        raise SpoolUnavailableError(f"lane {upto.lane} of the spool cannot be cleared: it is read-only")

    monkeypatch.setattr(house.reader, "forget", failing)
    assert DigestWorker(house.store, house.reader).run_once() == 2
    monkeypatch.undo()
    house.settle()
    assert sorted(house.stored()) == [1, 2, 3, 4]
    other.close()


def test_an_undigested_event_is_valid(house: House) -> None:
    """What stands for an event that could not be digested satisfies what a store asks of any."""
    assert house.store.record([undigested(house.event(1))])[0].outcome is Outcome.STORED


def test_bytes_that_are_no_event_are_counted_invalid(house: House) -> None:
    """What turns out to be no JSON object is not stored, and accounted for; its neighbours are stored (SDK.md, 6)."""
    house.spool.accept(Accepted(events=[attrs.evolve(house.event(1), payload=b"{broken}")]))
    house.accept(2)
    house.settle()
    assert house.stored() == {2: "Message"}
    assert (house.counted(Outcome.STORED), house.counted(Outcome.INVALID)) == (1, 1)
