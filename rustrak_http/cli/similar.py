"""``rustrak similar``: issues that may be the same bug, and why."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rustrak_http.cli.command import examples
from rustrak_http.cli.issues import title
from rustrak_http.cli.options import Integer, Place, json_option, open_tracker, option, with_place
from rustrak_http.cli.output import print_list, safe

if TYPE_CHECKING:
    from rustrak_core.similar import SimilarIssue


@click.command(
    epilog=examples("rustrak similar SHOP-7", "rustrak similar SHOP-7 --limit 3 --json | jq '.data[].issue.short_id'")
)
@click.argument("issue", metavar="ISSUE")
@option("--limit", type=Integer(1, 100), default=10, show_default=True, help="How many at most.")
@with_place
@json_option
def similar(*, issue: str, limit: int, place: Place, as_json: bool) -> None:
    """Show issues of its project that are like ISSUE, the most similar first, with what they have in common.

    ISSUE is a short id or a number. `rustrak merge` makes those one that are one bug.
    """
    with open_tracker(place) as tracker:
        found = tracker.similar(issue, limit=limit)
    if as_json:
        from rustrak_http.shapes import similar_to_json

        print_list(similar_to_json(each) for each in found)
    elif not found:
        click.echo("No issue of its project has anything of weight in common with it.", err=True)
    else:
        click.echo("\n".join(line for each in found for line in _lines(each)))


def _lines(similar: "SimilarIssue") -> Iterator[str]:
    issue = similar.issue
    yield f"{similar.score:.2f}  {issue.short_id}  {issue.state.value}  {safe(title(issue))}"
    for reason in similar.why:
        yield f"      {reason.share:4.0%}  {safe(reason.text)}"
