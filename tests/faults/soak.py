"""``python -m tests.faults.soak``: a steady load for long; does memory or the spool grow?

Prints a table, writes the same as JSON into ``bench-results/``, and ends with 1 where something grew, was refused or
does not add up. The first quarter is warm-up; the second is held against the last.
"""

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

import attrs
import click

from tests.benchmarks.load import Target, percentile
from tests.faults.accounts import days, faults_in
from tests.faults.memory import folder_bytes, pss_bytes
from tests.faults.pace import Pace
from tests.serve.support import Served

_MIB = 2**20
_MEMORY_GROWS = (1.1, 5 * _MIB)
"""Memory grew where the last quarter is over so many times the second, and so many bytes more."""
_SPOOL_GROWS = (2.0, 32 * _MIB)


@attrs.frozen(kw_only=True)
class Sample:
    """What was seen at one moment; sizes in bytes, *behind* in events accepted and not digested yet."""

    at_s: float
    pss: dict[str, int]
    spool: int
    store: int
    accepted: int
    behind: int
    late: int
    load_average: float


class Sampler:
    """Looks at a server every so often, from a thread of its own."""

    def __init__(self, served: Served, pace: Pace, every_s: float) -> None:
        self._served = served
        self._pace = pace
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")
        self._begun = time.monotonic()
        self.samples: list[Sample] = []
        self.failure: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                self.samples.append(self._look())
            except Exception as error:  # noqa: BLE001 - told at the end
                self.failure = error
                return
            click.echo(_row(self.samples[-1]))

    def _look(self) -> Sample:
        digested = self._served.project()["event_count"]
        data_dir = self._served.data_dir
        return Sample(
            at_s=time.monotonic() - self._begun,
            pss=pss_bytes(self._served),
            spool=folder_bytes(data_dir / "spool"),
            store=_store_bytes(data_dir),
            accepted=self._pace.accepted,
            behind=self._pace.accepted - digested,
            late=self._pace.late,
            load_average=os.getloadavg()[0],
        )


@click.command()
@click.option("--minutes", default=30.0, show_default=True)
@click.option("--rate", default=1000.0, show_default=True, help="Events a second.")
@click.option("--connections", default=64, show_default=True)
@click.option("--every", default=0.0, help="Seconds between samples; by default 60 samples in all.")
@click.option("--serve", "options", multiple=True, help="An option for `rustrak serve`, as --serve=--processes=1.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Where the server keeps its data; a temporary folder."
)
@click.option("--out", default="bench-results", show_default=True, type=click.Path(path_type=Path), help="Folder.")
def main(  # noqa: PLR0917 - click passes options by name
    minutes: float,
    rate: float,
    connections: int,
    every: float,
    options: tuple[str, ...],
    data_dir: Path | None,
    out: Path,
) -> None:
    """Soak a real `rustrak serve` on loopback."""
    with tempfile.TemporaryDirectory(prefix="rustrak-soak-") as folder:
        report = soak(data_dir or Path(folder) / "data", minutes * 60, rate, connections, every, options)
    _print(report)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"soak-{report['at'].replace(':', '')}.json"
    file.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(f"\n{file}")
    sys.exit(1 if report["faults"] else 0)


def soak(  # noqa: PLR0917 - as main
    data_dir: Path, seconds: float, rate: float, connections: int, every_s: float, options: tuple[str, ...]
) -> dict[str, Any]:
    """Run the server under that load, and return what was seen, ``faults`` among it."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with Served(data_dir, *options) as served:
        target = Target(port=served.port, path=f"/api/{served.project_id}/envelope/", key=served.key)
        pace = Pace(target, rate=rate, connections=connections)
        click.echo(_HEAD)
        used = time.process_time()
        with Sampler(served, pace, every_s or seconds / 60) as sampler:
            took = pace.run(lambda now: now >= seconds)
        used = time.process_time() - used
        begun = time.monotonic()
        served.wait_for_events(pace.accepted, within_s=120)
        drained_s = time.monotonic() - begun
        faults = faults_in(served, pace.accepted)
        stats = days(served)
        served.stop()
        stored = _store_bytes(data_dir)
        told = served.stderr.read_text().splitlines()
    samples = sampler.samples
    faults += [f"the sampler failed: {sampler.failure!r}"] if sampler.failure else []
    faults += [f"{count} answers of {status}" for status, count in pace.statuses.items() if status != 200]
    faults += _growth(samples)
    latencies = list(pace.latencies_ms)
    return {
        "at": at,
        "settings": {"seconds": seconds, "rate": rate, "connections": connections, "serve": options},
        "accepted": pace.accepted,
        "accepted_per_s": pace.accepted / took,
        "latency_ms": {f"p{percent}": percentile(latencies, percent) for percent in (50, 95, 99)},
        "latency_max_ms": max(latencies),
        "generator_cpu": used / took,
        "drained_s": drained_s,
        "stored_bytes_per_event": stored / max(1, pace.accepted),
        "stats": stats,
        "log_lines": told[:50],
        "faults": faults,
        "quarters": [_quarter(samples, number) for number in range(4)],
        "samples": [attrs.asdict(sample) for sample in samples],
    }


def _store_bytes(data_dir: Path) -> int:
    return sum(file.stat().st_size for file in data_dir.glob("rustrak.db*"))


def _growth(samples: list[Sample]) -> list[str]:
    faults = []
    for name, (times, more) in {"memory": _MEMORY_GROWS, "spool": _SPOOL_GROWS}.items():
        before, after = (_quarter(samples, number)[name] for number in (1, 3))
        if after > before * times and after > before + more:
            faults.append(f"{name} grew from {before / _MIB:.0f} to {after / _MIB:.0f} MiB")
    return faults


def _quarter(samples: list[Sample], number: int) -> dict[str, float]:
    """Return the medians of a quarter of the time, and the most memory seen in it."""
    size = len(samples) // 4
    part = samples[number * size : (number + 1) * size] or samples
    return {
        "memory": statistics.median(sample.pss["total"] for sample in part),
        "memory_max": max(sample.pss["total"] for sample in part),
        "spool": statistics.median(sample.spool for sample in part),
        "behind": statistics.median(sample.behind for sample in part),
    }


_HEAD = (
    f"{'second':>7}{'accepted':>11}{'behind':>8}{'late':>7}{'memory MiB':>12}{'http':>7}{'digest':>8}"
    f"{'spool MiB':>11}{'store MiB':>11}{'load':>6}"
)


def _row(sample: Sample) -> str:
    pss = sample.pss
    return (
        f"{sample.at_s:7.0f}{sample.accepted:11,}{sample.behind:8,}{sample.late:7,}{pss['total'] / _MIB:12.1f}"
        f"{pss['http'] / _MIB:7.1f}{pss['digest'] / _MIB:8.1f}{sample.spool / _MIB:11.1f}{sample.store / _MIB:11.1f}"
        f"{sample.load_average:6.1f}"
    )


def _print(report: dict[str, Any]) -> None:
    latency = " / ".join(f"{value:.1f}" for value in report["latency_ms"].values())
    rows = [
        ("accepted", f"{report['accepted']:,} events, {report['accepted_per_s']:,.0f}/s"),
        ("p50, p95, p99, from when due", f"{latency} ms, at most {report['latency_max_ms']:.0f}"),
        ("stored, of an event", f"{report['stored_bytes_per_event']:,.0f} bytes"),
        ("processor of the generator", f"{report['generator_cpu']:.0%} of a core"),
        ("digested after the last", f"{report['drained_s']:.1f} s"),
        ("log lines", f"{len(report['log_lines'])}"),
    ]
    for number, quarter in enumerate(report["quarters"], 1):
        text = (
            f"memory {quarter['memory'] / _MIB:.1f} (at most {quarter['memory_max'] / _MIB:.1f}) MiB, "
            f"spool {quarter['spool'] / _MIB:.1f} MiB, behind {quarter['behind']:,.0f}"
        )
        rows.append((f"quarter {number}", text))
    click.echo("")
    for name, value in rows:
        click.echo(f"{name:32}{value}")
    click.echo("\n".join(f"FAULT: {fault}" for fault in report["faults"]) or "no faults")


if __name__ == "__main__":
    main()
