"""How good each grouping mechanism is on labelled events, and how long it takes.

The events lie beside the project, in ``../shared/grouping``: one JSON object a line, with ``track``, ``project``,
``family`` (what a person would call one bug) and ``event``.
"""

import gzip
import json
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import click

from rustrak_core import grouping
from rustrak_core.grouping import MECHANISMS, Rules

DATA: Final = Path(__file__).parents[2].parent / "shared" / "grouping"

Labelled = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Score:
    """How events are grouped, against their families; all but counts from 0 to 1, the more the better.

    Attributes:
        events, families, issues: Counts.
        precision: Of pairs of events in one issue, how many are of one family.
        recall: Of pairs of events of one family, how many are in one issue.
        b3: The harmonic mean of B-cubed precision and recall, which count events instead of pairs.
        accuracy: The share of events whose issue is exactly their family.
        issues_per_family, families_per_issue: 1 is the best of both.
    """

    events: float
    families: float
    issues: float
    precision: float
    recall: float
    f1: float
    b3: float
    accuracy: float
    issues_per_family: float
    families_per_issue: float


def load(folder: Path) -> Sequence[Labelled]:
    """Return the labelled events of *folder*."""
    with gzip.open(folder / "dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def score(labelled: Iterable[Labelled], key: Callable[[Mapping[str, Any]], Hashable]) -> Score:
    """Return how well *key* groups *labelled* events; events of two projects are never together."""
    both = Counter(((each["project"], each["family"]), (each["project"], key(each["event"]))) for each in labelled)
    families: Counter[Hashable] = Counter()
    issues: Counter[Hashable] = Counter()
    for (family, issue), count in both.items():
        families[family] += count
        issues[issue] += count
    events = families.total()
    together = sum(map(_pairs, both.values()))
    precision = _share(together, sum(map(_pairs, issues.values())))
    recall = _share(together, sum(map(_pairs, families.values())))
    b3_precision = sum(count * count / issues[issue] for (_, issue), count in both.items()) / events
    b3_recall = sum(count * count / families[family] for (family, _), count in both.items()) / events
    exact = sum(count for (family, issue), count in both.items() if count == families[family] == issues[issue])
    return Score(
        events=events,
        families=len(families),
        issues=len(issues),
        precision=precision,
        recall=recall,
        f1=_mean(precision, recall),
        b3=_mean(b3_precision, b3_recall),
        accuracy=exact / events,
        issues_per_family=len(both) / len(families),
        families_per_issue=len(both) / len(issues),
    )


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _mean(one: float, other: float) -> float:
    return 2 * one * other / (one + other) if one + other else 0.0


def scores(labelled: Sequence[Labelled], rules: Rules) -> Mapping[str, Score]:
    """Return the score of each track, and ``overall``: their plain mean, counts added."""
    tracks: defaultdict[str, list[Labelled]] = defaultdict(list)
    for each in labelled:
        tracks[each["track"]].append(each)
    found = {track: score(tracks[track], lambda event: str(grouping.key(event, rules))) for track in sorted(tracks)}
    names = [field.name for field in attrs.fields(Score)]
    counts = {"events", "families", "issues"}
    found["overall"] = Score(
        **{
            name: (sum if name in counts else statistics.fmean)(getattr(each, name) for each in found.values())
            for name in names
        }
    )
    return found


def microseconds(labelled: Sequence[Labelled], rules: Rules, runs: int = 3) -> float:
    """Return how long a key takes, in microseconds of processor time an event; the best of *runs*."""
    events = [each["event"] for each in labelled]
    best = float("inf")
    for _ in range(runs):
        started = time.thread_time()
        for event in events:
            grouping.key(event, rules)
        best = min(best, time.thread_time() - started)
    return best / len(events) * 1e6


@click.command("grouping")
@click.option("--data", default=DATA, show_default=True, type=click.Path(path_type=Path), help="Labelled events.")
@click.option("--runs", default=3, show_default=True, help="Of which the quickest is shown.")
@click.option("--out", default="bench-results", show_default=True, type=click.Path(path_type=Path), help="Folder.")
def main(data: Path, runs: int, out: Path) -> None:
    """Score each grouping mechanism on labelled events, with its time an event."""
    if not (data / "dev.jsonl.gz").exists():
        raise click.UsageError(f"there are no labelled events in {data}; name a folder with --data")
    labelled = load(data)
    report: dict[str, Any] = {}
    for name in MECHANISMS:
        rules = Rules(mechanism=name)
        tracks, took = scores(labelled, rules), microseconds(labelled, rules, runs)
        report[name] = {"us_per_event": took, "tracks": {track: attrs.asdict(each) for track, each in tracks.items()}}
        click.echo(_table(name, tracks, took))
    out.mkdir(parents=True, exist_ok=True)
    file = out / "grouping.json"
    file.write_text(json.dumps(report, indent=2) + "\n")
    click.echo(file)


_COLUMNS: Final = (
    ("events", "events"),
    ("families", "families"),
    ("issues", "issues"),
    ("precision", "P"),
    ("recall", "R"),
    ("f1", "F1"),
    ("b3", "B3"),
    ("accuracy", "GA"),
    ("issues_per_family", "i/f"),
    ("families_per_issue", "f/i"),
)


def _table(name: str, tracks: Mapping[str, Score], took: float) -> str:
    lines = [f"{name}, {took:.1f} us an event", f"{'track':10}" + "".join(f"{title:>9}" for _, title in _COLUMNS)]
    for track, found in tracks.items():
        values = [getattr(found, field) for field, _ in _COLUMNS]
        shown = [f"{value:9.3f}" if index > 2 else f"{value:9.0f}" for index, value in enumerate(values)]
        lines.append(f"{track:10}" + "".join(shown))
    return "\n".join([*lines, ""])
