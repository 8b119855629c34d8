"""Which events are repeats, and what is shed of them."""

from datetime import UTC, datetime
from uuid import UUID

import attrs

from rustrak_core.accepted import Accepted, AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.digested import Digested
from rustrak_core.project import ProjectId
from rustrak_storage.spool.shedding import LATELY_S, Shedding

NOW = datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=UTC)


def event(number: int, payload: bytes, *, project: int = 1) -> AcceptedEvent:
    return AcceptedEvent(project_id=ProjectId(project), event_id=UUID(int=number), received_at=NOW, payload=payload)


def broken(number: int, what: str, *, project: int = 1, size: int = 1000) -> AcceptedEvent:
    """Return an event of *size* bytes that is grouped by *what*."""
    payload = b'{"message":"m","fingerprint":["%s"]}' % what.encode()
    return event(number, payload.ljust(size), project=project)


def seen(shedding: Shedding, *events: AcceptedEvent) -> list[bool]:
    """Return, of each in turn, whether it was shed; what was kept whole is remembered."""
    found = []
    for each in events:
        lighter = shedding.lighten(Accepted(events=(each,)))
        shedding.remember(lighter.new)
        found.append(lighter.accepted.events[0].is_shed)
    return found


def test_repeats() -> None:
    """A repeat is of the same error in the same project, and of one that was said to be kept."""
    shedding = Shedding(monotonic=float)
    first, other = broken(1, "a"), broken(2, "a", project=2)
    assert not shedding.lighten(Accepted(events=(first,))).accepted.events[0].is_shed
    assert seen(shedding, first, other, broken(3, "b"), broken(4, "a")) == [False, False, False, True]
    lighter = shedding.lighten(Accepted(events=(broken(5, "a"),)))
    assert lighter.only_repeats
    assert lighter.new == ()
    assert len(lighter.accepted.events[0].payload) < 300
    shedding.forget()
    assert seen(shedding, broken(6, "a")) == [False]


def test_what_would_save_nothing_stays() -> None:
    """A payload that is smaller than its columns is kept; it is a repeat all the same, and dispensable."""
    shedding = Shedding(monotonic=float)
    assert seen(shedding, broken(1, "a", size=0), broken(2, "a", size=0)) == [False, False]
    assert shedding.lighten(Accepted(events=(broken(3, "a", size=0),))).only_repeats


def test_lately() -> None:
    """After a minute an error is kept whole once more; those kept longest ago are forgotten first."""
    now = 0.0
    shedding = Shedding(monotonic=lambda: now, known_max=2)
    assert seen(shedding, broken(1, "a"), broken(2, "a")) == [False, True]
    now = LATELY_S
    assert seen(shedding, broken(3, "a"), broken(4, "a")) == [False, True]
    assert seen(shedding, broken(5, "b"), broken(6, "c"), broken(7, "b"), broken(8, "a")) == [False, False, True, False]


def test_what_cannot_be_digested() -> None:
    """It is kept, and counts as new; the digest worker will say what it is."""

    def failing(_: AcceptedEvent) -> Digested:
        raise RuntimeError("a fault of ours")

    hostile = event(1, b"[" * 500)
    for shedding in (Shedding(monotonic=float, digesting=failing), Shedding(monotonic=float)):
        lighter = shedding.lighten(Accepted(events=(hostile,)))
        assert lighter.accepted.events == (hostile,)
        assert not lighter.only_repeats


def test_a_surrogate_is_kept_whole() -> None:
    """What columns could not carry as JSON leaves the payload where it is."""
    odd = broken(2, "a")
    digested = attrs.evolve(digest(odd), message="\ud800")
    shedding = Shedding(monotonic=float, digesting=lambda _: digested)
    assert seen(shedding, odd, odd) == [False, False]
