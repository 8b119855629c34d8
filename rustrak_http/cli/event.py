"""``rustrak event``: one event in a terminal, its stack trace as Python prints one."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from rustrak_core.errors import InvalidInputError, UnknownEventError, UnknownIssueError
from rustrak_core.project import ProjectId
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Place, json_option, open_tracker, option, project_named, with_place
from rustrak_http.cli.output import print_json, safe

if TYPE_CHECKING:
    from rustrak_core.digested import EventSummary
    from rustrak_core.tracker import Tracker


@click.command(
    epilog=examples(
        "rustrak event 550e8400-e29b-41d4-a716-446655440000",
        "rustrak event MY-APP-1",
        "rustrak event MY-APP-1 --json | jq .breadcrumbs",
    )
)
@click.argument("event_id")
@option("--project", metavar="PROJECT", help="Chooses where several projects hold that id: a number or a slug.")
@with_place
@json_option
def event(*, event_id: str, project: str | None, place: Place, as_json: bool) -> None:
    """Show the event EVENT_ID, as `capture_exception()` returned it.

    Hyphens do not matter. A short id of an issue shows that issue's newest event.
    """
    with open_tracker(place) as tracker:
        chosen = None if project is None else project_named(tracker, project).id
        found = event_named(tracker, event_id, chosen)
        short_id = tracker.issue(found["issue_id"]).short_id
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(_lines(found, short_id)))


def event_named(tracker: "Tracker", text: str, project: ProjectId | None = None) -> dict[str, Any]:
    """Return the event that *text* names, as the API shows it: its id, or its issue's short id for the newest.

    Args:
        tracker: Where it is.
        text: An event id, with or without hyphens, or the short id of an issue.
        project: Chooses where several projects hold that id; the newest otherwise.

    Raises:
        UnknownEventError: there is no such event.
        UnknownIssueError: *text* is no event id, and no issue has that short id.
    """
    from rustrak_core.event_id import parse_event_id

    try:
        event_id = parse_event_id(text)
    except InvalidInputError:
        newest = _newest(tracker, text)
        event_id = newest.id if newest else None
        project = newest.project_id if newest and project is None else project
    if event_id is None:
        raise UnknownEventError("no such event; give its id, or the short id of an issue, as in MY-APP-1")
    return tracker.event_json(event_id, project=project)


def _newest(tracker: "Tracker", short_id: str) -> "EventSummary | None":
    try:
        return next(iter(tracker.events(short_id, limit=1)), None)
    except UnknownIssueError:
        raise UnknownIssueError("no such issue or event; `rustrak issues` shows the short ids of issues") from None


def _lines(event: Mapping[str, Any], short_id: str) -> Iterator[str]:
    from rustrak_http.cli.stacktrace import stack_lines

    yield f"{short_id}  event {event['id']}"
    yield from _facts(event)
    yield ""
    yield from (safe(line, newlines=True) for line in stack_lines(event))


def _facts(event: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each of the things that say where an event comes from, aligned."""
    request = event.get("request")
    request = request if isinstance(request, Mapping) else {}
    facts = {
        "time": event.get("timestamp"),
        "level": event.get("level"),
        "platform": event.get("platform"),
        "environment": event.get("environment"),
        "release": event.get("release"),
        "server": event.get("server_name"),
        "logger": event.get("logger"),
        "transaction": event.get("transaction"),
        "request": " ".join(str(request[key]) for key in ("method", "url") if request.get(key)),
        "user": _pairs(event.get("user")),
        "tags": _pairs(event.get("tags")),
    }
    for name, value in facts.items():
        if value is not None and value != "":
            yield f"  {name:<12} {safe(value)}"


def _pairs(value: Any) -> str:
    """Return an object, or a list of pairs, as ``key=value, key=value``; nested values are left out."""
    if isinstance(value, Mapping):
        value = list(value.items())
    if not isinstance(value, list):
        return ""
    pairs = [pair for pair in value if isinstance(pair, list | tuple) and len(pair) == 2]
    return ", ".join(f"{key}={one}" for key, one in pairs if one is not None and not isinstance(one, list | dict))
