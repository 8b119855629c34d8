"""The dataset that is made for measuring is one, the same each time, and the command measures."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from rustrak_core.times import to_micros
from rustrak_storage.duck import Dataset, export, questions
from rustrak_storage.duck.schema import TABLES, TAG_DAYS_OF
from rustrak_storage.factory import open_store
from tests.benchmarks.__main__ import main
from tests.benchmarks.dataset import fill_store
from tests.benchmarks.dataset_events import make_dataset
from tests.benchmarks.dataset_sqlite import QUESTIONS, fill_sqlite


@pytest.mark.slow
def test_a_made_dataset(tmp_path: Path) -> None:
    """Few issues have most events, over a year, and every question has an answer."""
    for name in ("one.duckdb", "two.duckdb"):
        make_dataset(tmp_path / name, 4000)
    with Dataset.open(tmp_path / "one.duckdb") as one, Dataset.open(tmp_path / "two.duckdb") as two:
        for table in ("events", "tag_days", "projects"):
            statement = f"SELECT * FROM {table} ORDER BY ALL"
            assert one.sql(statement).rows() == two.sql(statement).rows()
        ((days, issues),) = one.sql("SELECT count(DISTINCT day), count(DISTINCT issue_id) FROM events").rows()
        assert days == 365
        ((share,),) = one.sql(
            "SELECT sum(n) / 4000 FROM (SELECT count(*) AS n FROM events GROUP BY issue_id ORDER BY n DESC LIMIT 100)"
        ).rows()
        assert share > 0.4
        assert issues > 500
        for name in questions():
            own = {"issue": one.ask("top-issues").dicts()[0]["issue"]} if name == "lift" else {}
            assert one.ask(name, days=None, **own).rows() or name == "one-event-issues"


@pytest.mark.slow
@pytest.mark.parametrize("form", ["errors.duckdb", "errors"])
def test_it_is_as_an_export_makes_it(tmp_path: Path, form: str) -> None:
    """Tables, types and files are those of an export, in both forms, and what is derived follows from the events."""
    store = open_store("memory://")
    fill_store(store, 60)
    export(store, tmp_path / "exported" / form, now=datetime(2026, 12, 1, tzinfo=UTC))
    store.close()
    make_dataset(tmp_path / "made" / form, 5000)
    with Dataset.open(tmp_path / "exported" / form) as exported, Dataset.open(tmp_path / "made" / form) as made:
        for table in TABLES:
            columns = f"DESCRIBE {table.name}"
            assert made.sql(columns).rows() == exported.sql(columns).rows()
            empty = f"SELECT count(*) = 0 FROM {table.name}"
            assert made.sql(empty).rows() == exported.sql(empty).rows() or table.name == "breadcrumbs"
        tags = TAG_DAYS_OF.format(events="events")
        assert made.sql(f"({tags}) EXCEPT ALL FROM tag_days").rows() == []
        assert made.sql(f"FROM tag_days EXCEPT ALL ({tags})").rows() == []
        counted = "SELECT issue_id, count(*), min(timestamp), max(timestamp) FROM events GROUP BY ALL"
        assert made.sql(f"{counted} EXCEPT SELECT id, event_count, first_seen, last_seen FROM issues").rows() == []
        wrong = "SELECT count(*) FROM events WHERE day <> timestamp::DATE OR timestamp > received_at OR len(frames) = 0"
        assert made.sql(wrong).rows() == [(0,)]
        ((numbers, least, most),) = made.sql(
            "SELECT count(DISTINCT number), min(number), max(number) FROM events"
        ).rows()
        assert (numbers, least, most) == (5000, 1, 5000)
    parts = {path.relative_to(tmp_path / "made").parts[1] for path in (tmp_path / "made").rglob("*.parquet")}
    assert form == "errors.duckdb" or {"events", "tag_days"} <= parts


@pytest.mark.slow
def test_the_command_measures(tmp_path: Path) -> None:
    """Tables of exports and of questions, and the same as JSON."""
    few = ["--events", "2000", "--stored", "600", "--runs", "1", "--out", str(tmp_path)]
    done = CliRunner().invoke(main, ["dataset", *few])
    assert done.exit_code == 0, done.output
    (file,) = tmp_path.glob("dataset-*.json")
    report = json.loads(file.read_text())
    assert report["events"] == 2000
    assert len(report["questions"]["rows"]) >= len(questions())
    assert "Export of 600 events" in done.output
    assert "top-issues" in done.output
    assert "on a SQLite store" in done.output


@pytest.mark.slow
def test_a_sqlite_store_of_the_same_events(tmp_path: Path) -> None:
    """What is compared has the same events, and its questions the same answers."""
    make_dataset(tmp_path / "one.duckdb", 3000)
    with Dataset.open(tmp_path / "one.duckdb") as dataset:
        fill_sqlite(dataset, tmp_path / "one.db")
        until = to_micros(dataset.about.exported_at)
        bounds = {"since": until - 30 * 86_400_000_000, "until": until}
        with closing(sqlite3.connect(tmp_path / "one.db")) as connection:
            for question, column in (("top-issues", "events"), ("heatmap", "events"), ("bytes", "bytes")):
                place = 1 if question == "top-issues" else 2
                theirs = sorted(row[place] for row in connection.execute(QUESTIONS[question], bounds))
                ours = sorted(row[column] for row in dataset.ask(question).dicts() if row[column])
                assert theirs == ours
