"""``rustrak grouping``: a project's rules on grouping, and the mechanism that it pins."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rustrak_core.errors import InvalidInputError, MalformedRulesError
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Place, json_option, open_tracker, project_named, with_place
from rustrak_http.cli.output import print_json, safe

if TYPE_CHECKING:
    from rustrak_core.ports import ProjectGrouping
    from rustrak_core.project import Project

_READ_MAX = 1024 * 1024


def _complete_mechanism(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from rustrak_core.grouping import MECHANISMS

    return [name for name in MECHANISMS if name.startswith(incomplete)]


@click.group(
    epilog=examples(
        "rustrak grouping show my-app",
        "rustrak grouping check rules.toml",
        "rustrak grouping set my-app rules.toml",
        "rustrak grouping pin my-app message@1",
    )
)
def grouping() -> None:
    """Show and set how a project's events are grouped: its rules, and its mechanism.

    What is set holds for events that are digested from then on, by a running server within two seconds; events that are
    filed stay where they are.
    """


@grouping.command(
    epilog=examples("rustrak grouping show my-app", "rustrak grouping show my-app --json | jq -r .rules > rules.toml")
)
@click.argument("which", metavar="PROJECT")
@with_place
@json_option
def show(which: str, *, place: Place, as_json: bool) -> None:
    """Show the rules of PROJECT, and what is in force.

    PROJECT is a number or a slug.
    """
    with open_tracker(place) as tracker:
        found = project_named(tracker, which)
        kept = tracker.grouping(found)
    _show(found, kept, as_json=as_json)


@grouping.command(
    "set",
    epilog=examples(
        "rustrak grouping set my-app rules.toml",
        "rustrak grouping set my-app - < rules.toml",
        "rustrak grouping set my-app /dev/null",
    ),
)
@click.argument("which", metavar="PROJECT")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@with_place
@json_option
def set_(which: str, *, file: str, place: Place, as_json: bool) -> None:
    """Give PROJECT the rules in FILE, in place of its own.

    FILE is a TOML file, or - for standard input; an empty one takes all rules away. With an error in it nothing is
    changed, and the line is named.
    """
    rules = _read(file)
    _checked(file, rules)
    with open_tracker(place) as tracker:
        found = project_named(tracker, which)
        kept = tracker.set_rules(found, rules)
    if as_json:
        _show(found, kept, as_json=True)
    else:
        click.echo(f"{found.slug} now has {_in_force(kept.rules)}.")


@grouping.command(epilog=examples("rustrak grouping pin my-app message@1"))
@click.argument("which", metavar="PROJECT")
@click.argument("mechanism", shell_complete=_complete_mechanism)
@with_place
@json_option
def pin(which: str, *, mechanism: str, place: Place, as_json: bool) -> None:
    """Have PROJECT grouped by MECHANISM, and not the default.

    So it stays when a later version has another default. It is written into the project's rules, which else stay.
    Errors that are known still come to their issues.
    """
    _pin(which, mechanism, place=place, as_json=as_json)


@grouping.command(epilog=examples("rustrak grouping unpin my-app"))
@click.argument("which", metavar="PROJECT")
@with_place
@json_option
def unpin(which: str, *, place: Place, as_json: bool) -> None:
    """Have PROJECT grouped by the default; its rules stay."""
    _pin(which, None, place=place, as_json=as_json)


@grouping.command(epilog=examples("rustrak grouping check rules.toml", "rustrak grouping check - < rules.toml"))
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@json_option
def check(file: str, *, as_json: bool) -> None:
    """Check the rules in FILE, without a store.

    FILE is a TOML file, or - for standard input. The exit status is 1 where something in it is no rule, and the line is
    named.
    """
    rules = _read(file)
    _checked(file, rules)
    if as_json:
        from rustrak_core.grouping import settings_of

        read = settings_of(rules).rules
        pinned = read.mechanism if read.pinned else None
        print_json({"mechanism": read.mechanism, "pinned": pinned, "rules_count": len(read.rules)})
    else:
        click.echo(f"{_named(file)} is right: {_in_force(rules)}.")


def _pin(which: str, mechanism: str | None, *, place: Place, as_json: bool) -> None:
    with open_tracker(place) as tracker:
        found = project_named(tracker, which)
        kept = tracker.pin_mechanism(found, mechanism)
    if as_json:
        _show(found, kept, as_json=True)
    else:
        click.echo(f"{found.slug} now has {_in_force(kept.rules)}.")


def _read(file: str) -> str:
    """Return the text of a file, without the mark that some editors put before it.

    Raises:
        InvalidInputError: it is no text in UTF-8, or far too long.
        OSError: it cannot be read.
    """
    with click.open_file(file, "rb") as stream:
        data: bytes = stream.read(_READ_MAX + 1)
    if len(data) > _READ_MAX:
        raise InvalidInputError(_named(file), "far too long for rules; is it another file?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInputError(_named(file), f"line {line}: no text in UTF-8; save it as such") from None


def _named(file: str) -> str:
    return "standard input" if file == "-" else safe(Path(file).name)


def _checked(file: str, rules: str) -> None:
    from rustrak_core.grouping import Rules

    try:
        Rules.from_toml(rules)
    except MalformedRulesError as error:
        raise InvalidInputError(_named(file), safe(error)) from None


def _in_force(text: str) -> str:
    """Return what is in force by the *text* of rules, as in ``2 rules and the mechanism anchor@1, the default``."""
    from rustrak_core.grouping import settings_of

    rules = settings_of(text).rules
    number = {0: "no rules", 1: "1 rule"}.get(len(rules.rules), f"{len(rules.rules)} rules")
    return f"{number} and the mechanism {rules.mechanism}, {'pinned' if rules.pinned else 'the default'}"


def _show(project: "Project", kept: "ProjectGrouping", *, as_json: bool) -> None:
    from rustrak_core.tracker.rules import grouping_to_json

    shown: dict[str, Any] = grouping_to_json(kept)
    if as_json:
        print_json(shown)
        return
    click.echo(f"{project.slug} has {_in_force(kept.rules)}.")
    if shown["problem"]:
        click.echo(f"Mind: {safe(shown['problem'])}.")
    if len(kept.used) > 1:
        click.echo(f"It has used the mechanisms {', '.join(map(safe, kept.used))}, in this order.")
    if shown["changed_at"]:
        click.echo(f"Its rules were set at {shown['changed_at']}.")
    if kept.rules.strip():
        click.echo(f"\n{safe(kept.rules.rstrip(), newlines=True)}")
