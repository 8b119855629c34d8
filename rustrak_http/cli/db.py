"""``rustrak db``: the database as a whole; its schema, and whether all is well with it."""

from typing import TYPE_CHECKING

import click

from rustrak_core.errors import ConfigurationError
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Place, json_option, option, with_place
from rustrak_http.cli.output import print_json, print_text
from rustrak_http.cli.progress import progress_bar

if TYPE_CHECKING:
    from rustrak_storage.upkeep import Checked

PAYLOADS_DEFAULT = 1000


@click.group(epilog=examples("rustrak db upgrade", "rustrak db check", "rustrak db check --payloads all --json"))
def db() -> None:
    """Look after the database: bring its schema to this version, check it."""


@db.command(
    epilog=examples(
        "rustrak db upgrade",
        "RUSTRAK_DATABASE_URL=postgresql://rustrak@db.example.com/rustrak rustrak db upgrade",
    )
)
@with_place
@json_option
def upgrade(*, place: Place, as_json: bool) -> None:
    """Bring the database's schema to this version, or create it.

    That is what `rustrak serve` does at its start. Of many that do it at once, one does, and the others wait.
    """
    import attrs

    from rustrak_storage.factory import upgrade_database

    file = place.database_file
    if file is None or file.parent == place.data_dir:
        place.make()
    done = upgrade_database(place.database_url, bar=progress_bar)
    if as_json:
        print_json(attrs.asdict(done))
    elif done.before == done.after:
        click.echo(f"The schema is at {done.after} already, which this version needs.")
    elif done.before is None:
        click.echo(f"The schema was created, at {done.after}.")
    else:
        click.echo(f"The schema was brought from {done.before} to {done.after}.")


def _payloads(_ctx: click.Context, _param: click.Parameter, given: str) -> int | None:
    if given == "all":
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 12):
        raise click.BadParameter("write a number, or all")
    return int(given)


@db.command(
    epilog=examples("rustrak db check", "rustrak db check --payloads all", "rustrak db check --json | jq .findings")
)
@option(
    "--payloads",
    default=str(PAYLOADS_DEFAULT),
    show_default=True,
    callback=_payloads,
    metavar="N",
    help="How many payloads are read, spread over all; or all.",
)
@with_place
@json_option
def check(*, payloads: int | None, place: Place, as_json: bool) -> int:
    """Look whether the database is as it must be; change nothing.

    Its schema, its dictionaries, that counts agree with what they count, that grouping keys lead to issues, that
    payloads can be read. The server may run meanwhile. The exit status is 1 where anything is found.
    """
    import attrs

    from rustrak_storage.factory import check_database

    try:
        done = check_database(place.database_url, payloads=payloads, bar=progress_bar)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; name another with --data-dir or --database-url") from error
    if as_json:
        print_json({"ok": not done.findings, **attrs.asdict(done)})
    else:
        _print(done)
    return 1 if done.findings else 0


def _print(done: "Checked") -> None:
    for finding in done.findings:
        print_text(f"{finding.check}: {finding.found}. What to do: {finding.todo}.")
    for name in done.cut:
        click.echo(f"{name}: and more.")
    if not done.findings:
        looked = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in done.looked_at.items())
        click.echo(f"All is well: schema {done.schema}; {looked}.")
