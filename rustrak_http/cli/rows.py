"""Rows that a dataset answers with: as a table, as CSV or as JSON."""

import csv
import functools
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rustrak_http.cli.options import json_option, option
from rustrak_http.cli.output import print_table, stream_list

if TYPE_CHECKING:
    from rustrak_storage.duck import Answer

F = TypeVar("F", bound=Callable[..., Any])

_CELL_MAX = 100
_DAY = timedelta(days=1)
_PAGE = 1000
_ROWS_MAX = 10_000
"""A table is as wide as its widest cells, so that memory holds all of its rows."""


def form_options(command: F) -> F:
    """Give a command ``--csv`` and ``--json``; it gets the argument ``form``: ``csv``, ``json`` or None for a table."""

    @option("--csv", "as_csv", is_flag=True, help="Print CSV.")
    @json_option
    @functools.wraps(command)
    def wrapper(*args: Any, as_csv: bool, as_json: bool, **kwargs: Any) -> Any:
        return command(*args, form="json" if as_json else "csv" if as_csv else None, **kwargs)

    return wrapper  # type: ignore[return-value]


def print_answer(answer: "Answer", form: str | None) -> None:
    """Print the rows of *answer*: of a table, cells are cut to a line; elsewhere they are whole, and times in UTC."""
    names = answer.names() if form == "json" else answer.columns
    pages = answer.pages(_PAGE)
    first = next(pages, [])  # a statement that fails before it has rows prints nothing but that
    rows = chain(first, chain.from_iterable(pages))
    if form == "json":
        stream_list({name: _json(value) for name, value in zip(names, row, strict=True)} for row in rows)
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows([_csv(value) for value in row] for row in rows)
    elif not first:
        click.echo("No rows.", err=True)
    else:
        _print_table(answer.columns, list(islice(rows, _ROWS_MAX)))
        if next(rows, None) is not None:
            click.echo(f"These are the first {_ROWS_MAX:,} rows; --csv and --json print all.", err=True)


def _print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    numbers = [
        name
        for index, name in enumerate(columns)
        if all(isinstance(row[index], int | float | Decimal | None) for row in rows)
    ]
    headings = [name.upper() for name in columns]
    print_table(headings, ([_cell(value) for value in row] for row in rows), right=[name.upper() for name in numbers])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    text = " ".join(str(value).split())
    return text if len(text) <= _CELL_MAX else text[: _CELL_MAX - 3] + "..."


def _csv(value: Any) -> Any:
    from rustrak_core.jsontext import dumps

    ready = _json(value)
    return dumps(ready).decode() if isinstance(ready, dict | list) else ready


def _json(value: Any) -> Any:
    from rustrak_core.times import to_rfc3339

    if isinstance(value, datetime):
        return to_rfc3339(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {str(key): _json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_json(part) for part in value]
    return value.isoformat() if isinstance(value, date | time) else value


def day_option(name: str, text: str) -> Callable[[F], F]:
    """Declare an option that is a day; the command gets its first moment, in UTC, or None."""

    def parsed(_ctx: click.Context, _param: click.Parameter, given: str | None) -> datetime | None:
        try:
            return None if given is None else datetime.combine(date.fromisoformat(given), datetime.min.time(), UTC)
        except ValueError:
            raise click.BadParameter("write a day as in 2024-01-15") from None

    return option(name, callback=parsed, metavar="DAY", help=text)


def day_after(day: datetime | None) -> datetime | None:
    """Return the moment behind *day*, which `day_option` gave; behind the last one that there is, its last moment."""
    if day is None:
        return None
    return datetime.max.replace(tzinfo=UTC) if day.date() == date.max else day + _DAY
