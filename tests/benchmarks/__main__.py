"""``python -m tests.benchmarks``: measure, print a table, and write the same as JSON into ``bench-results/``.

``python -m tests.benchmarks grouping`` scores the grouping mechanisms.

Medians of several runs, with the machine's load average beside them. Nothing is asserted: figures are for reading.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import click

from rustrak_http.cli.serve import PROCESSES_DEFAULT
from tests.benchmarks import grouping
from tests.benchmarks.bodies import write_bodies
from tests.benchmarks.events import mean_payload_bytes
from tests.benchmarks.load import WRK, Load, send
from tests.benchmarks.measure import Ingest, environment, ingest, null_server, routes

SERVERS = ("waitress", "granian")


@click.group(invoke_without_command=True)
@click.pass_context
@click.option("--requests", default=10_000, show_default=True, help="Events in a burst.")
@click.option("--connections", default=64, show_default=True)
@click.option("--events", default=100_000, show_default=True, help="Events behind the routes; 0 leaves routes out.")
@click.option("--route-requests", default=100, show_default=True, help="Requests of a route.")
@click.option("--runs", default=3, show_default=True, help="Bursts, of which the median is shown.")
@click.option("--wrk/--no-wrk", default=WRK is not None, help="Send with wrk; by default where it is installed.")
@click.option(
    "--server",
    "servers",
    default=["waitress"],
    show_default=True,
    multiple=True,
    type=click.Choice([*SERVERS, "all"]),
    help="HTTP server; may be given more than once.",
)
@click.option("--processes", default=PROCESSES_DEFAULT, show_default=True, help="HTTP processes.")
@click.option("--out", default="bench-results", show_default=True, type=click.Path(path_type=Path), help="Folder.")
def main(  # noqa: PLR0917 - click passes options by name
    context: click.Context,
    requests: int,
    connections: int,
    events: int,
    route_requests: int,
    runs: int,
    wrk: bool,
    servers: tuple[str, ...],
    processes: int,
    out: Path,
) -> None:
    """Measure accepting, digesting, memory, size and latencies of a real `rustrak serve` on loopback.

    `grouping` instead measures how good the grouping is.
    """
    if context.invoked_subcommand:
        return
    with tempfile.TemporaryDirectory(prefix="rustrak-bench-") as folder:
        place = Path(folder)
        bodies = place / "bodies"
        write_bodies(bodies, requests + connections)
        nulls: dict[str, list[Load]] = {}
        ingests: dict[str, list[Ingest]] = {}
        for server in SERVERS if "all" in servers else dict.fromkeys(servers):
            for run in range(runs):
                click.echo(f"{server}: run {run + 1} of {runs}", err=True)
                with null_server(server, processes) as target:
                    null = send(target, bodies, requests, connections=connections, wrk=wrk)
                nulls.setdefault(server, []).append(null)
                options = ("--server", server, "--processes", str(processes))
                data_dir = place / f"{server}-{run}"
                got = ingest(data_dir, bodies, requests, *options, connections=connections, wrk=wrk)
                ingests.setdefault(server, []).append(got)
        route_figures = routes(place / "routes", events, requests=route_requests) if events else {}
    report: dict[str, Any] = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "environment": environment(),
        "settings": {
            "requests": requests,
            "connections": connections,
            "runs": runs,
            "processes": processes,
            "events": events,
            "generator": "wrk" if wrk else "python",
        },
        "payload_bytes": mean_payload_bytes(),
        "servers": {
            name: {
                "null": _median_load(nulls[name]),
                "ingest": _median_ingest(ingests[name]),
                "ingest_runs": [attrs.asdict(each) for each in ingests[name]],
            }
            for name in ingests
        },
        "routes": route_figures,
    }
    _print(report)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{report['at'].replace(':', '')}.json"
    file.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(f"\n{file}")


def _median_load(loads: list[Load]) -> dict[str, float]:
    names = ("per_second", "p50_ms", "p95_ms", "p99_ms", "errors", "generator_share")
    return {name: statistics.median(getattr(load, name) for load in loads) for name in names}


def _median_ingest(ingests: list[Ingest]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        f"accept_{name}": value for name, value in _median_load([i.load for i in ingests]).items()
    }
    for field in attrs.fields(Ingest):
        if field.name != "load":
            values = [getattr(each, field.name) for each in ingests]
            figures[field.name] = None if None in values else statistics.median(values)
    return figures


def _print(report: dict[str, Any]) -> None:
    click.echo(f"{'size of an event, JSON':40}{report['payload_bytes']:,} bytes")
    for name, figures in report["servers"].items():
        processes = report["settings"]["processes"]
        click.echo(f"\n{name}, HTTP processes: {processes}")
        _print_server(figures["null"], figures["ingest"], report["environment"]["cpus"])
    if report["routes"]:
        title = f"route, at {report['settings']['events']:,} events"
        click.echo(f"\n{title:40}{'p50':>8}{'p95':>8}{'p99':>8} ms")
    for name, took in report["routes"].items():
        click.echo(f"{name:40}{took['p50_ms']:8.1f}{took['p95_ms']:8.1f}{took['p99_ms']:8.1f}")


def _print_server(null: dict[str, float], got: dict[str, Any], cpus: int) -> None:
    rows = [
        ("null application, answered", f"{null['per_second']:,.0f}/s   p99 {null['p99_ms']:.1f} ms"),
        ("accepted and durable, in a burst", f"{got['accept_per_second']:,.0f}/s   {got['accept_errors']:.0f} errors"),
        ("  p50, p95, p99", " / ".join(f"{got[f'accept_{p}_ms']:.1f}" for p in ("p50", "p95", "p99")) + " ms"),
        (
            "  load generator, null and Rustrak",
            f"{null['generator_share']:.0%}, {got['accept_generator_share']:.0%} of a core",
        ),
        ("digested, first request to last event", f"{got['digested_per_s']:,.0f}/s"),
        ("processor time, server and worker", f"{_us(got['accept_cpu_us'])} + {_us(got['digest_cpu_us'])} an event"),
        ("memory of all processes (PSS)", f"{got['pss_bytes'] / 2**20:.0f} MiB" if got["pss_bytes"] else "unknown"),
        ("stored, of an event", f"{got['stored_bytes_per_event']:,.0f} bytes"),
        ("load average", f"{got['load_average']:.1f} on {cpus} cores"),
    ]
    for name, value in rows:
        click.echo(f"{name:40}{value}")


def _us(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} us"


main.add_command(grouping.main)

if __name__ == "__main__":
    main()
