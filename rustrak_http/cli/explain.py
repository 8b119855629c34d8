"""``rustrak explain``: why an event is in its issue, in words."""

from collections.abc import Mapping
from typing import Any, Final

import click

from rustrak_http.cli.command import examples
from rustrak_http.cli.event import event_named
from rustrak_http.cli.options import Place, json_option, open_tracker, option, project_named, with_place
from rustrak_http.cli.output import print_json, print_text, print_wrapped, safe

_SHOWN: Final = 300
"""Characters of a text that are shown; ``--json`` has all of it."""


@click.command(
    epilog=examples(
        "rustrak explain 550e8400-e29b-41d4-a716-446655440000",
        "rustrak explain MY-APP-1",
        "rustrak explain MY-APP-1 --json | jq .parts",
    )
)
@click.argument("event_id", metavar="EVENT")
@option("--project", metavar="PROJECT", help="Chooses where several projects hold that id: a number or a slug.")
@with_place
@json_option
def explain(*, event_id: str, project: str | None, place: Place, as_json: bool) -> None:
    """Say why EVENT is in its issue: what its grouping key is made of, what was ignored, and who decided.

    EVENT is an id, with or without hyphens, or the short id of an issue, for its newest event.
    """
    with open_tracker(place) as tracker:
        chosen = None if project is None else project_named(tracker, project).id
        found = event_named(tracker, event_id, chosen)
        short_id = tracker.issue(found["issue_id"]).short_id
    if as_json:
        print_json(found["grouping"])
        return
    click.echo(f"{short_id}  event {found['id']}")
    click.echo(f"  {safe(shown(headline(found)))}\n")
    _print(found["grouping"])


def _print(grouping: Mapping[str, Any]) -> None:
    why = ""
    if grouping["decided_by"] == "mechanism":
        why = f"Neither the application nor a rule of the project sets a fingerprint, so {decider(grouping)} decides. "
    print_text(f"{why}{grouping['summary']}")
    if grouping["note"]:
        print_text(grouping["note"])
    if grouping["parts"]:
        click.echo("\nIts grouping key is made of:")
        rows = [(part["name"], shown(part["value"]), part["source"]) for part in grouping["parts"]]
        print_wrapped(("part", "value", "taken from"), rows)
    if grouping["rules"]:
        click.echo("\nRules of the project that took part:")
        for rule in grouping["rules"]:
            click.echo(f"  {safe(rule)}")
    if grouping["ignored"]:
        click.echo("\nLooked at, and ignored:")
        print_wrapped(("what", "why"), ((shown(each["what"]), each["why"]) for each in grouping["ignored"]))
    if grouping["parts"]:
        click.echo("\nNothing else in the event matters to its grouping.")
    click.echo(f"Grouping key: {key_of(grouping)}")


def decider(grouping: Mapping[str, Any]) -> str:
    """Return who decided on a key, in words that can stand in a sentence; ``""`` where that is not known."""
    by = {
        "mechanism": f"the mechanism {grouping['mechanism']}",
        "fingerprint": "the fingerprint that came with the event",
        "rule": "a rule of the project",
    }
    return by.get(grouping["decided_by"], "")


def key_of(grouping: Mapping[str, Any]) -> str:
    """Return a key as it is written: mechanism and digits."""
    return f"{grouping['mechanism']}:{grouping['key']}"


def headline(event: Mapping[str, Any]) -> str:
    """Return what the event, as the API shows it, says in a line: type and first line of the message."""
    from rustrak_core.accepted import EventKind
    from rustrak_core.event.title import title_of

    title = title_of(event, EventKind.CSP if event.get("type") == "csp" else EventKind.EVENT)
    line = title.message.strip().partition("\n")[0]
    return f"{title.type}: {line}" if line else title.type


def shown(text: str) -> str:
    r"""Return *text* as tables show it: bounded, line feeds as ``\n``, and ``(empty)`` where there is none."""
    if not text:
        return "(empty)"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
