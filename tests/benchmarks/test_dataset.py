"""The dataset that is made for measuring is one, the same each time, and the command measures."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from rustrak_core.times import to_micros
from rustrak_storage.duck import Dataset, questions
from tests.benchmarks.__main__ import main
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
def test_the_command_measures() -> None:
    """Tables of exports and of questions."""
    done = CliRunner().invoke(main, ["dataset", "--events", "2000", "--stored", "600", "--runs", "1"])
    assert done.exit_code == 0, done.output
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
