"""The benchmarks run, also where wrk is missing; what they measure is nobody's promise here."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.benchmarks.__main__ import main


@pytest.mark.slow
def test_smallest_form(tmp_path: Path) -> None:
    """A small run prints its table, and writes the same figures as JSON."""
    options = ["--requests", "100", "--connections", "4", "--runs", "1", "--events", "300", "--route-requests", "2"]
    done = CliRunner().invoke(
        main, [*options, "--server", "all", "--no-wrk", "--out", str(tmp_path)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert "accepted and durable" in done.output
    (file,) = tmp_path.glob("*.json")
    report = json.loads(file.read_text())
    assert report["servers"].keys() == {"waitress", "granian"}
    for figures in report["servers"].values():
        assert figures["null"]["errors"] == figures["ingest"]["accept_errors"] == 0
        assert figures["ingest"]["digested_per_s"] > 0
    assert report["routes"]["issues"]["p95_ms"] > 0
