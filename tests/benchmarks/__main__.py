"""``python -m tests.benchmarks``: measure, print tables, and write the same as JSON into ``bench-results/``.

``python -m tests.benchmarks grouping`` scores the grouping mechanisms, ``similar`` the finding of similar issues.

Medians of several runs, with the machine's load average beside them. Nothing is asserted: figures are for reading.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from rustrak_http.cli.serve import PROCESSES_DEFAULT
from tests.benchmarks import dataset, grouping, similar
from tests.benchmarks.backlog import Backlog
from tests.benchmarks.bodies import write_bodies
from tests.benchmarks.events import mean_payload_bytes
from tests.benchmarks.ingest import ingest, null_server
from tests.benchmarks.load import WRK, send
from tests.benchmarks.memory import memory
from tests.benchmarks.processes import environment
from tests.benchmarks.rates import at_rates
from tests.benchmarks.recording import recordings
from tests.benchmarks.report import machine, median_ingest, median_load, medians, tables, write_docs
from tests.benchmarks.routes import routes
from tests.databases import new_database, text_of

SERVERS = ("waitress", "granian")
PARTS = ("burst", "rates", "backlog", "memory", "recording", "routes")
QUICK: dict[str, Any] = {
    "requests": 100,
    "connections": 4,
    "rates": (50, 100),
    "seconds": 0.5,
    "backlogs": (200,),
    "memory_rate": 50,
    "large": 4,
    "large_mib": 2,
    "recorded": 1600,
    "events": 300,
    "route_requests": 2,
    "runs": 1,
    "long_runs": 1,
}
"""Settings of ``--quick``."""


@attrs.frozen(kw_only=True)
class Settings:
    """What to measure, as the options say."""

    parts: tuple[str, ...]
    servers: tuple[str, ...]
    processes: int
    workers: int
    requests: int
    connections: int
    wrk: bool
    runs: int
    long_runs: int
    rates: tuple[int, ...]
    seconds: float
    backlogs: tuple[int, ...]
    memory_rate: int
    large: int
    large_mib: int
    recorded: int
    events: int
    route_requests: int


@click.group(invoke_without_command=True)
@click.pass_context
@click.option("--part", "parts", multiple=True, default=PARTS, type=click.Choice(PARTS), help="What to measure; all.")
@click.option("--server", "servers", multiple=True, default=["all"], type=click.Choice([*SERVERS, "all"]))
@click.option("--processes", default=PROCESSES_DEFAULT, show_default=True, help="HTTP processes.")
@click.option("--workers", default=PROCESSES_DEFAULT, show_default=True, help="Digest workers.")
@click.option("--requests", default=10_000, show_default=True, help="Events in a burst.")
@click.option("--connections", default=64, show_default=True)
@click.option("--wrk/--no-wrk", default=WRK is not None, help="Bursts with wrk; by default where it is installed.")
@click.option("--runs", default=5, show_default=True, help="Bursts, of which the median is shown.")
@click.option("--long-runs", default=3, show_default=True, help="Likewise of fixed rates and backlogs.")
@click.option("--rate", "rates", multiple=True, default=[1000, 2000, 4000], show_default=True, help="Events a second.")
@click.option("--seconds", default=5.0, show_default=True, help="How long each rate is held.")
@click.option("--backlog", "backlogs", multiple=True, default=[10_000, 100_000], show_default=True, help="Events.")
@click.option("--memory-rate", default=2000, show_default=True, help="Events a second while memory is looked at.")
@click.option("--large", default=100, show_default=True, help="Large bodies at once.")
@click.option("--large-mib", default=6, show_default=True, help="Their size.")
@click.option("--recorded", default=12_000, show_default=True, help="Events that each recording process records.")
@click.option("--events", default=100_000, show_default=True, help="Events behind the routes.")
@click.option("--route-requests", default=100, show_default=True, help="Requests of a route.")
@click.option("--quick", is_flag=True, help="Few of everything: figures mean nothing then.")
@click.option("--docs", type=click.Path(path_type=Path, dir_okay=False), help="Page to write the tables into.")
@click.option("--out", default="bench-results", show_default=True, type=click.Path(path_type=Path), help="Folder.")
def main(context: click.Context, /, *, quick: bool, docs: Path | None, out: Path, **options: Any) -> None:
    """Measure accepting, digesting, memory, size and latencies of a real `rustrak serve` on loopback.

    `grouping` instead measures how good the grouping is, `similar` how good similar issues are.
    """
    if context.invoked_subcommand:
        return
    settings = Settings(**(options | QUICK if quick else options))
    report = measure(settings)
    click.echo(machine(report))
    for table in tables(report):
        click.echo("\n" + table.text())
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{report['at'].replace(':', '')}.json"
    file.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(f"\n{file}")
    if docs is not None:
        write_docs(docs, report)
        click.echo(docs)


def measure(settings: Settings) -> dict[str, Any]:
    """Measure, and return what came of it; whoever interrupts it gets what was measured so far."""
    begun = time.monotonic()

    def tell(what: str) -> None:
        click.echo(f"{time.monotonic() - begun:5.0f} s  {what}", err=True)

    report: dict[str, Any] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "environment": environment(),
        "settings": attrs.asdict(settings) | {"generator": "wrk" if settings.wrk else "Python"},
        "payload_bytes": mean_payload_bytes(),
        "servers": {},
        "backlogs": [],
        "recordings": [],
        "routes": {},
        "routes_postgresql": {},
    }
    with tempfile.TemporaryDirectory(prefix="rustrak-bench-") as folder:
        try:
            _measure_into(report, Path(folder), settings, tell)
        except KeyboardInterrupt:
            tell("interrupted")
    return report | {"took_s": time.monotonic() - begun}


def _measure_into(report: dict[str, Any], place: Path, settings: Settings, tell: Callable[[str], None]) -> None:
    parts = {"burst": _bursts, "rates": _rates, "memory": _memory}
    if parts.keys() & set(settings.parts):
        tell("making events")
        write_bodies(place / "bodies", _bodies_needed(settings))
        for name in SERVERS if "all" in settings.servers else dict.fromkeys(settings.servers):
            figures: dict[str, Any] = report["servers"].setdefault(name, {})
            for part in [part for part in parts if part in settings.parts]:
                figures |= parts[part](place, name, settings, tell)
    if "backlog" in settings.parts:
        for events in settings.backlogs:
            report["backlogs"].append(_backlog(place, events, settings, tell))
    if "recording" in settings.parts:
        report["recordings"] = recordings(place, settings.recorded, settings.long_runs, tell)
    if "routes" in settings.parts and settings.events:
        tell(f"routes, with {settings.events:,} events")
        report["routes"] = routes(place / "routes", settings.events, requests=settings.route_requests)
        report["routes_postgresql"] = _routes_on_postgresql(place, settings, tell)


def _routes_on_postgresql(place: Path, settings: Settings, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return the latencies of routes on PostgreSQL; nothing where there is no server."""
    try:
        with new_database("postgres") as url:
            tell(f"routes on PostgreSQL, with {settings.events:,} events")
            requests, database = settings.route_requests, text_of(url)
            return routes(place / "routes-postgresql", settings.events, requests=requests, url=database)
    except (pytest.skip.Exception, pytest.fail.Exception) as reason:
        tell(f"without PostgreSQL: {reason}")
        return {}


def _bodies_needed(settings: Settings) -> int:
    """Return how many bodies the longest part takes; those under way when it ends come on top."""
    paced = sum(int(rate * settings.seconds) + settings.connections for rate in settings.rates)
    steady = int(settings.memory_rate * settings.seconds)
    return max(settings.requests, paced, steady) + settings.connections


def _bursts(place: Path, name: str, settings: Settings, tell: Callable[[str], None]) -> dict[str, Any]:
    bodies = place / "bodies"
    sending: dict[str, Any] = {"connections": settings.connections, "wrk": settings.wrk}
    nulls, ingests, lagging = [], [], []
    for run in range(settings.runs):
        tell(f"{name}: burst {run + 1} of {settings.runs}")
        with null_server(name, settings.processes) as target:
            nulls.append(send(target, bodies, settings.requests, **sending))
        count, options = settings.requests, _options(settings, name)
        ingests.append(ingest(place / f"{name}-burst-{run}", bodies, count, *options, **sending))
        lagging.append(ingest(place / f"{name}-lag-{run}", bodies, count, *options, **sending, lagging=True))
    return {
        "null": median_load(nulls),
        "ingest": median_ingest(ingests),
        "ingest_runs": [attrs.asdict(each) for each in ingests],
        "lagging": median_ingest(lagging),
        "lagging_runs": [attrs.asdict(each) for each in lagging],
    }


def _rates(place: Path, name: str, settings: Settings, tell: Callable[[str], None]) -> dict[str, Any]:
    runs = []
    for run in range(settings.long_runs):
        tell(f"{name}: fixed rates, run {run + 1} of {settings.long_runs}")
        data_dir, options = place / f"{name}-rates-{run}", _options(settings, name)
        pace = (settings.rates, settings.seconds)
        runs.append(at_rates(data_dir, place / "bodies", *pace, *options, connections=settings.connections))
    return {
        "rates": [medians(at_one_rate) for at_one_rate in zip(*runs, strict=True)],
        "rates_runs": [[attrs.asdict(each) for each in run] for run in runs],
    }


def _memory(place: Path, name: str, settings: Settings, tell: Callable[[str], None]) -> dict[str, Any]:
    tell(f"{name}: memory")
    found = memory(
        place / f"{name}-memory",
        place / "bodies",
        settings.memory_rate,
        settings.seconds,
        *_options(settings, name),
        large=settings.large,
        large_bytes=settings.large_mib * 2**20,
    )
    return {"memory": attrs.asdict(found)}


def _backlog(place: Path, events: int, settings: Settings, tell: Callable[[str], None]) -> dict[str, Any]:
    tell(f"making a backlog of {events:,} events")
    backlog = Backlog(place / f"backlog-{events}", events)
    runs = []
    for run in range(settings.long_runs):
        tell(f"backlog of {events:,}, run {run + 1} of {settings.long_runs}")
        runs.append(backlog.drain(place / f"backlog-{events}-{run}", *_options(settings)))
    return medians(runs) | {"runs": [attrs.asdict(each) for each in runs]}


def _options(settings: Settings, server: str = SERVERS[0]) -> tuple[str, ...]:
    """Return options of `rustrak serve`."""
    return ("--server", server, "--processes", str(settings.processes), "--workers", str(settings.workers))


main.add_command(dataset.main)
main.add_command(grouping.main)
main.add_command(similar.main)

if __name__ == "__main__":
    main()
