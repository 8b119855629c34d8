"""What the spool's tests are made of."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import attrs

from rustrak_core.accepted import Accepted, AcceptedEvent, Count, Outcome, SpoolPosition
from rustrak_core.project import ProjectId
from rustrak_storage.spool import DirectorySpoolReader, Presence
from rustrak_storage.spool.machine import Machine

NOW = datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=UTC)
TODAY = NOW.date()
FREE_BYTES = 1


class ManualClock:
    """Monotonic seconds that move when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def event(number: int, *, project: int = 1, size: int = 100, received_at: datetime = NOW) -> AcceptedEvent:
    payload = (b'{"n":%d}' % number).ljust(size)
    return AcceptedEvent(
        project_id=ProjectId(project), event_id=UUID(int=number), received_at=received_at, payload=payload
    )


def failure(number: int, kind: str, *, size: int = 1000) -> Accepted:
    """Return what brings an event that is grouped by *kind* alone."""
    payload = (b'{"message":"it broke","fingerprint":["%s"]}' % kind.encode()).ljust(size)
    return bringing(attrs.evolve(event(number), payload=payload))


def bringing(*events: AcceptedEvent, counts: Sequence[Count] = ()) -> Accepted:
    return Accepted(events=events, counts=tuple(counts))


def accepted(number: int, **how: object) -> Accepted:
    return bringing(event(number, **how))  # type: ignore[arg-type]


def count(quantity: int = 1, *, category: str = "session", reason: str = "", day: date = TODAY) -> Count:
    return Count(
        project_id=ProjectId(1), day=day, category=category, outcome=Outcome.DISCARDED, reason=reason, quantity=quantity
    )


def drain(
    reader: DirectorySpoolReader, *, after: SpoolPosition | None = None, forget: bool = False, max_events: int = 1000
) -> list[Accepted]:
    """Return all that there is, lane by lane, each from its start or from *after*."""
    found: list[Accepted] = []
    for lane in reader.lanes():
        position = after if after is not None and after.lane == lane else None
        while batch := reader.read(lane, after=position, max_events=max_events, max_bytes=1 << 20):
            assert batch.advance.start == position
            found += batch.accepted
            position = batch.advance.end
            if forget:
                reader.forget(position)
    return found


def numbers(found: list[Accepted]) -> list[int]:
    return [each.event_id.int for one in found for each in one.events]


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*/*.seg"))


@contextmanager
def used_by(folder: Path, owner: Machine) -> Iterator[None]:
    """Have another machine say that it uses a spool's folder, again and again."""
    over = threading.Event()
    other = Presence(folder, me=owner)
    other.take()

    def run() -> None:
        while not over.wait(0.01):
            other.take()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
