"""The part of the benchmark about similar issues: at its smallest, and what it must come to."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rustrak_core.grouping import Rules
from tests.benchmarks.grouping import DATA, load
from tests.benchmarks.similar import main, similar


def labelled(*families: str) -> list[dict[str, object]]:
    """Return events that say some words, each with its family, as in ``a:no pear left``."""
    pairs = [each.split(":") for each in families]
    return [{"track": "t", "project": "p", "family": family, "event": {"message": said}} for family, said in pairs]


def test_counts() -> None:
    """Of two needless issues, the one that has words in common with its family is found first; both are among ten."""
    events = labelled("a:pear is gone", "b:plum was lost", "a:pear is missing", "b:apple to eat", "a:pear is gone")
    found = similar(events, Rules(mechanism="anchor@1"))
    assert (found.needless, found.first, found.first_ten) == (2, 1, 2)


def test_the_command_tells(tmp_path: Path) -> None:
    """The command prints a line, and writes the same as JSON."""
    with gzip.open(tmp_path / "dev.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(each) + "\n" for each in labelled("a:pear is gone", "a:pear is missing"))
    done = CliRunner().invoke(main, ["--data", str(tmp_path), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "anchor@1: 1 needless issues" in done.output
    assert json.loads((tmp_path / "similar.json").read_text())["anchor@1"]["first_ten"] == 1


def test_a_folder_without_events_is_said(tmp_path: Path) -> None:
    """Who has no labelled events is told what to name."""
    done = CliRunner().invoke(main, ["--data", str(tmp_path)])
    assert (done.exit_code, "--data" in done.output) == (2, True)


@pytest.mark.skipif(not (DATA / "dev.jsonl.gz").exists(), reason=f"there are no labelled events in {DATA}")
def test_the_right_issue_is_found() -> None:
    """On the labelled events, the right issue is among the first ten in 92 of 100 cases of a needless new one."""
    found = similar(load(DATA), Rules(mechanism="anchor@1"))
    assert found.needless >= 50
    assert found.first_ten >= 0.92 * found.needless
