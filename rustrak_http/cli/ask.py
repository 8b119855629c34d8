"""``rustrak ask``: stock questions to a dataset."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from rustrak_http.cli.command import examples
from rustrak_http.cli.options import Integer, option
from rustrak_http.cli.output import print_list, print_wrapped
from rustrak_http.cli.rows import day_after, day_option, form_options, print_answer

F = TypeVar("F", bound=Callable[..., Any])

_DAYS_MAX = 366 * 1000
"""As many as questions take."""

_LIMIT_MAX = 2**63 - 1


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from rustrak_storage.duck.question import questions

    return [
        CompletionItem(name, help=question.text.partition("\n")[0])
        for name, question in questions().items()
        if name.startswith(incomplete)
    ]


def _days(_ctx: click.Context, _param: click.Parameter, given: str) -> int | None:
    if given == "all":
        return None
    if not (given.isascii() and given.isdigit() and len(given) < 9 and 1 <= int(given) <= _DAYS_MAX):
        raise click.BadParameter(f"write a number of days, as in 30, at most {_DAYS_MAX}, or all")
    return int(given)


def days_option(command: F) -> F:
    """Give a command ``--days``; it gets the argument ``days``: a number, or None for all."""
    wanted = option(
        "--days", default="30", show_default=True, callback=_days, metavar="DAYS", help="Days back, or all."
    )
    return wanted(command)


def _own(_ctx: click.Context, _param: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if not all(name and sign for name, sign, _value in pairs):
        raise click.BadParameter("write it as in issue=MY-APP-1")
    return {name: value for name, _sign, value in pairs}


@click.command(
    epilog=examples(
        "rustrak ask errors.duckdb",
        "rustrak ask errors.duckdb top-issues --days 7 --set by=users",
        "rustrak ask /data/errors lift --set issue=MY-APP-1 --json",
    )
)
@click.argument("dataset", metavar="DATASET", type=click.Path(path_type=Path))
@click.argument("name", metavar="[QUESTION]", required=False, shell_complete=_complete)
@days_option
@day_option("--until", "Last day that counts, in UTC; that of the export by default.")
@option("--project", metavar="SLUG", help="Only this project.")
@option("--limit", type=Integer(1, _LIMIT_MAX), default=20, show_default=True, help="How many rows at most.")
@option("--set", "own", multiple=True, callback=_own, metavar="NAME=VALUE", help="What else a question takes.")
@form_options
def ask(
    dataset: Path, *, name: str | None, own: dict[str, Any], until: datetime | None, form: str | None, **shared: Any
) -> None:
    """Answer QUESTION from DATASET, which `rustrak export` made; without one, list the questions."""
    if name is None:
        _print_questions(form)
        return
    from rustrak_core.errors import InvalidInputError
    from rustrak_storage.duck import Dataset

    clash = next((each for each in own if each in {"until", *shared}), None)
    if clash is not None:
        raise InvalidInputError(clash, f"give it as --{clash}")
    with Dataset.open(dataset) as opened:
        print_answer(opened.ask(name, until=day_after(until), **shared, **own), form)


def _print_questions(form: str | None) -> None:
    from rustrak_storage.duck import questions

    found = [
        (each.name, each.text.partition("\n")[0], [*(p.name for p in each.own), *each.shared])
        for each in questions().values()
    ]
    if form == "json":
        print_list({"name": name, "question": text, "takes": takes} for name, text, takes in found)
    else:
        print_wrapped(("QUESTION", "WHAT IT ANSWERS", "TAKES"), ((n, text, ", ".join(t)) for n, text, t in found))
