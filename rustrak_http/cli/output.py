"""How commands print: JSON for machines, tables for people, and no text of strangers that drives a terminal."""

import shutil
import sys
from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

import click

_WIDTH_ELSEWHERE: Final = 120
_WIDTH_OF_TEXT: Final = 100


def print_json(value: Any) -> None:
    """Print *value* as one line of JSON, in UTF-8 whatever the locale."""
    from rustrak_core.jsontext import dumps

    sys.stdout.flush()
    sys.stdout.buffer.write(dumps(value) + b"\n")
    sys.stdout.buffer.flush()


def print_list(rows: Iterable[dict[str, Any]]) -> None:
    """Print *rows* as the API shows lists."""
    print_json({"data": list(rows)})


def stream_list(rows: Iterable[dict[str, Any]]) -> None:
    """Print *rows* as `print_list` does, each as it comes: memory holds one."""
    from rustrak_core.jsontext import dumps

    sys.stdout.flush()
    out = sys.stdout.buffer
    out.write(b'{"data":[')
    for number, row in enumerate(rows):
        out.write((b"," if number else b"") + dumps(row))
    out.write(b"]}\n")
    out.flush()


def safe(text: object, *, newlines: bool = False) -> str:
    r"""Return *text* with control characters spelled out, so that an event's text cannot drive a terminal.

    Args:
        text: Anything.
        newlines: Leave line feeds and tabs as they are.
    """
    return "".join(
        c if c.isprintable() or (newlines and c in "\n\t") else c.encode("unicode_escape").decode() for c in str(text)
    )


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = (), whole: bool = False
) -> None:
    """Print a table as wide as the terminal; where stdout is none, in plain columns that are never cut.

    Args:
        columns: The headings; the last column takes the room that is left.
        rows: A cell for each column.
        right: Headings of columns that are aligned to the right.
        whole: Cut nothing in a terminal either, since somebody will copy it.
    """
    columns, right = [safe(name) for name in columns], [safe(name) for name in right]
    cells = [[safe(cell) for cell in row] for row in rows]
    if sys.stdout.isatty() and not whole:
        _print_rich(columns, cells, right)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in [columns, *cells]:
        padded = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, cell, width in zip(columns, row, widths, strict=True)
        )
        click.echo("  ".join(padded).rstrip())


def print_wrapped(columns: Sequence[str], rows: Iterable[Sequence[object]], *, marked: Container[int] = ()) -> None:
    """Print a table whose long cells go on in the next line, indented by two; nothing is cut.

    It is as wide as the terminal; where stdout is none, 120 columns.

    Args:
        columns: The headings; cells of the first column stay on one line.
        rows: A cell for each column.
        marked: Numbers of rows, from 0, that are in bold in a terminal.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDTH_ELSEWHERE
    console = Console(highlight=False, width=width, height=1)  # without a height, rich has its own idea of both
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0, overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*(Text(safe(cell)) for cell in row), style="bold" if number in marked else None)
    with console.capture() as captured:
        console.print(Padding(table, (0, 0, 0, 2), expand=False))
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def print_text(text: str) -> None:
    """Print a sentence or more, broken between words in a terminal; elsewhere on one line."""
    text = safe(text)
    if sys.stdout.isatty():
        text = click.wrap_text(text, width=min(shutil.get_terminal_size().columns, _WIDTH_OF_TEXT))
    click.echo(text)


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", expand=True)
    for index, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column in right else "left"
        if index < len(columns) - 1:
            width = max(cell_len(cell) for cell in (column, *(row[index] for row in rows)))
            table.add_column(column, justify=justify, no_wrap=True, min_width=width)
        else:
            table.add_column(column, justify=justify, no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False).print(table)


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago *moment* was, as in ``3 min ago``; its date where that is over 30 days."""
    seconds = (now - moment).total_seconds()
    if seconds < 1:
        return "now"
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit} ago" if unit != "d" or count <= 30 else moment.astimezone(UTC).date().isoformat()
    return "now"


def date_text(moment: datetime) -> str:
    """Return *moment* to the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
