"""What a CounterStore must do."""

from datetime import timedelta

import pytest

from rustrak_core.accepted import Count, Outcome
from rustrak_core.errors import UnknownProjectError
from rustrak_core.ports import Store
from rustrak_core.project import Project, ProjectId
from rustrak_storage.testing.values import LANE, NOW, StoreContract, at, create_project, digested, step

DAY = NOW.date()


def _count(project: Project | int, outcome: Outcome, quantity: int = 1, *, day: int = 0, reason: str = "") -> Count:
    number = project.id if isinstance(project, Project) else ProjectId(project)
    moment = DAY + timedelta(days=day)
    return Count(project_id=number, day=moment, category="error", outcome=outcome, reason=reason, quantity=quantity)


class CounterStoreContract(StoreContract):
    """`rustrak_core.ports.CounterStore`, and what `record` counts."""

    def test_events_are_counted(self, store: Store, project: Project) -> None:
        """What became of events is counted by day of receipt, whatever time they tell."""
        store.record([digested(project, 1), digested(project, 2, late=90_000), digested(project, 1)])
        store.record([digested(project, 1), digested(project, 3, at=86_400)])
        ledger = store.ledger(project.id, since=DAY, until=DAY + timedelta(days=1))
        assert set(ledger.counts) == {
            _count(project, Outcome.STORED, 1, day=1),
            _count(project, Outcome.STORED, 2),
            _count(project, Outcome.DUPLICATE, 2),
        }
        assert [count.day for count in ledger.counts] == [DAY + timedelta(days=1), DAY, DAY]

    def test_given_counts_add_up(self, store: Store, project: Project) -> None:
        """Counts of others add to the same counters, by category, outcome and reason; unknown projects' are dropped."""
        other = create_project(store, "Other")
        counts = [
            _count(project, Outcome.INVALID),
            _count(project, Outcome.INVALID, 4),
            _count(project, Outcome.SDK_DROPPED, 2, reason="before_send"),
            _count(project, Outcome.SDK_DROPPED, 3, reason="Before_send"),
            _count(project, Outcome.STORED, 5),
            _count(other, Outcome.INVALID, 9),
            _count(other.id + 5, Outcome.INVALID),
        ]
        store.record([digested(project, 1)], counts=counts)
        store.record([], counts=counts[:1])
        ledger = store.ledger(project.id, since=DAY, until=DAY)
        assert set(ledger.counts) == {
            _count(project, Outcome.INVALID, 6),
            _count(project, Outcome.SDK_DROPPED, 2, reason="before_send"),
            _count(project, Outcome.SDK_DROPPED, 3, reason="Before_send"),
            _count(project, Outcome.STORED, 6),
        }

    def test_hostile_reasons(self, store: Store, project: Project) -> None:
        """A reason is cut and cleaned like any text."""
        store.record([], counts=[_count(project, Outcome.SDK_DROPPED, reason="\0\ud800" + "\U0001f98a" * 999)])
        (count,) = store.ledger(project.id, since=DAY, until=DAY).counts
        assert len(count.reason) <= 200
        assert count.reason.encode()

    def test_days(self, store: Store, project: Project) -> None:
        """Both ends of the range are included, and nothing beside."""
        store.record([], counts=[_count(project, Outcome.SHED, 10 + day, day=day) for day in range(-2, 3)])
        ledger = store.ledger(project.id, since=DAY - timedelta(days=1), until=DAY + timedelta(days=1))
        assert [count.quantity for count in ledger.counts] == [11, 10, 9]
        assert list(store.ledger(project.id, since=DAY, until=DAY - timedelta(days=1)).counts) == []

    def test_positions(self, store: Store, project: Project) -> None:
        """Counters come with the positions of all lanes, from the same moment."""
        other = "f" * 32
        store.record([digested(project, 1)], advance=step(0))
        store.record([], advance=step(0, other))
        store.record([], advance=step(1, other))
        ledger = store.ledger(project.id, since=DAY, until=DAY)
        assert sorted(ledger.positions) == [at(1, LANE), at(2, other)]

    def test_unknown(self, store: Store, project: Project) -> None:
        """A project that is not there has no ledger."""
        with pytest.raises(UnknownProjectError):
            store.ledger(ProjectId(project.id + 1), since=DAY, until=DAY)
