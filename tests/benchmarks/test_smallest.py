"""The benchmarks run, also where wrk is missing; what they measure is nobody's promise here."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.benchmarks.__main__ import main
from tests.benchmarks.report import BEGIN, END


@pytest.mark.slow
def test_smallest_form(tmp_path: Path) -> None:
    """A small run prints its tables, writes the same figures as JSON, and puts the tables into a page."""
    page = tmp_path / "figures.md"
    page.write_text(f"# Figures\n\nHow to read them.\n\n{BEGIN}\n\nold\n{END}\n\nThe end.\n")
    options = ["--quick", "--no-wrk", "--server", "all", "--out", str(tmp_path), "--docs", str(page)]
    done = CliRunner().invoke(main, options, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "accepted and durable" in done.output
    (file,) = tmp_path.glob("*.json")
    report = json.loads(file.read_text())
    assert report["servers"].keys() == {"waitress", "granian"}
    for figures in report["servers"].values():
        assert figures["null"]["errors"] == figures["ingest"]["accept_errors"] == 0
        assert figures["ingest"]["digested_per_s"] > 0
        assert [each["rate"] for each in figures["rates"]] == [50, 100]
        assert [each["errors"] for each in figures["rates"]] == [0, 0]
        assert figures["memory"]["large_statuses"] == {"200": 4}
    assert report["backlogs"][0]["per_s"] > 0
    assert report["routes"]["issues"]["p95_ms"] > 0
    text = page.read_text()
    assert text.startswith("# Figures\n\nHow to read them.\n")
    assert text.endswith("\n\nThe end.\n")
    assert "old" not in text
    for title in ("A burst", "A fixed rate", "A backlog", "Memory", "Routes of the API"):
        assert f"## {title}" in text


def test_a_page_without_a_place_for_tables_is_left_alone(tmp_path: Path) -> None:
    """What someone wrote is never overwritten."""
    from tests.benchmarks.report import write_docs

    page = tmp_path / "page.md"
    page.write_text("# Something else\n")
    with pytest.raises(ValueError, match="no place for tables"):
        write_docs(page, {})
    assert page.read_text() == "# Something else\n"


def test_grouping_is_one_of_the_benchmarks() -> None:
    """`python -m tests.benchmarks grouping` scores mechanisms, and serves nothing."""
    done = CliRunner().invoke(main, ["grouping", "--help"])
    assert done.exit_code == 0, done.output
    assert "Score each grouping mechanism" in done.output
