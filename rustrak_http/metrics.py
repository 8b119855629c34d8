"""``/metrics``: figures about the whole server, for Prometheus, whichever of its processes is asked.

They come from the store's counters, the spool's folder, and memory that all processes share. Labels are few and
bounded: projects by id, the first hundred; no names, keys or texts of events.
"""

import logging
import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

import attrs

from rustrak_core.accepted import Outcome
from rustrak_core.errors import RustrakError, UnknownProjectError
from rustrak_core.page import ListQuery
from rustrak_core.ports import Ledger, SpoolStats, Store
from rustrak_core.project import ProjectId
from rustrak_http.board import ChildState
from rustrak_http.exposition import Exposition
from rustrak_http.processes import Usage
from rustrak_http.resources.stats import EVENT_CATEGORIES
from rustrak_http.tallies import BOUNDS_S, Tallies

_log = logging.getLogger("rustrak.metrics")

PROJECTS_MAX = 100
_FRESH_S = 1.0
_ALL_DAYS = (date(1970, 1, 1), date(9999, 12, 31))
_COUNTED = tuple(outcome for outcome in Outcome if outcome not in {Outcome.DISCARDED, Outcome.QUARANTINED})

Samples = list[tuple[dict[str, str], float]]


@attrs.frozen(kw_only=True)
class QuarantineFigures:
    """How much is in quarantine: events, their bytes, and how many had to go for want of room."""

    events: int
    size_bytes: int
    dropped: int


@attrs.frozen(kw_only=True)
class Child:
    """A process of the server: what it is called, and how it is."""

    name: str
    state: Callable[[], ChildState]


class Waiting(Protocol):
    """What is asked of a spool; see `rustrak_core.ports.Spool`."""

    def stats(self) -> SpoolStats:
        """Return how much waits."""
        ...

    def waiting(self) -> int:
        """Return how many events wait."""
        ...


@attrs.frozen(kw_only=True)
class Sources:
    """Where the figures come from.

    Attributes:
        children: The processes that serve and digest.
        usage: What a process uses, by its id; None where the system does not say.
        parent_pid: The process that looks after them.
        quarantine: How much is in quarantine.
        store_bytes: How large the database is; None where that is not known.
    """

    store: Store
    spool: Waiting
    tallies: Tallies
    children: Sequence[Child]
    usage: Callable[[int], Usage | None]
    parent_pid: int
    quarantine: Callable[[], QuarantineFigures]
    store_bytes: Callable[[], int | None]
    clock: Callable[[], datetime]


class Metrics:
    """Gathers the figures. Thread-safe; asked again within a second, or while it gathers, it answers the same."""

    def __init__(self, sources: Sources, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._from = sources
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._text = ""
        self._gathered_at = float("-inf")

    def text(self) -> str:
        """Return the figures in Prometheus' text format.

        What cannot be had just now, as while the database is away, is left out, and said by ``rustrak_scrape_failed``.
        """
        if not self._lock.acquire(blocking=not self._text):  # a database may take its time, and many may ask
            return self._text
        try:
            if self._monotonic() - self._gathered_at >= _FRESH_S:
                self._text = self._gather()
                self._gathered_at = self._monotonic()
            return self._text
        finally:
            self._lock.release()

    def _gather(self) -> str:
        out = Exposition()
        out.gauge("rustrak_build_info", "What runs; always 1.", [(_build(), 1)])
        failed: Samples = []
        for name, section in (
            ("http", self._http),
            ("digest", self._digest),
            ("processes", self._processes),
            ("events", self._events),
            ("spool", self._spool),
            ("quarantine", self._quarantine),
            ("store", self._store),
        ):
            failed.append(({"section": name}, 0))
            try:
                section(out)
            except Exception as error:  # noqa: BLE001 - the other figures are wanted most when something fails
                failed[-1] = ({"section": name}, 1)
                reason = str(error) if isinstance(error, RustrakError) else type(error).__name__
                _log.warning("metrics_incomplete section=%s reason=%s", name, reason)
        out.gauge("rustrak_scrape_failed", "Whether a section of these figures could not be had.", failed)
        return out.text()

    def _http(self, out: Exposition) -> None:
        totals = self._from.tallies.totals()
        out.histogram(
            "rustrak_accept_seconds",
            "How long a request with events took that was accepted, from its last byte until it was on disk.",
            BOUNDS_S,
            totals.accepted,
            totals.accepted_s,
        )
        out.counter(
            "rustrak_http_requests_total",
            "Requests answered, by kind and status.",
            (({"kind": kind, "status": status}, count) for (kind, status), count in totals.requests.items()),
        )

    def _digest(self, out: Exposition) -> None:
        totals = self._from.tallies.totals()
        out.counter("rustrak_digested_events_total", "Events recorded, duplicates among them.", [({}, totals.digested)])
        out.counter("rustrak_digested_batches_total", "Batches in which they were recorded.", [({}, totals.batches)])

    def _processes(self, out: Exposition) -> None:
        states = [({"process": child.name}, child.state()) for child in self._from.children]
        out.gauge("rustrak_process_up", "Whether it runs.", ((of, state.pid is not None) for of, state in states))
        out.counter(
            "rustrak_process_restarts_total", "How often it was started again.", ((of, s.restarts) for of, s in states)
        )
        out.gauge(
            "rustrak_process_heartbeat_age_seconds",
            "How long ago it gave a sign of life.",
            ((of, s.beat_age_s) for of, s in states if s.beat_age_s is not None),
        )
        out.gauge(
            "rustrak_process_waiting",
            "Whether it cannot do its work just now, as while the database is away.",
            ((of, bool(s.said)) for of, s in states),
        )
        pids = [({"process": "parent"}, self._from.parent_pid), *((of, s.pid) for of, s in states if s.pid)]
        uses = [(of, use) for of, pid in pids if (use := self._from.usage(pid)) is not None]
        out.gauge("rustrak_process_resident_memory_bytes", "Memory, shared parts too.", _of(uses, "resident_bytes"))
        out.gauge(
            "rustrak_process_proportional_memory_bytes",
            "Memory, shared parts divided by those who share them: the sum is what the server takes.",
            _of(uses, "proportional_bytes"),
        )
        out.gauge("rustrak_process_open_fds", "Open files and connections.", _of(uses, "open_fds"))

    def _events(self, out: Exposition) -> None:
        ledgers, more = self._ledgers()
        sums = {project: _sums(ledger) for project, ledger in ledgers.items()}
        out.counter(
            "rustrak_events_total",
            "Events by project and by what became of them; sdk_dropped is what SDKs say they dropped themselves.",
            (
                ({"project": str(project), "outcome": outcome.value}, counts.get(outcome, 0))
                for project, counts in sums.items()
                for outcome in _COUNTED
            ),
        )
        out.gauge(
            "rustrak_events_quarantined",
            "Events in quarantine or dropped from it; those given back are no longer among them once digested.",
            (({"project": str(project)}, counts.get(Outcome.QUARANTINED, 0)) for project, counts in sums.items()),
        )
        out.gauge(
            "rustrak_projects_omitted", f"Whether there are more than the {PROJECTS_MAX} projects shown.", [({}, more)]
        )

    def _ledgers(self) -> tuple[dict[ProjectId, Ledger], bool]:
        page = self._from.store.projects(ListQuery(limit=PROJECTS_MAX))
        since, until = _ALL_DAYS
        ledgers: dict[ProjectId, Ledger] = {}
        for project in page.items:
            try:
                ledgers[project.id] = self._from.store.ledger(project.id, since=since, until=until)
            except UnknownProjectError:  # deleted meanwhile
                continue
        return ledgers, page.after is not None

    def _spool(self, out: Exposition) -> None:
        stats = self._from.spool.stats()
        waited = 0.0
        if stats.oldest_at is not None:
            waited = max(0.0, (self._from.clock() - stats.oldest_at).total_seconds())
        for name, text, value in (
            ("bytes", "How much waits to be digested.", stats.size_bytes),
            ("files", "Files that hold it.", stats.segments),
            ("events", "Events that wait to be digested.", self._from.spool.waiting()),
            ("oldest_age_seconds", "How long the oldest of them has waited.", waited),
            ("damaged_files", "Damaged pieces that were set aside.", stats.damaged),
        ):
            out.gauge(f"rustrak_spool_{name}", text, [({}, value)])

    def _quarantine(self, out: Exposition) -> None:
        figures = self._from.quarantine()
        out.gauge("rustrak_quarantine_events", "Events in quarantine.", [({}, figures.events)])
        out.gauge("rustrak_quarantine_bytes", "How large they are.", [({}, figures.size_bytes)])
        out.counter(
            "rustrak_quarantine_dropped_total", "Events that had to go, for want of room.", [({}, figures.dropped)]
        )

    def _store(self, out: Exposition) -> None:
        size = self._from.store_bytes()
        if size is not None:
            out.gauge("rustrak_store_bytes", "How large the database is.", [({}, size)])


def _build() -> dict[str, str]:
    try:
        number = version("rustrak")
    except PackageNotFoundError:  # run from a tree that was never installed
        number = ""
    return {"version": number, "python": platform.python_version()}


def _of(uses: Iterable[tuple[dict[str, str], Usage]], name: str) -> Iterator[tuple[dict[str, str], float]]:
    for of, use in uses:
        value = getattr(use, name)
        if value is not None:
            yield of, value


def _sums(ledger: Ledger) -> dict[Outcome, int]:
    sums: dict[Outcome, int] = {}
    for count in ledger.counts:
        if count.category in EVENT_CATEGORIES or count.outcome is Outcome.SDK_DROPPED:
            sums[count.outcome] = sums.get(count.outcome, 0) + count.quantity
    return sums
