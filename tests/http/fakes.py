"""Stand-ins for what the application is given."""

from rustrak_core.accepted import Accepted, AcceptedEvent, SpoolPosition
from rustrak_core.ports import Spool, SpoolStats


class FakeSpool(Spool):
    """A spool in memory, with nobody to digest it."""

    def __init__(self) -> None:
        self.accepted: list[Accepted] = []

    def accept(self, accepted: Accepted) -> None:
        self.accepted.append(accepted)

    def events(self) -> list[AcceptedEvent]:
        return [event for accepted in self.accepted for event in accepted.events]

    def stats(self) -> SpoolStats:
        return SpoolStats(size_bytes=0, segments=0)

    def queued(self, project_id: int, positions: object) -> dict[object, int]:  # type: ignore[override]
        assert isinstance(positions, (list, tuple))
        assert all(isinstance(position, SpoolPosition) for position in positions)
        days = [event.received_at.date() for event in self.events() if event.project_id == project_id]
        return {day: days.count(day) for day in days}

    def waiting(self) -> int:
        return len(self.events())

    def check(self) -> None:
        """Say that all is well."""

    def close(self) -> None:
        """Nothing to release."""
