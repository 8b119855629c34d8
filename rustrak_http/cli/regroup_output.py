"""What ``rustrak regroup`` prints."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from rustrak_http.cli.explain import shown
from rustrak_http.cli.output import print_json, print_table, print_text, print_wrapped, safe

if TYPE_CHECKING:
    from rustrak_core.regroup import Plan
    from rustrak_storage.duck import About


def print_report(report: Mapping[str, Any], slug: str, about: "About | None" = None) -> None:
    """Print what a plan would do to the issues of a project; *about* is what a dataset is, where it is of one."""
    click.echo(f"{slug}: {_count(report['events'], 'event')} in {_count(report['issues'], 'issue')}")
    if about is not None:
        click.echo(_extent(about))
    click.echo()
    rows = [
        (f"{report['merged']:,}", "would become part of others"),
        (f"{report['split']:,}", "would split"),
        (f"{report['opened']:,}", "would be new"),
    ]
    print_table(("ISSUES", ""), rows, right=("ISSUES",))
    click.echo()
    rows = [
        (f"{report['moved']:,}", "would move to another issue"),
        (f"{report['rekeyed']:,}", "would stay in their issue, filed by another key"),
        (f"{report['unread']:,}", "would stay as they are: their payload is gone or cannot be read"),
    ]
    print_table(("EVENTS", ""), rows, right=("EVENTS",))
    if report["merges"]:
        _print_merges(report)
    if report["splits"]:
        _print_splits(report)
    if report["events"] and report["unread"] == report["events"]:
        click.echo("\nNo event has its payload, so that nothing can be told of these rules.")
    elif not (report["moved"] or report["rekeyed"]):
        click.echo("\nAll events are filed as these rules have it.")


def _extent(about: "About") -> str:
    """Return when a dataset was exported, and which events were chosen for it."""
    chosen = about.selection
    bounds = (("since", chosen.since), ("before", chosen.until))
    within = "".join(f", events {word} {moment:%Y-%m-%d}" for word, moment in bounds if moment is not None)
    return f"as exported at {about.exported_at:%Y-%m-%d %H:%M} UTC{within}"


def _print_merges(report: Mapping[str, Any]) -> None:
    merges: Sequence[Mapping[str, Any]] = report["merges"]
    click.echo("\nIssues that would come together, most events first:\n")
    rows = [
        (f"{each['events']:,}", _names(each["issues"], each["issues_count"]), _name(each["into"]), _title(each))
        for each in merges
    ]
    print_wrapped(("EVENTS", "OF", "WOULD JOIN", "TITLE"), rows)
    for each in merges:
        if each["why"]:
            _print_why(f"{each['issues'][0]['short_id']} would join {_name(each['into'])}", each["why"])


def _print_splits(report: Mapping[str, Any]) -> None:
    splits: Sequence[Mapping[str, Any]] = report["splits"]
    click.echo("\nIssues that would split, most moving events first:\n")
    rows = [(each["short_id"], _parts(each), each["title"]) for each in splits]
    print_wrapped(("ISSUE", "OF ITS EVENTS", "TITLE"), rows)
    for each in splits:
        if each["why"]:
            _print_why(f"{each['short_id']} would split", each["why"])


def _parts(split: Mapping[str, Any]) -> str:
    known = [part for part in split["parts"] if part["into"] is not None]
    own = split["short_id"]
    said = [
        f"{part['events']:,} {'stay' if part['into']['short_id'] == own else 'to ' + _name(part['into'])}"
        for part in known
    ]
    if split["opened"]:
        where = "a new issue" if split["opened"] == 1 else f"{split['opened']:,} new issues"
        said.append(f"{split['opened_events']:,} to {where}")
    more = split["parts_count"] - len(known) - split["opened"]
    return ", ".join(said) + (f" and {more:,} more" if more else "")


def _print_why(what: str, sides: Sequence[Mapping[str, Any]]) -> None:
    """Print why, by an event of each side: what made its key, and what would make it."""
    click.echo(f"\n{safe(what)}:")
    rows = [("event", *(f"{side['event_id']} in {side['issue']}" for side in sides))]
    for name in ("before", "after"):
        groupings = [side[name] for side in sides]
        rows.append((f"{name}, by", *(_decider(each) for each in groupings)))
        parts = [{part["name"]: part["value"] for part in each["parts"]} for each in groupings]
        for part in dict.fromkeys(part for each in parts for part in each):
            values = [each.get(part) for each in parts]
            mark = "*" if len(set(values)) > 1 else " "
            rows.append((f"{mark} {part}", *("(no such part)" if value is None else shown(value) for value in values)))
    marked = [at for at, row in enumerate(rows) if row[0].startswith("*")]
    print_wrapped(("", "A", "B")[: len(sides) + 1], rows, marked=marked)


def _decider(grouping: Mapping[str, Any]) -> str:
    by = {"fingerprint": "the event's fingerprint", "rule": ", ".join(grouping["rules"]) or "a rule"}
    return by.get(grouping["decided_by"], str(grouping["mechanism"]))


def _name(issue: Mapping[str, Any] | None) -> str:
    return "a new issue" if issue is None else str(issue["short_id"])


def _names(issues: Sequence[Mapping[str, Any]], count: int) -> str:
    named = ", ".join(issue["short_id"] for issue in issues[:3])
    return named if count <= 3 else f"{named} and {count - 3:,} more"


def _title(merge: Mapping[str, Any]) -> str:
    issue = merge["into"] or merge["issues"][0]
    return shown(issue["title"])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def print_applied(done: int, plan: "Plan", path: str, *, as_json: bool) -> None:
    """Print what was filed anew, and how to take it back."""
    facts = {"events": done, "merged": len(plan.heirs), "split": len(plan.splits), "opened": plan.opened}
    if as_json:
        print_json({**facts, "undo_file": path})
        return
    print_text(
        f"{_count(done, 'event')} filed anew: {_count(facts['merged'], 'issue')} became part of others, "
        f"{facts['split']:,} split, {facts['opened']:,} are new."
    )
    click.echo(f"To take it back: rustrak regroup --undo {safe(path)}")


def print_undone(moved: int, slug: str, *, as_json: bool) -> None:
    """Print what was put back."""
    if as_json:
        print_json({"events": moved})
    else:
        print_text(f"{_count(moved, 'event')} of {slug} put back where they were.")
