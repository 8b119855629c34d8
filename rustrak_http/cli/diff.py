"""``rustrak diff``: why two events are, or are not, one issue."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

import attrs
import click

from rustrak_http.cli.command import examples
from rustrak_http.cli.event import event_named
from rustrak_http.cli.explain import decider, headline, key_of, shown
from rustrak_http.cli.options import Place, json_option, open_tracker, option, project_named, with_place
from rustrak_http.cli.output import print_json, print_text, print_wrapped

_BEFORE: Final = 100
"""Characters that are shown before the first that differs, where texts are too long to be shown whole."""


@attrs.frozen
class Side:
    """One of the two events.

    Attributes:
        event: It, as the API shows it.
        short_id: Its issue.
    """

    event: Mapping[str, Any]
    short_id: str

    @property
    def grouping(self) -> Mapping[str, Any]:
        """Why it is in its issue, as the API shows it."""
        grouping: Mapping[str, Any] = self.event["grouping"]
        return grouping

    def parts(self) -> dict[str, str]:
        """Return the parts of its key by name; those of one name are numbered from the second on."""
        found: dict[str, str] = {}
        counts: dict[str, int] = {}
        for part in self.grouping["parts"]:
            name = part["name"]
            counts[name] = counts.get(name, 0) + 1
            found[name if counts[name] == 1 else f"{name} {counts[name]}"] = part["value"]
        return found

    def to_json(self) -> dict[str, Any]:
        """Return what of the event is compared."""
        own = {name: self.event[name] for name in ("id", "issue_id", "project_id")}
        return {**own, "short_id": self.short_id, "grouping": self.grouping}


@click.command(
    epilog=examples(
        "rustrak diff 550e8400-e29b-41d4-a716-446655440000 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "rustrak diff MY-APP-1 MY-APP-2",
        "rustrak diff MY-APP-1 MY-APP-2 --json | jq .together",
    )
)
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@option("--project", metavar="PROJECT", help="Chooses where several projects hold an id: a number or a slug.")
@with_place
@json_option
def diff(*, one: str, other: str, project: str | None, place: Place, as_json: bool) -> None:
    """Say why the events A and B are, or are not, one issue, with what their grouping keys are made of side by side.

    A and B are ids, with or without hyphens, or short ids of issues, for their newest events. The exit status is 0
    whether they are together or apart.
    """
    with open_tracker(place) as tracker:
        chosen = None if project is None else project_named(tracker, project).id
        events = [event_named(tracker, text, chosen) for text in (one, other)]
        left, right = (Side(event, tracker.issue(event["issue_id"]).short_id) for event in events)
    if as_json:
        print_json(
            {
                "together": _together(left, right),
                "summary": verdict(left, right),
                "differences": differences(left, right),
                "events": [left.to_json(), right.to_json()],
            }
        )
        return
    print_text(verdict(left, right))
    hint = _hint(left, right)
    if hint:
        print_text(hint)
    click.echo()
    _print(left, right)


def _together(left: Side, right: Side) -> bool:
    return bool(left.event["issue_id"] == right.event["issue_id"])


def differences(left: Side, right: Side) -> list[str]:
    """Return the names of the parts that differ, or that one key has alone, in the order of the keys."""
    one, other = left.parts(), right.parts()
    return [name for name in [*one, *(name for name in other if name not in one)] if one.get(name) != other.get(name)]


def verdict(left: Side, right: Side) -> str:
    """Return whether two events are one issue, and why, in a sentence or two."""
    same_key = key_of(left.grouping) == key_of(right.grouping)
    if left.event["project_id"] != right.event["project_id"]:
        said = "their keys are the same" if same_key else _how_keys_differ(left, right)
        return f"Apart: they are of two projects, and an issue belongs to one. Besides, {said}."
    if left.event["id"] == right.event["id"]:
        return f"Together: both are the same event, which is in {left.short_id}."
    if _together(left, right):
        if same_key:
            return f"Together: both are in {left.short_id}, since their grouping keys are the same."
        known = f"{left.short_id} keeps every key that leads to it, and has both"
        return f"Together: both are in {left.short_id}, although {_how_keys_differ(left, right)}: {known}."
    issues = f"{left.short_id} and {right.short_id}"
    if same_key:
        return f"Apart: they are in {issues}, although their keys are the same: filed events do not move by themselves."
    return f"Apart: they are in {issues}, since {_how_keys_differ(left, right)}."


def _how_keys_differ(left: Side, right: Side) -> str:
    """Return how two keys that are not equal differ, as it can stand after "since"."""
    one, other = decider(left.grouping), decider(right.grouping)
    if not one or not other:
        return "their grouping keys differ; what they were made of cannot be told any more"
    if one != other:
        return f"their grouping keys are made by different means: A's by {one}, B's by {other}"
    names = differences(left, right)
    return f"their grouping keys differ in {_listed(names)}" if names else "their grouping keys differ"


def _listed(names: Sequence[str]) -> str:
    *before, last = (f"the {name}" if name[0].isalpha() else name for name in names)
    return f"{', '.join(before)} and {last}" if before else last


def _hint(left: Side, right: Side) -> str:
    """Return what a developer can do about it; ``""`` where nothing would help."""
    if left.event["project_id"] != right.event["project_id"] or left.event["id"] == right.event["id"]:
        return ""
    if _together(left, right):
        return (
            'To tell such events apart, send a fingerprint with them, as in ["{{ default }}", "what tells them apart"].'
        )
    return 'To bring such events together from now on, send them with one fingerprint, as in ["a name for both"].'


def _print(left: Side, right: Side) -> None:
    """Print both sides: who and what, then the parts, marked where they differ, then what was ignored."""
    sides = (left, right)
    facts = [
        ("  event", left.event["id"], right.event["id"]),
        ("  issue", left.short_id, right.short_id),
        ("  says", *(shown(headline(side.event)) for side in sides)),
        ("  decided by", *(decider(side.grouping) or "cannot be told" for side in sides)),
    ]
    one, other = left.parts(), right.parts()
    differing = differences(left, right)
    parts = [
        (f"{'*' if name in differing else ' '} {name}", *_texts(one.get(name), other.get(name)))
        for name in {**one, **other}
    ]
    rules = _paired("  rule", left.grouping["rules"], right.grouping["rules"])
    ignored = _paired("  ignored", _ignored(left), _ignored(right))
    rows = [*facts, *parts, *rules, *ignored]
    print_wrapped(("", "A", "B"), rows, marked=[at for at, row in enumerate(rows) if row[0].startswith("*")])
    if differing:
        click.echo("\n* differs. Only these parts decide; all else in the events may differ as it likes.")


def _ignored(side: Side) -> list[str]:
    return [f"{each['what']}: {each['why']}" for each in side.grouping["ignored"]]


def _paired(name: str, one: Sequence[str], other: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return rows of two lists beside each other, named in the first."""
    return [
        (name if at == 0 else "", left and shown(left), right and shown(right))
        for at, (left, right) in enumerate(zip_longest(one, other, fillvalue=""))
    ]


def _texts(one: str | None, other: str | None) -> tuple[str, str]:
    """Return two values as the table shows them: long ones from shortly before where they differ."""
    start = 0
    if one is not None and other is not None and one != other:
        common = next(
            (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
        )
        start = common - _BEFORE if common > 2 * _BEFORE else 0
    return _text(one, start), _text(other, start)


def _text(value: str | None, start: int) -> str:
    if value is None:
        return "(no such part)"
    return f"...{shown(value[start:])}" if start else shown(value)
