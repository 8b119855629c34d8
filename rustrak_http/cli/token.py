"""``rustrak token``: create, list and delete API tokens."""

import click

from rustrak_core.errors import UnknownTokenError
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Integer, Place, json_option, open_tracker, option, with_place
from rustrak_http.cli.output import date_text, print_json, print_list, print_table
from rustrak_http.shapes import token_created_to_json, token_to_json


@click.group(
    epilog=examples(
        'rustrak token create --description "CI/CD Pipeline"', "rustrak token list", "rustrak token delete 3"
    )
)
def token() -> None:
    """Create, list and delete API tokens.

    A token lets a program read and change everything over the HTTP API.
    """


@token.command()
@option("--description", metavar="TEXT", help="What it is for.")
@with_place
@json_option
def create(*, description: str | None, place: Place, as_json: bool) -> None:
    """Create a token and print it: the only time that it is shown."""
    with open_tracker(place, create=True) as tracker:
        kept, secret = tracker.create_token(description)
    if as_json:
        print_json(token_created_to_json(kept, secret))
    else:
        click.echo(f"Token {kept.id} was created. It is shown this once:", err=True)
        click.echo(secret)


@token.command("list")
@with_place
@json_option
def list_tokens(*, place: Place, as_json: bool) -> None:
    """List all tokens, masked."""
    with open_tracker(place) as tracker:
        rows = list(tracker.tokens())
    if as_json:
        print_list(token_to_json(row) for row in rows)
    elif not rows:
        click.echo("There are no tokens yet; make one with `rustrak token create`.", err=True)
    else:
        print_table(
            ("ID", "TOKEN", "CREATED (UTC)", "LAST USED (UTC)", "DESCRIPTION"),
            (
                (
                    row.id,
                    row.masked,
                    date_text(row.created_at),
                    "never" if row.last_used_at is None else date_text(row.last_used_at),
                    row.description or "",
                )
                for row in rows
            ),
            right=("ID",),
        )


@token.command()
@click.argument("token_id", metavar="ID", type=Integer(1, 2**53 - 1))
@option("--yes", is_flag=True, help="Do not ask.")
@with_place
@json_option
def delete(token_id: int, *, yes: bool, place: Place, as_json: bool) -> None:
    """Delete the token whose number is ID; it stops working at once."""
    with open_tracker(place) as tracker:
        if not yes:
            click.confirm(f"Delete token {token_id}?", abort=True, err=True)
        try:
            gone = tracker.delete_token(token_id)
        except UnknownTokenError:
            raise UnknownTokenError("no such token; `rustrak token list` shows them all") from None
    if as_json:
        print_json(token_to_json(gone))
    else:
        click.echo(f"Token {gone.id} was deleted.")
