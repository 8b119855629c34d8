"""How quick datasets are: exported from a SQLite store, and asked every stock question.

Processor time stands beside the time that passes: on two quiet cores an answer takes between a half and the whole of
it, and on a busy machine only it can be compared.
"""

import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import click
import duckdb

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.ports import Store
from rustrak_core.times import to_micros
from rustrak_storage.duck import Dataset, export, questions
from rustrak_storage.duck.about import is_file
from rustrak_storage.duck.file import read_about
from rustrak_storage.factory import open_store
from tests.benchmarks.dataset_events import make_dataset
from tests.benchmarks.dataset_sqlite import QUESTIONS as SQLITE_QUESTIONS
from tests.benchmarks.dataset_sqlite import ask_sqlite, fill_sqlite
from tests.benchmarks.events import event_json, issue_of
from tests.benchmarks.processes import environment
from tests.benchmarks.report import Table

_NOW = datetime(2026, 11, 1, tzinfo=UTC)
_BATCH = 500
FORMS = {"DuckDB file": "errors.duckdb", "Parquet folder": "errors"}
PARTS = ("export", "questions", "sqlite")
SPANS = {"30 days": 30, "all": None}


@attrs.frozen
class Took:
    """What an answer took, in seconds: of time, and of all threads' processor time."""

    seconds: float
    cpu_s: float

    def __str__(self) -> str:
        """Return both, for a table."""
        return f"{self.seconds:.3f} s ({self.cpu_s:.3f})"


@click.command("dataset")
@click.option("--part", "parts", multiple=True, default=PARTS, type=click.Choice(PARTS), help="What to measure; all.")
@click.option(
    "--form", "forms", multiple=True, default=[*FORMS], type=click.Choice([*FORMS]), help="Of questions; all."
)
@click.option("--events", default=1_000_000, show_default=True, help="Events behind the questions.")
@click.option("--stored", default=60_000, show_default=True, help="Events in the store that is exported.")
@click.option("--runs", default=3, show_default=True, help="How often each question is asked; the best counts.")
@click.option("--memory", default="4GiB", show_default=True, help="What DuckDB may take when it is asked a file.")
@click.option("--threads", default=2, show_default=True, help="Its threads then.")
@click.option("--at", type=click.Path(path_type=Path), help="Folder for datasets, used again; a new one by default.")
@click.option("--out", default="bench-results", show_default=True, type=click.Path(path_type=Path), help="Folder.")
def main(parts: tuple[str, ...], forms: tuple[str, ...], at: Path | None, out: Path, **options: Any) -> None:
    """Measure exporting, the stock questions over 30 days and over all events, and the same in SQL on SQLite."""
    report: dict[str, Any] = {"at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "environment": environment(), **options}
    with tempfile.TemporaryDirectory(prefix="rustrak-dataset-") as folder:
        bench = _Bench(place=Path(folder), at=at or Path(folder), **options)
        measures: dict[str, Callable[[], Table]] = {
            "export": bench.exports,
            "questions": partial(bench.questions, forms),
            "sqlite": bench.compared,
        }
        for part in parts:
            table = measures[part]()
            report[part] = {"load_average": os.getloadavg()[0], **attrs.asdict(table)}
            click.echo(f"\n{table.text()}\nLoad average at the end: {os.getloadavg()[0]:.1f}")
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"dataset-{report['at'].replace(':', '')}.json"
    file.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(f"\n{file}")


def fill_store(store: Store, count: int) -> None:
    """Record *count* events as SDKs send them, over three days, into a project."""
    project = store.create_project("Bench", sentry_key=str(UUID(int=1)), now=_NOW)
    for start in range(0, count, _BATCH):
        store.record(
            [
                digest(
                    AcceptedEvent(
                        project_id=project.id,
                        event_id=UUID(int=number + 1),
                        received_at=_NOW + timedelta(days=3) * (number / count),
                        payload=event_json(issue_of(number), number, UUID(int=number + 1)),
                    )
                )
                for number in range(start, min(start + _BATCH, count))
            ]
        )


@attrs.frozen(kw_only=True)
class _Bench:
    """What is measured, and where: *place* goes in the end, *at* has the datasets and may stay."""

    place: Path
    at: Path
    events: int
    stored: int
    runs: int
    memory: str
    threads: int

    def exports(self) -> Table:
        """Return how many events a second are exported."""
        url = f"sqlite:///{self.place}/rustrak.db"
        store = open_store(url)
        fill_store(store, self.stored)
        rows = []
        for form, name in FORMS.items():
            rates = []
            for processes in (1, os.cpu_count() or 1):
                dest = self.place / f"exports-{processes}" / name
                begun = time.perf_counter()
                done = export(store, dest, now=_NOW, reopen=partial(open_store, url), processes=processes)
                rates.append(f"{done.new / (time.perf_counter() - begun):,.0f}/s")
            again = time.perf_counter()
            export(store, self.place / "exports-1" / name, now=_NOW)
            rows.append([form, *rates, f"{(time.perf_counter() - again) * 1000:.0f} ms"])
        store.close()
        head = ["", "by one process", "by one a core", "again, with nothing new"]
        return Table(title=f"Export of {self.stored:,} events", note="From SQLite.", head=head, rows=rows)

    def questions(self, forms: tuple[str, ...]) -> Table:
        """Return what every question takes, in each way of asking it that is a different one."""
        rows: dict[str, list[str]] = {}
        for form in forms:
            with self._dataset(form) as dataset:
                for question, own in _asked(dataset):
                    name = " ".join([question, *(str(value) for value in own.values() if question != "lift")])
                    took = [self._took(dataset.ask, question, days=days, **own) for days in SPANS.values()]
                    rows.setdefault(name, [name]).extend(map(str, took))
        head = ["", *(f"{form}, {span}" for form in forms for span in SPANS)]
        note = "The best of a few, and in brackets the processor time."
        return Table(title=f"Questions over {self.events:,} events", note=note, head=head, rows=[*rows.values()])

    def compared(self) -> Table:
        """Return how much quicker questions are than in SQL on a SQLite store of the same events."""
        rows, store = [], self.place / "compared.db"
        with self._dataset("DuckDB file") as dataset:
            fill_sqlite(dataset, store)
            until = to_micros(dataset.about.exported_at)
            for question in SQLITE_QUESTIONS:
                row = [question]
                for days in SPANS.values():
                    since = 0 if days is None else until - days * 86_400_000_000
                    ours = self._took(dataset.ask, question, days=days)
                    theirs = self._took(ask_sqlite, store, question, since, until)
                    row += [str(theirs), f"{theirs.seconds / ours.seconds:.0f} ({theirs.cpu_s / ours.cpu_s:.0f})"]
                rows.append(row)
        head = ["", *(text for span in SPANS for text in (f"SQLite, {span}", "times as long"))]
        note = (
            "Questions that a SQLite store's columns can answer; tags of single events, frames, SDKs are not in them. "
            "In brackets the processor time, and how many times as much it is."
        )
        return Table(title="The same in SQL on a SQLite store", note=note, head=head, rows=rows)

    @contextmanager
    def _dataset(self, form: str) -> Iterator[Dataset]:
        """Give the dataset of that form; it is made unless it is there."""
        path = self.at / FORMS[form]
        if not path.exists():
            make_dataset(path, self.events)
        with self._opened(path) as dataset:
            yield dataset

    def _opened(self, path: Path) -> Dataset:
        if not is_file(path):
            return Dataset.open(path)
        connection = duckdb.connect(str(path), read_only=True, config={"temp_directory": str(self.place / "spill")})
        connection.execute("SET memory_limit = ?", [self.memory])
        connection.execute("SET threads = ?", [self.threads])
        return Dataset(path, read_about(connection, path), connection)

    def _took(self, ask: Callable[..., Any], *args: Any, **own: Any) -> Took:
        """Return what the best run takes, its rows read."""
        taken = []
        for _ in range(self.runs):
            cpu, begun = _cpu_s(), time.perf_counter()
            answer = ask(*args, **own)
            if answer is not None:
                answer.rows()
            taken.append(Took(time.perf_counter() - begun, _cpu_s() - cpu))
        return Took(min(took.seconds for took in taken), max(min(took.cpu_s for took in taken), 1e-6))


def _asked(dataset: Dataset) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every question, and each word of a parameter that has several."""
    ((issue,),) = dataset.sql("SELECT short_id FROM issues ORDER BY event_count DESC LIMIT 1 OFFSET 5").rows()
    for name, question in questions().items():
        words = [(own.name, word) for own in question.own if "|" in own.type for word in own.type.split("|")]
        if name == "lift":
            yield name, {"issue": issue}
        else:
            yield from ((name, {key: word}) for key, word in words) if words else [(name, {})]


def _cpu_s() -> float:
    """Return the processor time of this process so far, its threads' with it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
