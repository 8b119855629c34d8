"""What an SDK, or our queue, had to drop: counted until the store can be told."""

import threading
from collections import Counter
from datetime import date

from rustrak_core.accepted import Count, Outcome
from rustrak_core.project import ProjectId

KINDS_MAX = 200


class Losses:
    """Counts by category and reason; thread-safe. Kinds beyond the first 200 count as ``other``."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all; for the child of a fork, since the parent reports what was lost before it."""
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, category: str, reason: str, quantity: int = 1) -> None:
        """Count *quantity* more."""
        kind = (category, reason)
        with self._lock:
            self._counts[kind if len(self._counts) < KINDS_MAX or kind in self._counts else ("other", "other")] += (
                quantity
            )

    def put_back(self, counts: tuple[Count, ...]) -> None:
        """Take back what `take` returned, since it could not be recorded."""
        for count in counts:
            self.add(count.category, count.reason, count.quantity)

    def take(self, project_id: ProjectId, day: date) -> tuple[Count, ...]:
        """Return all that was counted since the last call, as counts of a project and day."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        return tuple(
            Count(
                project_id=project_id,
                day=day,
                category=category,
                outcome=Outcome.SDK_DROPPED,
                reason=reason,
                quantity=quantity,
            )
            for (category, reason), quantity in taken.items()
        )

    def __bool__(self) -> bool:
        return bool(self._counts)
