"""How often the right issue is among the first ten similar ones, where grouping opened a needless new one.

The events are those of `tests.benchmarks.grouping`. An issue is needless where an earlier one of its project has an
event of the same family; right is any other issue that has one.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
import click

from rustrak_core import grouping
from rustrak_core.grouping import DEFAULT_MECHANISM, Rules
from rustrak_core.grouping.similar import terms_of
from rustrak_core.similar import Scorer, Term, best
from tests.benchmarks.grouping import DATA, Labelled, load

_FIRST: Final = 10


@attrs.frozen(kw_only=True)
class Found:
    """What was found.

    Attributes:
        needless: How many issues were needless.
        first: For how many of them the first similar issue is right; *first_ten*: one of the first ten.
        us_per_issue: How long the terms of an issue take, in microseconds of processor time.
    """

    needless: int
    first: int
    first_ten: int
    us_per_issue: float


@attrs.define
class _Issue:
    number: int
    terms: tuple[Term, ...]
    families: set[str]


def similar(labelled: Sequence[Labelled], rules: Rules) -> Found:
    """Return how often the right issue is found, where events are grouped by *rules*."""
    projects: defaultdict[str, dict[str, _Issue]] = defaultdict(dict)
    needless: list[tuple[str, _Issue, str]] = []
    spent = 0.0
    for each in labelled:
        issues, family = projects[each["project"]], each["family"]
        key = str(grouping.key(each["event"], rules))
        if key not in issues:
            started = time.thread_time()
            issue = _Issue(len(issues), terms_of(each["event"]), set())
            spent += time.thread_time() - started
            if any(family in one.families for one in issues.values()):
                needless.append((each["project"], issue, family))
            issues[key] = issue
        issues[key].families.add(family)
    held_by = {
        name: Counter(term for one in issues.values() for term in one.terms) for name, issues in projects.items()
    }
    ranks = [_rank(projects[project], held_by[project], issue, family) for project, issue, family in needless]
    return Found(
        needless=len(ranks),
        first=sum(rank == 0 for rank in ranks),
        first_ten=sum(rank is not None for rank in ranks),
        us_per_issue=spent / max(sum(map(len, projects.values())), 1) * 1e6,
    )


def _rank(issues: Mapping[str, _Issue], held_by: Mapping[Term, int], issue: _Issue, family: str) -> int | None:
    """Return where among the first ten the first right issue stands, from 0; None where none is among them."""
    by_number = {one.number: one for one in issues.values()}
    scorer = Scorer(issue.terms, held_by, len(by_number))
    others = [one for one in by_number.values() if one is not issue]
    scored = best((scorer.score(one.number, {*one.terms} & {*issue.terms}, len(one.terms)) for one in others), _FIRST)
    right = [family in by_number[each.issue].families for each in scored]
    return right.index(True) if any(right) else None


@click.command("similar")
@click.option("--data", default=DATA, show_default=True, type=click.Path(path_type=Path), help="Labelled events.")
@click.option("--out", default="bench-results", show_default=True, type=click.Path(path_type=Path), help="Folder.")
def main(data: Path, out: Path) -> None:
    """Tell how often the right issue is among the first ten similar ones."""
    if not (data / "dev.jsonl.gz").exists():
        raise click.UsageError(f"there are no labelled events in {data}; name a folder with --data")
    labelled = load(data)
    found = similar(labelled, Rules(mechanism=DEFAULT_MECHANISM))
    click.echo(
        f"{DEFAULT_MECHANISM}: {found.needless} needless issues; the right one is the first one for {found.first},"
        f" among the first ten for {found.first_ten}; {found.us_per_issue:.0f} us an issue"
    )
    out.mkdir(parents=True, exist_ok=True)
    file = out / "similar.json"
    file.write_text(json.dumps({DEFAULT_MECHANISM: attrs.asdict(found)}, indent=2) + "\n")
    click.echo(file)
