"""`/metrics`: what Prometheus' own parser reads in it, and that it tells no secrets."""

import itertools
import multiprocessing
import re
import threading
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from rustrak_core.accepted import Accepted, AcceptedEvent, Count, Outcome
from rustrak_core.errors import StoreUnavailableError
from rustrak_core.ports import SpoolStats
from rustrak_http.board import Board
from rustrak_http.exposition import CONTENT_TYPE, Exposition
from rustrak_http.metered import MeteredApp, MeteredLane, MetricsApp
from rustrak_http.metrics import PROJECTS_MAX, Child, Metrics, QuarantineFigures, Sources
from rustrak_http.processes import Usage, usage
from rustrak_http.request_id import HEADER
from rustrak_http.tallies import BOUNDS_S, KINDS, Tallies
from rustrak_storage.factory import open_store
from tests.http.fakes import FakeSpool

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
KEY = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Figures:
    """Return each sample by name and labels, as Prometheus' parser reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(figures: Figures, name: str, **labels: str) -> float:
    return figures[name, tuple(sorted(labels.items()))]


class Spool(FakeSpool):
    def stats(self) -> SpoolStats:
        return SpoolStats(size_bytes=12_345, segments=2, oldest_at=NOW - timedelta(seconds=90), damaged=3)


@pytest.fixture
def sources() -> Sources:
    board = Board(2)
    board.started(0, 4711, restarts=3)
    board.beat(0)
    return Sources(
        store=open_store("memory://"),
        spool=Spool(),
        tallies=Tallies(2),
        children=[
            Child(name="http-0", state=lambda: board.state(0)),
            Child(name="digest-0", state=lambda: board.state(1)),
        ],
        usage=lambda pid: Usage(resident_bytes=pid * 1000, proportional_bytes=None, open_fds=9) if pid else None,
        parent_pid=42,
        quarantine=lambda: QuarantineFigures(events=2, size_bytes=99, dropped=1),
        store_bytes=lambda: 8192,
        clock=lambda: NOW,
    )


def event(project: Any, number: int) -> AcceptedEvent:
    return AcceptedEvent(
        project_id=project.id, event_id=UUID(int=number), received_at=NOW, payload=b'{"message":"secret text"}'
    )


def test_all_of_it(sources: Sources) -> None:
    """What was promised is there, and right."""
    store = sources.store
    project = store.create_project("secret name", sentry_key=KEY, now=NOW)
    counts = [
        Count(project_id=project.id, day=NOW.date(), category="error", outcome=Outcome.STORED, quantity=7),
        Count(project_id=project.id, day=NOW.date() - timedelta(3), category="error", outcome=Outcome.STORED),
        Count(project_id=project.id, day=NOW.date(), category="session", outcome=Outcome.DISCARDED, quantity=100),
        Count(project_id=project.id, day=NOW.date(), category="error", outcome=Outcome.QUARANTINED, quantity=2),
        Count(project_id=project.id, day=NOW.date(), category="span", outcome=Outcome.SDK_DROPPED, reason="secret why"),
    ]
    store.record([], counts=counts)
    assert isinstance(sources.spool, Spool)
    sources.spool.accept(Accepted(events=[event(project, 1), event(project, 2)]))
    sources.tallies.accepted(0, 0.003)
    sources.tallies.requested(0, "ingestion", 200)
    sources.tallies.digested(1, 500)
    text = Metrics(sources).text()
    found = parsed(text)
    assert value(found, "rustrak_events_total", project="1", outcome="stored") == 8
    assert value(found, "rustrak_events_total", project="1", outcome="sdk_dropped") == 1
    assert value(found, "rustrak_events_total", project="1", outcome="shed") == 0
    assert value(found, "rustrak_events_quarantined", project="1") == 2
    assert value(found, "rustrak_accept_seconds_count") == 1
    assert value(found, "rustrak_accept_seconds_sum") == 0.003
    assert value(found, "rustrak_http_requests_total", kind="ingestion", status="2xx") == 1
    assert value(found, "rustrak_digested_events_total") == 500
    assert value(found, "rustrak_digested_batches_total") == 1
    assert value(found, "rustrak_spool_bytes") == 12_345
    assert value(found, "rustrak_spool_files") == 2
    assert value(found, "rustrak_spool_events") == 2
    assert value(found, "rustrak_spool_oldest_age_seconds") == 90
    assert value(found, "rustrak_spool_damaged_files") == 3
    assert value(found, "rustrak_quarantine_events") == 2
    assert value(found, "rustrak_quarantine_dropped_total") == 1
    assert value(found, "rustrak_process_up", process="http-0") == 1
    assert value(found, "rustrak_process_up", process="digest-0") == 0
    assert value(found, "rustrak_process_restarts_total", process="http-0") == 3
    assert value(found, "rustrak_process_heartbeat_age_seconds", process="http-0") < 60
    assert value(found, "rustrak_process_resident_memory_bytes", process="parent") == 42_000
    assert value(found, "rustrak_process_open_fds", process="http-0") == 9
    assert value(found, "rustrak_store_bytes") == 8192
    assert [labels for name, labels in found if name == "rustrak_build_info"]
    assert not any(number for (name, _), number in found.items() if name == "rustrak_scrape_failed")
    for secret in ("secret", KEY, KEY.replace("-", "")):
        assert secret not in text


def test_labels_are_bounded(sources: Sources) -> None:
    """Only so many projects are shown, and that there are more is said."""
    for number in range(PROJECTS_MAX + 1):
        sources.store.create_project("p", sentry_key=str(UUID(int=number + 1)), now=NOW)
    found = parsed(Metrics(sources).text())
    projects = {dict(labels)["project"] for name, labels in found if name == "rustrak_events_total"}
    assert len(projects) == PROJECTS_MAX
    assert value(found, "rustrak_projects_omitted") == 1


def test_what_cannot_be_had_is_left_out(sources: Sources, caplog: pytest.LogCaptureFixture) -> None:
    """While the database is away the other figures are there, and that some are not is one of them."""

    def away(*_: Any) -> Any:
        raise StoreUnavailableError("the database cannot be reached")

    sources.store.projects = away  # type: ignore[assignment, method-assign]
    found = parsed(Metrics(sources).text())
    assert value(found, "rustrak_scrape_failed", section="events") == 1
    assert value(found, "rustrak_scrape_failed", section="spool") == 0
    assert not any(name == "rustrak_events_total" for name, _ in found)
    assert value(found, "rustrak_spool_bytes") == 12_345
    assert "metrics_incomplete section=events" in caplog.text


def test_a_flood_of_scrapes_is_one(sources: Sources) -> None:
    """Asked again within a second, nobody is asked; later they are."""
    asked = 0

    def size() -> int:
        nonlocal asked
        asked += 1
        return 1

    now = 0.0
    metrics = Metrics(attrs.evolve(sources, store_bytes=size), monotonic=lambda: now)
    for now in (0.0, 0.5, 0.9, 1.1, 1.2):  # noqa: B007 - the clock reads it
        metrics.text()
    assert asked == 2


def test_a_slow_database_holds_one_scrape(sources: Sources) -> None:
    """While figures are gathered, whoever else asks gets the last ones at once, and no thread waits."""
    gathering, go_on = threading.Event(), threading.Event()
    slow = False

    def size() -> int:
        if slow:
            gathering.set()
            assert go_on.wait(30)
        return 1

    clock = itertools.count(step=10)
    metrics = Metrics(attrs.evolve(sources, store_bytes=size), monotonic=lambda: float(next(clock)))
    before = metrics.text()
    slow = True
    thread = threading.Thread(target=metrics.text)
    thread.start()
    assert gathering.wait(30)
    assert metrics.text() == before
    go_on.set()
    thread.join(30)
    assert not thread.is_alive()


def test_the_page_names_them_all(sources: Sources) -> None:
    """docs/reference/metrics.md has a line for each."""
    sources.store.create_project("p", sentry_key=KEY, now=NOW)
    sources = attrs.evolve(sources, usage=lambda _: Usage(resident_bytes=1, proportional_bytes=1, open_fds=1))
    page = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(rustrak_\w+)`", page, re.MULTILINE))
    shown = re.findall(r"^# TYPE (\w+)", Metrics(sources).text(), re.MULTILINE)
    assert set(shown) == told


class TestTallies:
    """Counts in memory that processes share."""

    def test_processes_and_threads_add_up(self) -> None:
        """Each has a slot; the sum is of all, also of those that are no more."""
        tallies = Tallies(3)
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=_count, args=(tallies, slot)) for slot in range(3)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn where threads run, as pytest's may
            for child in children:
                child.start()
        for child in children:
            child.join(30)
        totals = tallies.totals()
        assert totals.digested == 3000
        assert totals.batches == 300
        assert totals.requests["api", "5xx"] == 300
        assert sum(totals.accepted) == 300
        assert totals.accepted_s == pytest.approx(300 * 0.004)

    @given(st.lists(st.floats(0, 1e6), max_size=50))
    def test_buckets(self, times: list[float]) -> None:
        """A duration is in the first bucket whose bound it does not exceed."""
        tallies = Tallies(1)
        for seconds in times:
            tallies.accepted(0, seconds)
        counts = tallies.totals().accepted
        for number, bound in enumerate(BOUNDS_S):
            assert sum(counts[: number + 1]) == sum(seconds <= bound for seconds in times)
        assert sum(counts) == len(times)

    @pytest.mark.parametrize(
        ("status", "told"),
        [(200, "2xx"), (101, "2xx"), (304, "3xx"), (404, "4xx"), (429, "429"), (503, "5xx"), (999, "5xx")],
    )
    def test_statuses(self, status: int, told: str) -> None:
        """Every status has its place."""
        tallies = Tallies(1)
        tallies.requested(0, "other", status)
        assert [key for key, count in tallies.totals().requests.items() if count] == [("other", told)]


def _count(tallies: Tallies, slot: int) -> None:
    for _ in range(100):
        tallies.digested(slot, 10)
        tallies.requested(slot, "api", 500)
        tallies.accepted(slot, 0.004)


class TestExposition:
    """Prometheus' text format."""

    @given(st.text(), st.floats(allow_nan=False), st.text(st.characters(exclude_characters="\r\x85\u2028\u2029")))
    def test_whatever_it_holds_is_read_back(self, label: str, number: float, text: str) -> None:
        """Labels, texts and numbers come back as they were."""
        label = "".join(char for char in label if char.isprintable() or char in '\n"\\')
        out = Exposition()
        out.gauge("some_name", text, [({"label": label}, number)])
        (family,) = text_string_to_metric_families(out.text())
        (sample,) = family.samples
        assert (sample.labels, sample.value) == ({"label": label}, number)

    def test_no_bad_names(self) -> None:
        """A name that no scraper reads is a mistake of ours."""
        with pytest.raises(ValueError, match="no name"):
            Exposition().gauge("a b", "", [({}, 1)])

    def test_nothing_is_nothing(self) -> None:
        """A family without samples is left out."""
        out = Exposition()
        out.counter("a_total", "", [])
        assert out.text() == ""


def ask(app: Any, path: str, method: str = "GET", **environ: str) -> tuple[int, dict[str, str], bytes]:
    said: list[Any] = []
    body = b"".join(
        app(
            {"REQUEST_METHOD": method, "PATH_INFO": path, **environ},
            lambda status, headers: said.extend([status, headers]),
        )
    )
    return int(said[0][:3]), dict(said[1]), body


class TestAnswering:
    """What answers ``/metrics``, and what counts."""

    def test_on_a_port_of_its_own(self) -> None:
        """The figures and nothing else; each answer bears the headers that all bear."""
        app = MetricsApp(lambda: "figures\n")
        for path in ("/metrics", "/metrics/"):
            status, headers, body = ask(app, path, HTTP_X_REQUEST_ID="scrape-1")
            assert (status, headers["Content-Type"], body) == (200, CONTENT_TYPE, b"figures\n")
            assert headers[HEADER] == "scrape-1"
        assert ask(app, "/metrics", "HEAD")[::2] == (200, b"")
        assert ask(app, "/metrics", "POST")[0] == 405
        status, headers, _ = ask(app, "/api/projects")
        assert status == 404
        assert headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(
        ("path", "kind"), [("/api/1/envelope/", "ingestion"), ("/api/projects", "api"), ("/health", "other")]
    )
    def test_requests_are_counted(self, path: str, kind: str) -> None:
        """By kind and status; those of ingestion that were accepted with how long they took."""
        tallies, now = Tallies(1), iter((1.0, 1.5))

        def app(_environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
            start_response("200 OK", [])
            return [b"{}"]

        metered = MeteredApp(app, tallies, 0, figures=lambda: "figures", monotonic=lambda: next(now))
        assert ask(metered, path, "POST") == (200, {}, b"{}")
        totals = tallies.totals()
        assert [key for key, count in totals.requests.items() if count] == [(kind, "2xx")]
        assert totals.accepted_s == (0.5 if kind == "ingestion" else 0)
        assert kind in KINDS
        assert ask(metered, "/metrics")[2] == b"figures"

    def test_off_unless_asked(self) -> None:
        """Without figures the path is the application's to answer."""
        app = MeteredApp(MetricsApp(lambda: "the application"), Tallies(1), 0)
        assert ask(app, "/metrics")[2] == b"the application"

    @pytest.mark.parametrize("answer", [b"{}", None])
    def test_the_express_lane_is_counted(self, answer: bytes | None) -> None:
        """When it is on disk; what goes the long way after all is counted there."""

        class Inner:
            pushed = 0

            def take(self, _sender: Any, _body: bytes, _addr: Any, answered: Callable[[bytes | None], None]) -> bool:
                answered(answer)
                return True

            def push(self) -> None:
                self.pushed += 1

        inner, tallies = Inner(), Tallies(1)
        got: list[bytes | None] = []
        now = iter((1.0, 1.02))
        lane = MeteredLane(inner, tallies, 0, monotonic=lambda: next(now))  # type: ignore[arg-type]
        assert lane.take(None, b"", None, got.append)  # type: ignore[arg-type]
        lane.push()
        assert (got, inner.pushed) == ([answer], 1)
        assert tallies.totals().accepted_s == (0.02 if answer else 0)
        assert tallies.totals().requests["ingestion", "2xx"] == (1 if answer else 0)


def test_usage_of_this_process() -> None:
    """Linux tells what a process uses; of one that is not there nothing is told."""
    import os

    found = usage(os.getpid())
    if Path("/proc/self/statm").exists():
        assert found is not None
        assert found.resident_bytes is not None
        assert found.resident_bytes > 1 << 20
        assert found.open_fds is not None
        assert found.open_fds >= 3
    assert usage(2**22 + 1) is None
    assert usage(os.getpid(), proc=Path("/nothing")) is None
