"""What was measured as tables: in plain text for a terminal, in Markdown for the documentation."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from tests.benchmarks.backlog import Drain
from tests.benchmarks.ingest import Ingest
from tests.benchmarks.load import Load
from tests.benchmarks.processes import ROLES
from tests.benchmarks.rates import AtRate

BEGIN, END = "<!-- figures: written by nox -s bench -->", "<!-- end of figures -->"
_MIB = 2**20
_ACCEPTED = {"accepted and durable": ("accept_per_second", "{:,.0f}/s"), "p99": ("accept_p99_ms", "{:.1f} ms")}


@attrs.frozen(kw_only=True)
class Table:
    """A table under a title; *note* says what a reader must know beside the head."""

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Return it for a terminal."""
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        lines = [
            row[0].ljust(widths[0])
            + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            for row in [self.head, *self.rows]
        ]
        return "\n".join([self.title, *lines])

    def markdown(self) -> str:
        """Return it for a page."""
        rule = ["---", *["--:"] * (len(self.head) - 1)]
        rows = ["| " + " | ".join(row) + " |" for row in [self.head, rule, *self.rows]]
        return "\n".join([f"## {self.title}", "", self.note, "", *rows, ""])


def median_load(loads: Sequence[Load]) -> dict[str, float]:
    """Return the median of each figure."""
    names = ("per_second", "p50_ms", "p95_ms", "p99_ms", "errors", "generator_share")
    return {name: statistics.median(getattr(load, name) for load in loads) for name in names}


def median_ingest(ingests: Sequence[Ingest]) -> dict[str, Any]:
    """Return the median of each figure, those of the load as ``accept_``."""
    loads = median_load([each.load for each in ingests])
    return {f"accept_{name}": value for name, value in loads.items()} | medians(ingests, besides=("load",))


def medians(
    runs: Sequence[Ingest] | Sequence[Drain] | Sequence[AtRate], *, besides: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the median of each field of *runs*; None where one of them is not known."""
    figures = {}
    for field in attrs.fields(type(runs[0])):
        if field.name not in besides:
            values = [getattr(each, field.name) for each in runs]
            figures[field.name] = None if None in values else statistics.median(values)
    return figures


def tables(report: Mapping[str, Any]) -> list[Table]:
    """Return what a report has, part by part; parts that were not measured are left out."""
    servers = report["servers"]
    made = [
        _burst({name: each for name, each in servers.items() if "ingest" in each}, report["settings"]),
        _rates({name: each["rates"] for name, each in servers.items() if "rates" in each}, report["settings"]),
        _backlogs(report["backlogs"], report["settings"]),
        _memory({name: each["memory"] for name, each in servers.items() if "memory" in each}, report["settings"]),
        _recordings(report["recordings"], report["settings"]),
        _routes(report["routes"], report["routes_postgresql"], report["settings"]),
    ]
    return [table for table in made if table.rows]


def _burst(servers: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
    lines: list[tuple[str, list[str]]] = [
        ("null application, answered", [f"{each['null']['per_second']:,.0f}/s" for each in servers.values()]),
        ("null application, p99", [f"{each['null']['p99_ms']:.1f} ms" for each in servers.values()]),
    ]
    lines += [
        (f"{title}, digestion stopped", [_shown(form, each["lagging"][name]) for each in servers.values()])
        for title, (name, form) in _ACCEPTED.items()
    ]
    shown = {
        "accepted and durable": ("accept_per_second", "{:,.0f}/s"),
        "p50": ("accept_p50_ms", "{:.1f} ms"),
        "p95": ("accept_p95_ms", "{:.1f} ms"),
        "p99": ("accept_p99_ms", "{:.1f} ms"),
        "errors": ("accept_errors", "{:.0f}"),
        "digested, first request to last event": ("digested_per_s", "{:,.0f}/s"),
        "processor time of accepting, an event": ("accept_cpu_us", "{:.0f} us"),
        "processor time of digesting, an event": ("digest_cpu_us", "{:.0f} us"),
        "stored, an event": ("stored_bytes_per_event", "{:,.0f} bytes"),
        "load generator, of one core": ("accept_generator_share", "{:.0%}"),
        "load average": ("load_average", "{:.1f}"),
    }
    lines += [
        (title, [_shown(form, each["ingest"][name]) for each in servers.values()])
        for title, (name, form) in shown.items()
    ]
    note = (
        f"A burst of {settings['requests']:,} events over {settings['connections']} connections, each sending as "
        f"soon as it has its answer ({settings['generator']}). {_medians_of(settings['runs'])}, each on a new server. "
        "*Digestion stopped*: the workers are held until the last answer is there, and the spool keeps the burst."
    )
    rows = [[title, *cells] for title, cells in lines] if servers else []
    return Table(title="A burst", note=note, head=["", *servers], rows=rows)


def _rates(servers: Mapping[str, Sequence[Mapping[str, Any]]], settings: Mapping[str, Any]) -> Table:
    rows = [
        [
            f"{name}, {each['rate']:,.0f}/s",
            f"{each['accepted_per_s']:,.0f}/s",
            f"{each['digested_per_s']:,.0f}/s",
            f"{each['p50_ms']:.1f} ms",
            f"{each['p95_ms']:.1f} ms",
            f"{each['p99_ms']:.1f} ms",
            f"{each['errors']:.0f}",
            f"{each['drained_s']:.1f} s",
            f"{each['generator_share']:.0%}",
            f"{each['load_average']:.1f}",
        ]
        for name, rates in servers.items()
        for each in rates
    ]
    note = (
        f"An open loop: a request is due every so often, for {settings['seconds']:g} seconds, and its latency counts "
        "from when it was due, so that waiting for a connection is in it. *digested* is while accepting; *drained* is "
        f"how long after the last answer all was digested. {_medians_of(settings['long_runs'])}."
    )
    head = ["due", "accepted", "digested", "p50", "p95", "p99", "errors", "drained", "generator", "load average"]
    return Table(title="A fixed rate", note=note, head=head, rows=rows)


def _backlogs(backlogs: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> Table:
    rows = [
        [
            f"{each['events']:,.0f} events",
            f"{each['per_s']:,.0f}/s",
            f"{each['seconds']:.1f} s",
            _shown("{:.0f} us", each["cpu_us"]),
            _mib(each["pss_bytes"]),
            f"{each['stored_bytes_per_event']:,.0f} bytes",
            f"{each['load_average']:.1f}",
        ]
        for each in backlogs
    ]
    note = (
        "Events wait in the spool when the server starts, and nothing else comes. *digested* is from the first batch "
        "that could be read to the last, *all* from the start of the server, *memory* the most that all processes had, "
        "*stored* by how much the database grew. "
        f"{_medians_of(settings['long_runs'])}."
    )
    head = ["", "digested", "all", "processor time, an event", "memory", "stored, an event", "load average"]
    return Table(title="A backlog", note=note, head=head, rows=rows)


def _memory(servers: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]) -> Table:
    moments = {
        "at rest": "rest",
        f"at {settings['memory_rate']:,}/s, median": "load",
        f"at {settings['memory_rate']:,}/s, peak": "load_peak",
        f"{settings['large']} bodies of {settings['large_mib']} MiB at once, peak": "large_peak",
        "two seconds after them": "after",
    }
    rows = [
        [f"{name}, {moment}", *(_mib((each[key] or {}).get(role)) for role in (*ROLES, "total"))]
        for name, each in servers.items()
        for moment, key in moments.items()
    ]
    answers = "; ".join(
        f"{name} answered the large bodies "
        + ", ".join(f"{status} ({count})" for status, count in each["large_statuses"].items())
        for name, each in servers.items()
    )
    note = (
        "PSS of all processes of a role: pages that processes share are counted once. A large body is an event of 0.8 "
        f"MiB and an attachment, unpacked. One run; {answers}."
    )
    return Table(title="Memory", note=note, head=["", *ROLES, "sum"], rows=rows)


def _recordings(recordings: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> Table:
    rows = [
        [
            each["case"],
            f"{each['sqlite']:,.0f}/s",
            _shown("{:,.0f}/s", each["postgresql"]),
            _shown("{:.2f}", each["postgresql"] and each["postgresql"] / each["sqlite"]),
            f"{each['load_average']:.1f}",
        ]
        for each in recordings
    ]
    note = (
        f"Processes that record {settings['recorded']:,} events each, which are digested already, in batches as a "
        "digest worker's; the database server runs on the same cores. *unknown* is where none answered. "
        f"{_medians_of(settings['long_runs'])}."
    )
    head = ["", "SQLite", "PostgreSQL", "ratio", "load average"]
    return Table(title="Recording", note=note, head=head, rows=rows)


def _routes(
    routes: Mapping[str, Mapping[str, float]],
    on_postgresql: Mapping[str, Mapping[str, float]],
    settings: Mapping[str, Any],
) -> Table:
    figures = ("p50_ms", "p95_ms", "p99_ms")
    both = [each for each in (routes, on_postgresql) if each]
    rows = [[name, *(f"{took[name][each]:.1f} ms" for took in both for each in figures)] for name in routes]
    note = f"{settings['route_requests']} requests one after another, with {settings['events']:,} events stored."
    names = ("", "PostgreSQL, ")[: len(both)]
    head = ["", *(f"{name}{each}" for name in names for each in ("p50", "p95", "p99"))]
    return Table(title="Routes of the API", note=note, head=head, rows=rows)


def _medians_of(runs: int) -> str:
    return f"Medians of {runs} runs" if runs > 1 else "One run"


def _shown(form: str, value: float | None) -> str:
    return "unknown" if value is None else form.format(value)


def _mib(value: float | None) -> str:
    return "unknown" if value is None else f"{value / _MIB:.0f} MiB"


def machine(report: Mapping[str, Any]) -> str:
    """Return in a paragraph when and where was measured."""
    env, settings = report["environment"], report["settings"]
    commit = f" ({env['commit']})" if env["commit"] else ""
    return (
        f"Measured on {report['at'].replace('T', ' ').replace('Z', ' UTC')}, in {report['took_s'] / 60:.0f} minutes: "
        f"Rustrak {env['version']}{commit}, Python {env['python']}, {env['system']}, {env['cpus']} cores "
        f"({env['processor'] or 'processor unknown'}), {env['memory_bytes'] / 2**30:.0f} GiB of memory; SQLite; "
        f"{settings['processes']} HTTP processes, {settings['workers']} digest workers. The mean event is "
        f"{report['payload_bytes']:,} bytes of JSON. Load average when it began: {env['load_average']:.1f}."
    )


def write_docs(file: Path, report: Mapping[str, Any]) -> None:
    """Put the tables between the marks of a page, or make a page of them."""
    text = file.read_text(encoding="utf-8") if file.exists() else f"# Figures\n\n{BEGIN}\n{END}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"{file} has no place for tables: {BEGIN} and {END}, each on a line"
        raise ValueError(message)
    figures = "\n".join([machine(report), "", *(table.markdown() for table in tables(report))])
    file.write_text(f"{before}{BEGIN}\n\n{figures}\n{END}{after}", encoding="utf-8")
