"""Every event accounted for: the equation of issue statistics, and a ledger of what was acknowledged."""

import collections
import datetime as dt
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from tests import ledger
from tests.serve.support import Served


def days(served: Served) -> list[dict[str, Any]]:
    """Return the statistics of the first project, a row a day; a clock that was ahead may have put some in tomorrow."""
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    rows: list[dict[str, Any]] = served.get(f"/api/projects/{served.project_id}/stats?until={tomorrow}")["data"]
    return rows


def totals(served: Served) -> collections.Counter[str]:
    """Return the statistics of the first project, over all days; the equation is held."""
    return ledger.totals(days(served))


def faults_in(served: Served, stored: int | None = None) -> list[str]:
    """Return what does not add up, day by day; also where not *stored* events are stored and none is queued."""
    faults = []
    for row in days(served):
        sum_of_all = sum(row[name] for name in ledger.OUTCOMES)
        if row["received"] != sum_of_all:
            faults.append(f"{row['day']}: received {row['received']}, accounted for {sum_of_all}: {row}")
    if faults:
        return faults
    found = totals(served)
    if stored is not None and (found["stored"], found["queued"]) != (stored, 0):
        faults.append(f"{stored} events should be stored: {dict(found)}")
    return faults


def stored_ids(served: Served) -> collections.Counter[UUID]:
    """Return the ids of all events of the first project, and how often each is there."""
    return collections.Counter(
        UUID(row["id"])
        for issue in served.pages(f"/api/projects/{served.project_id}/issues")
        for row in served.pages(f"/api/issues/{issue['id']}/events")
    )


def hold(served: Served, acknowledged: Iterable[UUID], *, perhaps: Iterable[UUID] = (), within_s: float = 120) -> None:
    """Wait until nothing is queued, and hold the ledger: all *acknowledged* are stored, once, and little else.

    Args:
        perhaps: Events that were sent and got no answer, or a refusal: they may be stored, once.
    """
    must = set(acknowledged)
    served.wait_for(lambda: totals(served)["queued"] == 0, "end of the queue", within_s=within_s)
    served.wait_for(lambda: totals(served)["stored"] >= len(must), f"{len(must)} stored events", within_s=within_s)
    assert not faults_in(served)
    found = stored_ids(served)
    assert not must - found.keys(), f"{len(must - found.keys())} acknowledged events are lost"
    assert not found.keys() - must - set(perhaps), "events that nobody sent"
    assert set(found.values()) <= {1}, "events stored twice"
    assert totals(served)["stored"] == len(found) == served.project()["event_count"]
