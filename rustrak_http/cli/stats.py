"""``rustrak stats``: what became of every event, day by day."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from rustrak_core.accepted import EVENT_OUTCOMES
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Place, json_option, open_tracker, option, project_named, with_place
from rustrak_http.cli.output import print_list, print_table

if TYPE_CHECKING:
    from rustrak_core.project import Project
    from rustrak_core.tracker import Tracker

_COLUMNS = ("received", *EVENT_OUTCOMES, "queued")
_SHOWN_ALWAYS = frozenset({"received", "stored", "queued"})


def _day(_ctx: click.Context, _param: click.Parameter, given: str | None) -> date | None:
    try:
        return None if given is None else date.fromisoformat(given)
    except ValueError:
        raise click.BadParameter("write a day as in 2024-01-15") from None


@click.command(epilog=examples("rustrak stats", "rustrak stats my-app --since 2024-01-01 --json"))
@click.argument("which", metavar="[PROJECT]", required=False)
@option("--since", callback=_day, metavar="DAY", help="First day, in UTC; 30 days ago by default.")
@option("--until", callback=_day, metavar="DAY", help="Last day; today by default.")
@with_place
@json_option
def stats(which: str | None, *, since: date | None, until: date | None, place: Place, as_json: bool) -> None:
    """Show what became of the events of PROJECT, a number or a slug, or of all projects, day by day.

    What was received is the sum of the columns that follow; what SDKs say they dropped themselves stands beside it.
    """
    from rustrak_http.resources.stats import day_range

    first, last = day_range(since, until, datetime.now(UTC).date())
    with open_tracker(place) as tracker:
        projects = list(tracker.projects()) if which is None else [project_named(tracker, which)]
        found = [(project, row) for project in projects for row in _rows(tracker, place, project, first, last)]
    if as_json:
        print_list({"project_id": project.id, **row} if which is None else row for project, row in found)
    elif not found:
        click.echo("Nothing was received in that time.", err=True)
    else:
        _print(found)


def _rows(tracker: "Tracker", place: Place, project: "Project", since: date, until: date) -> list[dict[str, Any]]:
    from rustrak_http.resources.stats import stats_rows
    from rustrak_storage.spool.survey import Survey

    survey = Survey(place.spool_dir) if place.spool_dir.is_dir() else None
    return stats_rows(tracker.store, survey, project.id, since=since, until=until)


def _print(found: "list[tuple[Project, dict[str, Any]]]") -> None:
    shown = [name for name in _COLUMNS if name in _SHOWN_ALWAYS or any(row[name] for _, row in found)]
    headings = [name.upper().replace("_", " ") for name in shown]
    print_table(
        ("PROJECT", "DAY (UTC)", *headings, "DROPPED BY SDKS"),
        (
            (project.slug, row["day"], *(row[name] for name in shown), sum(row["sdk_dropped"].values()))
            for project, row in found
        ),
        right=(*headings, "DROPPED BY SDKS"),
        whole=True,
    )
