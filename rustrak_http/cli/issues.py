"""``rustrak issues``: the issues of a project, or of all, in a terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Integer, Place, json_option, open_tracker, option, project_named, with_place
from rustrak_http.cli.output import ago, print_list, print_table

if TYPE_CHECKING:
    from rustrak_core.issue import Issue
    from rustrak_core.tracker import Tracker

FILTERS = ("state", "q", "environment", "release", "level")


@click.command(
    epilog=examples(
        "rustrak issues",
        "rustrak issues my-app --state open --sort event_count",
        'rustrak issues my-app --q "timeout server_name:web-1" --json',
    )
)
@click.argument("project", required=False)
@option("--state", type=click.Choice(["open", "resolved", "muted"]), help="Only these; all by default.")
@option("--q", metavar="TEXT", default="", help="Words in type, message or culprit; key:value is a tag.")
@option("--environment", metavar="NAME", help="Seen in this environment.")
@option("--release", metavar="NAME", help="Seen in this release.")
@option("--level", metavar="NAME", help="Seen at this level.")
@option(
    "--sort",
    type=click.Choice(["last_seen", "first_seen", "event_count"]),
    default="last_seen",
    show_default=True,
    help="What to sort by.",
)
@option(
    "--order", type=click.Choice(["desc", "asc"]), default="desc", show_default=True, help="Newest, or most, first."
)
@option("--limit", type=Integer(1), default=50, show_default=True, help="How many at most.")
@with_place
@json_option
def issues(*, project: str | None, limit: int, place: Place, as_json: bool, **filters: Any) -> None:
    """List the issues of PROJECT, a number or a slug; of all projects by default."""
    with open_tracker(place) as tracker:
        found = list(_find(tracker, project, limit, filters))
        now = tracker.clock()
    if as_json:
        from rustrak_http.shapes import issue_to_json

        print_list(issue_to_json(issue) for issue in found)
    elif not found:
        click.echo(_none(narrowed=project is not None or any(filters[name] for name in FILTERS)), err=True)
    else:
        print_table(
            ("ISSUE", "STATE", "LEVEL", "EVENTS", "USERS", "LAST SEEN", "WHAT"),
            (
                (
                    issue.short_id,
                    issue.state.value,
                    issue.level,
                    issue.event_count,
                    issue.user_count,
                    ago(issue.last_seen, now),
                    title(issue),
                )
                for issue in found
            ),
            right=("EVENTS", "USERS"),
        )


def _none(*, narrowed: bool) -> str:
    if narrowed:
        return "No such issues; `rustrak issues` alone shows those of all projects."
    return "There are no issues yet. `rustrak project list` shows DSNs; `rustrak send-event DSN` sends a first event."


def title(issue: "Issue") -> str:
    """Return what an issue is, on one line."""
    first_line = issue.message.strip().partition("\n")[0]
    return f"{issue.type}: {first_line}" if first_line else issue.type


def _find(tracker: "Tracker", project: str | None, limit: int, filters: dict[str, Any]) -> "Iterator[Issue]":
    descending = filters["order"] == "desc"
    filters = {name: value for name, value in filters.items() if name != "order"}
    chosen = list(tracker.projects()) if project is None else [project_named(tracker, project)]
    found = [issue for one in chosen for issue in tracker.issues(one, descending=descending, limit=limit, **filters)]
    if len(chosen) > 1:
        found.sort(key=lambda issue: (getattr(issue, filters["sort"]), issue.id), reverse=descending)
    yield from found[:limit]
