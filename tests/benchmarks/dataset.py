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
from rustrak_storage.duck import Dataset, export, questions
from rustrak_storage.factory import open_store
from tests.benchmarks.dataset_events import make_dataset
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
    """Measure exporting, and the stock questions over 30 days and over all events."""
    with tempfile.TemporaryDirectory(prefix="rustrak-dataset-") as folder:
        place = Path(folder)
        for table in (_exports(place, stored), _questions(place, events, runs)):
            click.echo(f"\n{table.text()}")


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


def _asked(dataset: Dataset, question: str, days: int | None, runs: int) -> str:
    own = {}
    if question == "lift":
        statement = "SELECT short_id FROM issues ORDER BY event_count DESC LIMIT 1 OFFSET 5"
        own = {"issue": dataset.sql(statement).rows()[0][0]}
    taken = []
    for _ in range(runs):
        begun = time.perf_counter()
        dataset.ask(question, days=days, **own).rows()
        taken.append(time.perf_counter() - begun)
    return f"{min(taken):.3f} s"
