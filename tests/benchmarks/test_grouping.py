"""The grouping part of the benchmark, at its smallest."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rustrak_core.grouping import MECHANISMS
from tests.benchmarks.grouping import main, score


def labelled(*families: str) -> list[dict[str, object]]:
    """Return events whose key is a letter, each with its family, as in ``a1``: family a, key 1."""
    return [
        {"track": "t", "project": "p", "family": each[0], "event": {"message": f"says {each[1]}"}} for each in families
    ]


@pytest.mark.parametrize(
    ("events", "figures"),
    [
        (["ax", "ax", "by"], {"precision": 1, "recall": 1, "f1": 1, "b3": 1, "accuracy": 1}),
        (["ax", "ax", "bx"], {"precision": 1 / 3, "recall": 1, "f1": 0.5, "accuracy": 0, "families_per_issue": 2}),
        (["ax", "ay", "bz"], {"precision": 1, "recall": 0, "f1": 0, "accuracy": 1 / 3, "issues_per_family": 1.5}),
        (["ax", "ax", "ay", "by"], {"precision": 0.5, "recall": 1 / 3, "b3": 12 / 17, "issues": 2, "families": 2}),
    ],
)
def test_scores(events: list[str], figures: dict[str, float]) -> None:
    """Scores worked out by hand: all right, one issue for two bugs, two issues for one, and a bit of each."""
    found = score(labelled(*events), lambda event: str(event["message"]))
    assert {name: getattr(found, name) for name in figures} == pytest.approx(figures)


def test_each_mechanism_is_in_the_table(tmp_path: Path) -> None:
    """The command prints a table a mechanism, and writes the same as JSON."""
    with gzip.open(tmp_path / "dev.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(each) + "\n" for each in labelled("ax", "ax", "by"))
    done = CliRunner().invoke(main, ["--data", str(tmp_path), "--out", str(tmp_path), "--runs", "1"])
    assert done.exit_code == 0, done.output
    assert all(f"{name}, " in done.output for name in MECHANISMS)
    report = json.loads((tmp_path / "grouping.json").read_text())
    assert report["anchor@1"]["tracks"]["overall"]["b3"] == 1


def test_a_folder_without_events_is_said(tmp_path: Path) -> None:
    """Who has no labelled events is told what to name."""
    done = CliRunner().invoke(main, ["--data", str(tmp_path)])
    assert (done.exit_code, "--data" in done.output) == (2, True)
