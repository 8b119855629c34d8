"""``rustrak db``: the database as a whole; its schema, whether all is well with it, and a copy elsewhere."""

import os
from typing import TYPE_CHECKING

import click

from rustrak_core.errors import ConfigurationError
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Place, json_option, option, with_place
from rustrak_http.cli.output import print_json, print_table, print_text
from rustrak_http.cli.progress import progress_bar

if TYPE_CHECKING:
    from rustrak_storage.upkeep import Checked

PAYLOADS_DEFAULT = 1000


@click.group(
    epilog=examples(
        "rustrak db upgrade", "rustrak db check", "rustrak db copy sqlite:///rustrak.db postgresql://rustrak@db/rustrak"
    )
)
def db() -> None:
    """Look after the database: bring its schema to this version, check it, copy it elsewhere."""


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


def _url(_ctx: click.Context, param: click.Parameter, given: str) -> str:
    name = given.removeprefix("env:")
    if name == given:
        return given
    url = os.environ.get(name)
    if not url:
        raise click.BadParameter(f"the environment variable {name} is not set", param=param)
    return url


@db.command(
    epilog=examples(
        "rustrak db copy sqlite:////var/lib/rustrak/rustrak.db postgresql://rustrak@db.example.com/rustrak",
        "rustrak db copy env:OLD_URL env:NEW_URL --json",
    )
)
@click.argument("src", callback=_url)
@click.argument("dst", callback=_url)
@json_option
def copy(*, src: str, dst: str, as_json: bool) -> None:
    """Copy a whole store from database SRC to the empty database DST, of the same or another kind.

    Each is a URL as for --database-url, or env:NAME for one that stands in that environment variable, where no list of
    processes shows its password. Everything is copied as it is, ids too, in one moment of SRC, and then read again and
    compared. Until that is done nobody opens DST; after an interruption, the same command begins anew.
    """
    import attrs

    from rustrak_storage.factory import copy_database

    copied = copy_database(src, dst, bar=progress_bar)
    if as_json:
        print_json({"rows": sum(each.rows for each in copied), "tables": [attrs.asdict(each) for each in copied]})
        return
    cells = [(each.table, f"{each.rows:,}", each.checksum) for each in copied]
    print_table(("TABLE", "ROWS", "CHECKSUM"), cells, right=("ROWS",), whole=True)
    click.echo(f"{sum(each.rows for each in copied):,} rows were copied, and are in DST as they were in SRC.", err=True)


def _print(done: "Checked") -> None:
    for finding in done.findings:
        print_text(f"{finding.check}: {finding.found}. What to do: {finding.todo}.")
    for name in done.cut:
        click.echo(f"{name}: and more.")
    if not done.findings:
        looked = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in done.looked_at.items())
        click.echo(f"All is well: schema {done.schema}; {looked}.")
