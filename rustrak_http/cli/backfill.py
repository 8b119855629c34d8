"""``rustrak backfill``: the newer grouping keys of issues, worked out from stored events."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Place, json_option, open_tracker, option, project_named, with_place
from rustrak_http.cli.output import print_json, print_text, print_wrapped
from rustrak_http.cli.progress import progress_bar

if TYPE_CHECKING:
    from rustrak_core.digested import GroupingKey
    from rustrak_core.issue import IssueId
    from rustrak_core.ports import FiledEvent
    from rustrak_core.project import Project
    from rustrak_core.tracker import Tracker

_PAGE: Final = 500
_SHOWN: Final = 20
_SHOWN_JSON: Final = 1000


@click.command(
    epilog=examples(
        "rustrak backfill --dry-run",
        "rustrak backfill --project my-app",
        "rustrak backfill --dry-run --json | jq .data",
    )
)
@option("--project", metavar="PROJECT", help="Whose issues: a number or a slug; all projects by default.")
@option("--dry-run", is_flag=True, help="Tell which keys would be attached, and which cannot; change nothing.")
@with_place
@json_option
def backfill(*, project: str | None, dry_run: bool, place: Place, as_json: bool) -> None:
    """Work out the newer grouping keys of issues from their stored events.

    After an upgrade that brings a better mechanism, or another one was pinned, known errors are then found by its keys
    too. The server does it by itself while it has nothing else to do; this does it at once, and goes on where that, or
    a run that was interrupted, stopped.
    """
    with open_tracker(place) as tracker:
        projects = [project_named(tracker, project)] if project is not None else list(tracker.projects())
        rows = [_told(tracker, one) if dry_run else _done(tracker, one) for one in projects]
    if as_json:
        print_json({"data": rows})
        return
    for row in rows:
        _print(row, dry_run=dry_run)
    if not rows:
        click.echo("There are no projects yet; make one with `rustrak project create NAME`.", err=True)


def _told(tracker: "Tracker", project: "Project") -> dict[str, Any]:
    """Return what a backfill would do."""
    from rustrak_core.grouping import settings_of
    from rustrak_core.regroup.backfill import is_due, newer_keys

    rules = settings_of(tracker.grouping(project).rules).rules
    found: dict[GroupingKey, set[IssueId]] = defaultdict(set)
    if is_due(tracker.store, project.id, rules):
        with progress_bar(f"Reading {project.slug}", project.event_count) as advance:
            for page in _pages(tracker, project):
                for key, issues in newer_keys(page, rules).items():
                    found[key] |= issues
                advance(len(page))
    known = tracker.store.owners(project.id, list(found))
    fresh = {key: sorted(issues) for key, issues in found.items() if key not in known}
    conflicts = [(str(key), issues) for key, issues in fresh.items() if len(issues) > 1]
    conflicts.sort(key=lambda conflict: (-len(conflict[1]), conflict[1]))
    return {
        "project_id": project.id,
        "slug": project.slug,
        "mechanism": rules.mechanism,
        "keys": len(fresh) - len(conflicts),
        "conflicts_count": len(conflicts),
        "conflicts": [
            {"key": key, "issues": [tracker.issue(number).short_id for number in issues[:_SHOWN]]}
            for key, issues in conflicts[:_SHOWN_JSON]
        ],
    }


def _pages(tracker: "Tracker", project: "Project") -> "Iterator[Sequence[FiledEvent]]":
    after = 0
    while page := tracker.store.scan(project.id, after=after, limit=_PAGE):
        yield page
        after = page[-1].number


def _done(tracker: "Tracker", project: "Project") -> dict[str, Any]:
    """Do a backfill, and return how far it is."""
    from rustrak_core.regroup.backfill import backfill_step

    with progress_bar(f"Reading {project.slug}", project.event_count) as advance:
        while backfill_step(tracker.store, project.id, limit=_PAGE):
            advance(_PAGE)
    state = tracker.store.backfill(project.id)
    return {
        "project_id": project.id,
        "slug": project.slug,
        "mechanism": None if state is None else state.mechanism,
        "stage": None if state is None else state.stage.value,
    }


def _print(row: dict[str, Any], *, dry_run: bool) -> None:
    slug, mechanism = row["slug"], row["mechanism"]
    if not dry_run:
        said = {
            None: "all issues were opened by the mechanism that it uses, so that nothing is to be done.",
            "done": f"the keys of {mechanism} are attached.",
        }
        print_text(f"{slug}: {said.get(row['stage'], 'another process is at it; it goes on there.')}")
        return
    print_text(
        f"{slug}: {row['keys']:,} keys of {mechanism} would be attached; {row['conflicts_count']:,} would join issues, "
        "and would not."
    )
    if row["conflicts"]:
        shown = row["conflicts"][:_SHOWN]
        print_wrapped(("WOULD JOIN", "KEY"), ((", ".join(each["issues"]), each["key"]) for each in shown))
        click.echo(f"To join them nevertheless: rustrak regroup --project {slug} --dry-run, then --apply")
