"""How quick datasets are: exported from a SQLite store, and asked every stock question."""

import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import click

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.ports import Store
from rustrak_core.times import to_micros
from rustrak_storage.duck import Dataset, export, questions
from rustrak_storage.factory import open_store
from tests.benchmarks.dataset_events import make_dataset
from tests.benchmarks.dataset_sqlite import QUESTIONS as SQLITE_QUESTIONS
from tests.benchmarks.dataset_sqlite import ask_sqlite, fill_sqlite
from tests.benchmarks.events import event_json, issue_of
from tests.benchmarks.report import Table

_NOW = datetime(2026, 11, 1, tzinfo=UTC)
_BATCH = 500
FORMS = {"DuckDB file": "errors.duckdb", "Parquet folder": "errors"}


@click.command("dataset")
@click.option("--events", default=1_000_000, show_default=True, help="Events behind the questions.")
@click.option("--stored", default=60_000, show_default=True, help="Events in the store that is exported.")
@click.option("--runs", default=3, show_default=True, help="How often each question is asked; the best counts.")
def main(events: int, stored: int, runs: int) -> None:
    """Measure exporting, the stock questions over 30 days and over all events, and the same in SQL on SQLite."""
    with tempfile.TemporaryDirectory(prefix="rustrak-dataset-") as folder:
        place = Path(folder)
        click.echo(f"\n{_exports(place, stored).text()}")
        click.echo(f"\n{_questions(place, events, runs).text()}")
        click.echo(f"\n{_compared(place, runs).text()}")


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


def _exports(place: Path, stored: int) -> Table:
    url = f"sqlite:///{place}/rustrak.db"
    store = open_store(url)
    fill_store(store, stored)
    rows = []
    for form, name in FORMS.items():
        rates = []
        for processes in (1, os.cpu_count() or 1):
            dest = place / f"exports-{processes}" / name
            begun = time.perf_counter()
            done = export(store, dest, now=_NOW, reopen=partial(open_store, url), processes=processes)
            rates.append(f"{done.new / (time.perf_counter() - begun):,.0f}/s")
        again = time.perf_counter()
        export(store, place / "exports-1" / name, now=_NOW)
        rows.append([form, *rates, f"{(time.perf_counter() - again) * 1000:.0f} ms"])
    store.close()
    head = ["", "by one process", "by one a core", "again, with nothing new"]
    return Table(title=f"Export of {stored:,} events", note="From SQLite.", head=head, rows=rows)


def _questions(place: Path, events: int, runs: int) -> Table:
    rows: dict[str, list[str]] = {name: [name] for name in questions()}
    for name in FORMS.values():
        make_dataset(place / name, events)
        with Dataset.open(place / name) as dataset:
            for question in questions():
                rows[question] += [_asked(dataset, question, days, runs) for days in (30, None)]
    head = ["", *(f"{form}, {span}" for form in FORMS for span in ("30 days", "all"))]
    return Table(title=f"Questions over {events:,} events", note="The best of a few.", head=head, rows=[*rows.values()])


def _compared(place: Path, runs: int) -> Table:
    """Return how much quicker questions are than in SQL on a SQLite store of the same events."""
    rows, store = [], place / "compared.db"
    with Dataset.open(place / FORMS["DuckDB file"]) as dataset:
        fill_sqlite(dataset, store)
        until = to_micros(dataset.about.exported_at)
        for question in SQLITE_QUESTIONS:
            row = [question]
            for days in (30, None):
                ours = _seconds(dataset, question, days, runs)
                since = 0 if days is None else until - days * 86_400_000_000
                theirs = min(ask_sqlite(store, question, since, until) for _ in range(runs))
                row += [f"{theirs:.3f} s", f"{theirs / ours:.0f} times"]
            rows.append(row)
    head = ["", "SQLite, 30 days", "the dataset is quicker", "SQLite, all", "the dataset is quicker"]
    note = "Questions that a SQLite store's columns can answer; tags of single events, frames, SDKs are not in them."
    return Table(title="The same in SQL on a SQLite store", note=note, head=head, rows=rows)


def _asked(dataset: Dataset, question: str, days: int | None, runs: int) -> str:
    return f"{_seconds(dataset, question, days, runs):.3f} s"


def _seconds(dataset: Dataset, question: str, days: int | None, runs: int) -> float:
    own = {}
    if question == "lift":
        statement = "SELECT short_id FROM issues ORDER BY event_count DESC LIMIT 1 OFFSET 5"
        own = {"issue": dataset.sql(statement).rows()[0][0]}
    taken = []
    for _ in range(runs):
        begun = time.perf_counter()
        dataset.ask(question, days=days, **own).rows()
        taken.append(time.perf_counter() - begun)
    return min(taken)
