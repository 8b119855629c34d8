"""Every event accounted for (API.md, Projects): what tests hold against the rows of ``/stats``."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

OUTCOMES = (
    "stored",
    "duplicate",
    "filtered",
    "rate_limited",
    "invalid",
    "too_large",
    "shed",
    "deleted",
    "quarantined",
    "queued",
)
"""What adds up to ``received``."""


def totals(rows: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return what became of events, over all days; the equation is held for each day by itself.

    Args:
        rows: The ``data`` of ``/api/projects/{id}/stats``.
    """
    total: Counter[str] = Counter()
    for row in rows:
        parts = {name: int(row[name]) for name in OUTCOMES}
        assert all(number >= 0 for number in parts.values()), row
        assert row["received"] == sum(parts.values()), row
        total.update(parts)
    return total


def require(rows: Iterable[Mapping[str, Any]], *, sent: int, **outcomes: int) -> None:
    """Assert that *sent* events are accounted for, and as many had an outcome as *outcomes* say."""
    total = totals(rows)
    assert total.total() == sent, dict(total)
    assert {name: total[name] for name in outcomes} == outcomes
