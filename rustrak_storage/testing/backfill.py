"""What a BackfillStore must do, and that an upgrade with it reopens no known error as new."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import attrs
import pytest

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.digested import Digested
from rustrak_core.errors import UnknownProjectError
from rustrak_core.grouping import DEFAULT_MECHANISM, Rules
from rustrak_core.issue import IssueId
from rustrak_core.ports import Backfill, BackfillStage, Store
from rustrak_core.project import Project
from rustrak_core.regroup.backfill import Backfiller, backfill_step
from rustrak_core.tracker.mechanisms import Digester
from rustrak_storage.testing.values import NOW, StoreContract, create_project, digested, key, record_one

FORMER = "message@1"


def failed(project: Project, number: int, message: str, *, at: str = "ship", **more: Any) -> AcceptedEvent:
    """Return an error with a message, raised in a function."""
    frames = [{"module": "shop.orders", "function": at, "in_app": True}]
    value = {"type": "OrderError", "value": message, "stacktrace": {"frames": frames}}
    payload = json.dumps({"exception": {"values": [value]}, **more}).encode()
    return AcceptedEvent(project_id=project.id, event_id=UUID(int=number), received_at=NOW, payload=payload)


def before(event: AcceptedEvent) -> Digested:
    """Return what was recorded by the mechanism of old."""
    return digest(event, rules=Rules(mechanism=FORMER))


class BackfillContract(StoreContract):
    """`rustrak_core.ports.BackfillStore`."""

    def test_moves(self, store: Store, project: Project) -> None:
        """A backfill comes from where it is to where it goes, once; whoever thinks it is elsewhere changes nothing."""
        assert store.backfill(project.id) is None
        first = Backfill(project_id=project.id, mechanism="anchor@1")
        second = attrs.evolve(first, upto=7)
        assert store.move_backfill(None, first)
        assert not store.move_backfill(None, second)
        assert not store.move_backfill(second, second)
        assert store.move_backfill(first, second)
        assert store.backfill(project.id) == second
        done = attrs.evolve(second, stage=BackfillStage.DONE)
        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(lambda _: store.move_backfill(second, done), range(8))) == 1
        assert store.backfill(project.id) == done

    def test_keys(self, store: Store, project: Project) -> None:
        """A key goes to the issue of its events; not one of several issues, of one that is gone, or that is known."""
        one = record_one(store, digested(project, 1, "a")).id
        two = record_one(store, digested(project, 2, "b", "taken")).id
        gone = record_one(store, digested(project, 3, "c")).id
        state = Backfill(project_id=project.id, mechanism="anchor@1")
        found = {"x": {one}, "y": {one, two}, "z": {one}, "taken": {one}, "gone": {gone}}
        assert store.move_backfill(None, state, {key(name): issues for name, issues in found.items()})
        later = attrs.evolve(state, upto=1)
        assert store.move_backfill(state, later, {key("z"): {two}, key("x"): {one}, key("w"): {two}, key("y"): {one}})
        store.delete_issue(gone, now=NOW)
        taken = []
        while count := store.attach_newer_keys(project.id, limit=2):
            taken.append(count)
        assert taken == [2, 2, 2]
        asked = [key(name) for name in ("x", "y", "z", "w", "taken", "gone")]
        assert store.owners(project.id, asked) == {key("x"): one, key("w"): two, key("taken"): two}

    def test_another_mechanism(self, store: Store, project: Project) -> None:
        """What was noted for one mechanism is forgotten when it is another's turn."""
        one = record_one(store, digested(project, 1, "a")).id
        first = Backfill(project_id=project.id, mechanism="anchor@1")
        store.move_backfill(None, first, {key("x"): {one}})
        other = create_project(store, "Other")
        store.move_backfill(None, attrs.evolve(first, project_id=other.id), {key("x"): {IssueId(1)}})
        assert store.move_backfill(first, Backfill(project_id=project.id, mechanism="anchor@2"))
        assert store.attach_newer_keys(project.id) == 0
        assert store.attach_newer_keys(other.id) == 1
        assert store.owners(other.id, [key("x")]) == {}

    def test_of_no_project(self, store: Store, project: Project) -> None:
        """A project that is deleted has none, and gets none."""
        store.delete_project(project.id, now=NOW)
        with pytest.raises(UnknownProjectError):
            store.move_backfill(None, Backfill(project_id=project.id, mechanism="anchor@1"))
        with pytest.raises(UnknownProjectError):
            store.attach_newer_keys(project.id)

    def test_upgrade(self, store: Store, project: Project) -> None:
        """After it, no error that its own newer key could have found is new, and no issue was split or joined."""
        messages = [f"order {n} failed" for n in range(30)]
        places = [f"step{n % 10}" for n in range(30)]
        events = [failed(project, n + 1, messages[n % 10], at=places[n]) for n in range(30)]
        events += [failed(project, 100 + n, f"price {n} is odd", at="price") for n in range(2)]
        recorded = store.record([before(event) for event in events])
        store.record([before(failed(project, 200, "shed"))])
        assert store.project(project.id).issue_count == 13
        for _ in range(200):
            if not backfill_step(store, project.id, limit=3):
                break
        assert store.backfill(project.id) == attrs.evolve(
            store.backfill(project.id) or Backfill(project_id=project.id, mechanism=""),
            mechanism=DEFAULT_MECHANISM,
            stage=BackfillStage.DONE,
        )
        digester = Digester(store)
        again = store.record(
            [digester.digest(failed(project, 300 + n, f"order {n + 99} failed", at=places[n])) for n in range(10)]
        )
        assert [one.issue_id for one in again] == [one.issue_id for one in recorded[:10]]
        assert not any(one.is_new for one in again)
        # Two issues have this one's newer key, so that it is neither's.
        (odd,) = store.record([digester.digest(failed(project, 400, "price 7 is odd", at="price"))])
        assert odd.is_new
        known = store.record(
            [digester.digest(failed(project, 500 + n, f"price {n} is odd", at="price")) for n in range(2)]
        )
        assert [one.issue_id for one in known] == [one.issue_id for one in recorded[30:]]

    def test_while_recording(self, store: Store, project: Project) -> None:
        """A backfiller does all of it by slices, beside another one, and while events come."""
        store.record([before(failed(project, n, f"order {n} failed", at=f"step{n}")) for n in range(250)])
        digester = Digester(store)
        backfillers = [Backfiller(store, monotonic=lambda: 0.0) for _ in range(2)]

        def record(number: int) -> None:
            store.record([digester.digest(failed(project, number, f"order {number} failed", at=f"step{number % 250}"))])

        with ThreadPoolExecutor(3) as pool:
            recording = pool.map(record, range(300, 330))
            list(pool.map(lambda backfiller: [backfiller.work() for _ in range(10)], backfillers))
            list(recording)
        while backfill_step(store, project.id):
            pass
        state = store.backfill(project.id)
        assert state is not None
        assert state.stage is BackfillStage.DONE
        again = store.record(
            [
                digester.digest(failed(project, 1000 + n, f"order {n + 999} failed", at=f"step{n}"))
                for n in range(50, 250)
            ]
        )
        assert not any(one.is_new for one in again)
