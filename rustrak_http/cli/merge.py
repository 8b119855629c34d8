"""``rustrak merge`` and ``rustrak unmerge``: several issues that are one bug."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rustrak_core.errors import UnknownIssueError
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Place, json_option, open_tracker, with_place
from rustrak_http.cli.output import print_json, print_list, print_text

if TYPE_CHECKING:
    from rustrak_core.issue import Issue


@click.command(
    epilog=examples(
        "rustrak merge SHOP-1 SHOP-7",
        "rustrak merge SHOP-1 SHOP-7 SHOP-9 --json | jq .event_count",
    )
)
@click.argument("target", metavar="ISSUE")
@click.argument("sources", metavar="OTHER...", nargs=-1, required=True)
@with_place
@json_option
def merge(*, target: str, sources: Sequence[str], place: Place, as_json: bool) -> None:
    """Make every OTHER part of ISSUE, with its events and those to come.

    Each is a short id or a number. Their short ids lead to ISSUE from then on; `rustrak unmerge` is the undo.
    """
    from rustrak_http.shapes import issue_to_json

    with open_tracker(place) as tracker:
        into = tracker.issue(_known(target)).short_id
        merged = tracker.merge(into, [_known(one) for one in sources])
    if as_json:
        print_json(issue_to_json(merged))
        return
    others = [one.upper() for one in sources]
    print_text(f"{_all(others)} {'is' if len(others) == 1 else 'are'} part of {merged.short_id} now: {_count(merged)}.")
    click.echo(f"The undo: rustrak unmerge {merged.short_id} {' '.join(others)}")


@click.command(epilog=examples("rustrak unmerge SHOP-1 SHOP-7", "rustrak unmerge SHOP-1 SHOP-7 SHOP-9 --json"))
@click.argument("target", metavar="ISSUE")
@click.argument("sources", metavar="OTHER...", nargs=-1, required=True)
@with_place
@json_option
def unmerge(*, target: str, sources: Sequence[str], place: Place, as_json: bool) -> None:
    """Take every OTHER, which was merged into ISSUE, out of it again.

    Each comes back with its short id and its events, also those that came since.
    """
    from rustrak_http.shapes import issue_to_json

    with open_tracker(place) as tracker:
        back = tracker.unmerge(_known(target), [_known(one) for one in sources])
        left = tracker.issue(target)
    if as_json:
        print_list(issue_to_json(issue) for issue in back)
        return
    for issue in (*back, left):
        click.echo(f"{issue.short_id}: {_count(issue)}")


def _known(text: str) -> str:
    """Return *text* if it can name an issue.

    Raises:
        UnknownIssueError: it cannot; the text says how to find those that there are.
    """
    from rustrak_core.issue import issue_ref

    try:
        issue_ref(text)
    except UnknownIssueError:
        raise UnknownIssueError(f"no such issue: {text[:80]!r}; `rustrak issues` shows them all") from None
    return text


def _all(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _count(issue: "Issue") -> str:
    events, users = issue.event_count, issue.user_count
    return f"{events} event{'s'[: events != 1]} of {users} user{'s'[: users != 1]}"
