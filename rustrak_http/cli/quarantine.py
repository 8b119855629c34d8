"""``rustrak quarantine``: events that no digest worker survived; look into them, give them back, or remove them."""

import sys
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from rustrak_core.errors import RustrakError
from rustrak_core.times import to_rfc3339
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import (
    Place,
    data_dir_default,
    json_option,
    make_place,
    open_configured_store,
    option,
    with_place,
)
from rustrak_http.cli.output import date_text, print_json, print_list, print_table, safe

if TYPE_CHECKING:
    from rustrak_core.accepted import AcceptedEvent
    from rustrak_storage.spool import Quarantined, QuarantineFolder

F = TypeVar("F", bound=Callable[..., Any])

_SHOWN_CHARACTERS = 4000


@click.group(
    epilog=examples(
        "rustrak quarantine list",
        "rustrak quarantine show 6f1d0c2a93b4e857",
        "rustrak quarantine show 6f1d0c2a93b4e857 --raw > event.json",
        "rustrak quarantine retry --all",
        "rustrak quarantine drop 6f1d0c2a93b4e857 --yes",
    )
)
def quarantine() -> None:
    """Look into events that could not be digested, give them back, or remove them.

    An event that ended the digest worker three times is set aside, with its payload, so that the others are digested.
    An ID is that of the list, its beginning, or the event's own. All of this works while `rustrak serve` runs.
    """


def _complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the ids that begin so; a shell is told nothing where they cannot be read."""
    place = make_place(ctx.params.get("data_dir") or data_dir_default(), None)
    try:
        entries = _folder(place).entries()
    except RustrakError:
        return []
    return [CompletionItem(each.id, help=each.why) for each in entries if each.id.startswith(incomplete)]


def _several(command: F) -> F:
    """Give a command the ids that it is about, or ``--all``."""
    command = option("--all", "everything", is_flag=True, help="All that there are.")(command)
    return click.argument("ids", metavar="[ID]...", nargs=-1, shell_complete=_complete)(command)


@quarantine.command(
    "list", epilog=examples("rustrak quarantine list", "rustrak quarantine list --json | jq .data[].id")
)
@with_place
@json_option
def list_events(*, place: Place, as_json: bool) -> None:
    """List the events in quarantine, the oldest first."""
    folder = _folder(place)
    entries, dropped = folder.entries(), folder.stats().dropped
    if as_json:
        print_list(map(_to_json, entries))
    elif not entries:
        click.echo("There is nothing in quarantine.", err=True)
    else:
        print_table(
            ("ID", "SINCE (UTC)", "PROJECT", "EVENT", "BYTES", "WHY"),
            ((e.id, date_text(e.since), e.project_id, e.event_id, e.size_bytes, e.why) for e in entries),
            right=("PROJECT", "BYTES"),
        )
    if dropped:
        click.echo(f"{dropped} older events had to go, since there was no room for more.", err=True)


@quarantine.command(
    epilog=examples(
        "rustrak quarantine show 6f1d0c2a93b4e857", "rustrak quarantine show 6f1d0c2a93b4e857 --raw > event.json"
    )
)
@click.argument("which", metavar="ID", shell_complete=_complete)
@option("--raw", is_flag=True, help="Write the payload's bytes as they were sent, and nothing else.")
@with_place
@json_option
def show(which: str, *, raw: bool, place: Place, as_json: bool) -> None:
    """Show the event ID, and the beginning of its payload.

    With --json the payload is there as text, or in base64 where it is not UTF-8.
    """
    folder = _folder(place)
    entry = folder.find(which)
    event = folder.event(entry)
    if raw:
        sys.stdout.flush()
        sys.stdout.buffer.write(event.payload)
        sys.stdout.buffer.flush()
    elif as_json:
        print_json({**_to_json(entry), **_payload_json(event)})
    else:
        click.echo("\n".join(_lines(entry, event)))


@quarantine.command(epilog=examples("rustrak quarantine retry 6f1d0c2a93b4e857", "rustrak quarantine retry --all"))
@_several
@with_place
@json_option
def retry(ids: Sequence[str], *, everything: bool, place: Place, as_json: bool) -> None:
    """Give the events ID... back, to be digested once more.

    They are counted as quarantined until they are digested. One that ends the worker again comes back here.
    """
    from rustrak_core.ambient import utc_now

    folder = _folder(place)
    entries = _chosen(folder, ids, everything=everything)
    if entries:
        store = open_configured_store(place, create=False)
        try:
            for entry in entries:
                folder.give_back(entry, now=utc_now(), recorded=store.position)
        finally:
            store.close()
    _tell(entries, "given back, to be digested once more", as_json=as_json)


@quarantine.command(epilog=examples("rustrak quarantine drop 6f1d0c2a93b4e857", "rustrak quarantine drop --all --yes"))
@_several
@option("--yes", is_flag=True, help="Do not ask.")
@with_place
@json_option
def drop(ids: Sequence[str], *, everything: bool, yes: bool, place: Place, as_json: bool) -> None:
    """Remove the events ID... for good; they stay counted as quarantined."""
    folder = _folder(place)
    entries = _chosen(folder, ids, everything=everything)
    if entries and not yes:
        click.confirm(f"Remove {_number(entries)} for good?", abort=True, err=True)
    for entry in entries:
        folder.drop(entry)
    _tell(entries, "removed", as_json=as_json)


def _folder(place: Place) -> "QuarantineFolder":
    from rustrak_storage.spool import QuarantineFolder

    return QuarantineFolder(place.spool_dir)


def _chosen(folder: "QuarantineFolder", ids: Sequence[str], *, everything: bool) -> "list[Quarantined]":
    """Return what a command is about, each once.

    Raises:
        UsageError: it names both some and all, or neither.
    """
    if bool(ids) == everything:
        raise click.UsageError("name one or more IDs, or --all")
    entries = folder.entries() if everything else [folder.find(text) for text in ids]
    return list({entry.id: entry for entry in entries}.values())


def _tell(entries: "Sequence[Quarantined]", what: str, *, as_json: bool) -> None:
    if as_json:
        print_list(map(_to_json, entries))
    elif entries:
        click.echo(f"{_number(entries)} {'was' if len(entries) == 1 else 'were'} {what}.")
    else:
        click.echo("There is nothing in quarantine.", err=True)


def _number(entries: "Sequence[Quarantined]") -> str:
    return f"Event {entries[0].event_id}" if len(entries) == 1 else f"{len(entries)} events"


def _to_json(entry: "Quarantined") -> dict[str, Any]:
    return {
        "id": entry.id,
        "project_id": entry.project_id,
        "event_id": entry.event_id,
        "received_at": to_rfc3339(entry.received_at),
        "quarantined_at": to_rfc3339(entry.since),
        "bytes": entry.size_bytes,
        "why": entry.why,
    }


def _payload_json(event: "AcceptedEvent") -> dict[str, str]:
    try:
        return {"payload": event.payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": b64encode(event.payload).decode("ascii")}


def _lines(entry: "Quarantined", event: "AcceptedEvent") -> list[str]:
    facts = {
        "event": entry.event_id,
        "project": entry.project_id,
        "received": date_text(entry.received_at),
        "set aside": date_text(entry.since),
        "why": entry.why,
        "kind": event.kind.value,
        "sdk": event.sdk_client or "",
        "bytes": entry.size_bytes,
    }
    text = event.payload[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "backslashreplace")
    shown = safe(text[:_SHOWN_CHARACTERS], newlines=True)
    more = [] if len(event.payload) <= len(text[:_SHOWN_CHARACTERS].encode()) else ["... (--raw writes all of it)"]
    return [
        entry.id,
        *(f"  {name:<12} {safe(value)}" for name, value in facts.items() if value != ""),
        "",
        shown,
        *more,
    ]
