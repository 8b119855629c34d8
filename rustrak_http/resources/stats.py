"""``/api/projects/{project_id}/stats``: what became of every event, day by day."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import attrs
import falcon

from rustrak_core.accepted import EVENT_OUTCOMES, Count, Outcome, SpoolPosition
from rustrak_core.ports import CounterStore, Ledger, Spool
from rustrak_core.project import ProjectId
from rustrak_http.answers import answer
from rustrak_http.paths import project_id
from rustrak_http.query import day

_RANGE_DAYS = 30
_TRIES = 5
EVENT_CATEGORIES = frozenset({"default", "error", "security"})


class Queue(Protocol):
    """What can tell how many events wait, as a spool can."""

    def queued(self, project_id: ProjectId, positions: Sequence[SpoolPosition]) -> dict[dt.date, int]:
        """See `rustrak_core.ports.Spool.queued`."""
        ...


@attrs.define(kw_only=True)
class _Day:
    outcomes: dict[str, int] = attrs.Factory(lambda: dict.fromkeys(EVENT_OUTCOMES, 0))
    sdk_dropped: dict[str, int] = attrs.Factory(dict)
    queued: int = 0


class StatsResource:
    """``/api/projects/{project_id}/stats``: counters that add up.

    For each day, received = stored + duplicate + filtered + rate_limited + invalid + too_large + shed + deleted +
    quarantined + queued.
    """

    def __init__(self, store: CounterStore, *, spool: Spool | None, clock: Callable[[], dt.datetime]) -> None:
        self._store = store
        self._spool = spool
        self._clock = clock

    def on_get(self, req: falcon.Request, resp: falcon.Response, project_id: str) -> None:
        """Answer with a row for each day that has anything, the newest first."""
        project = _project_id(project_id)
        since, until = day_range(day(req, "since"), day(req, "until"), self._clock().astimezone(dt.UTC).date())
        answer(resp, {"data": stats_rows(self._store, self._spool, project, since=since, until=until)})


def stats_rows(
    store: CounterStore, spool: Queue | None, project: ProjectId, *, since: dt.date, until: dt.date
) -> list[dict[str, Any]]:
    """Return a row for each day from *since* to *until* that has anything, the newest first; see API.md, Projects."""
    ledger, queued = _read(store, spool, project, since, until)
    days = _by_day(ledger.counts)
    for date, number in queued.items():
        if since <= date <= until and number:
            days.setdefault(date, _Day()).queued = number
    return [_to_json(date, days[date]) for date in sorted(days, reverse=True)]


def _read(
    store: CounterStore, spool: Queue | None, project: ProjectId, since: dt.date, until: dt.date
) -> tuple[Ledger, dict[dt.date, int]]:
    """Return the counters, and how many events wait behind the positions that were read with them.

    Between the two the worker may record a batch and remove its file, so that those events would be in neither: the
    counters are read again until the positions stand still, a few times at most.
    """
    ledger = store.ledger(project, since=since, until=until)
    if spool is None:
        return ledger, {}
    queued = spool.queued(project, ledger.positions)
    for _ in range(_TRIES):
        again = store.ledger(project, since=since, until=until)
        if again.positions == ledger.positions:
            break
        ledger, queued = again, spool.queued(project, again.positions)
    return ledger, queued


_project_id = project_id  # falcon gives path parameters by name, and that name is taken within the methods


def day_range(since: dt.date | None, until: dt.date | None, today: dt.date) -> tuple[dt.date, dt.date]:
    """Return the first and the last day asked for, today and 30 days by default; the last may come before the first."""
    until = until or max(today, since or today)
    return since or dt.date.fromordinal(max(1, until.toordinal() - _RANGE_DAYS + 1)), until


def _by_day(counts: Iterable[Count]) -> dict[dt.date, _Day]:
    days: dict[dt.date, _Day] = {}
    for count in counts:
        row = days.setdefault(count.day, _Day())
        if count.outcome is Outcome.SDK_DROPPED:
            row.sdk_dropped[count.reason] = row.sdk_dropped.get(count.reason, 0) + count.quantity
        elif count.category in EVENT_CATEGORIES and count.outcome.value in row.outcomes:
            row.outcomes[count.outcome.value] += count.quantity
    return days


def _to_json(date: dt.date, row: _Day) -> dict[str, Any]:
    return {
        "day": date.isoformat(),
        "received": sum(row.outcomes.values()) + row.queued,
        **row.outcomes,
        "queued": row.queued,
        "sdk_dropped": row.sdk_dropped,
    }
