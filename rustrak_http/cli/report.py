"""``rustrak report``: a page about a dataset."""

import os
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import click

from rustrak_http.cli.ask import days_option
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import json_option, option
from rustrak_http.cli.output import print_json
from rustrak_http.cli.rows import day_after, day_option


@click.command(
    epilog=examples(
        "rustrak report errors.duckdb -o report.html",
        "rustrak report /data/errors -o my-app.html --project my-app --days 90",
    )
)
@click.argument("dataset", metavar="DATASET", type=click.Path(path_type=Path))
@option(
    "--output",
    "-o",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to write.",
)
@days_option
@day_option("--until", "Last day that counts, in UTC; that of the export by default.")
@option("--project", metavar="SLUG", help="Only this project.")
@json_option
def report(
    dataset: Path, *, output: Path, days: int | None, until: datetime | None, project: str | None, as_json: bool
) -> None:
    """Write a page about DATASET, which `rustrak export` made: one HTML file with charts, that needs no network.

    It needs matplotlib: pip install 'rustrak[report]'.
    """
    from rustrak_storage.duck import Dataset
    from rustrak_storage.duck.errors import writing
    from rustrak_storage.duck.report import report as page

    with Dataset.open(dataset) as opened:
        _keep_apart(output, opened.path)
        text = page(opened, days=days, until=day_after(until), project=project).encode()
    with writing(str(output)):
        _write(_real(output), text)
    if as_json:
        print_json({"output": str(output), "bytes": len(text)})
    else:
        click.echo(f"{output}: {len(text) // 1024:,} KiB.")


def _real(path: Path) -> Path:
    """Return what *path* leads to; unlike ``Path.resolve``, also where links lead in a circle."""
    return Path(os.path.realpath(path))


def _keep_apart(output: Path, dataset: Path) -> None:
    """Return if a page at *output* replaces nothing of *dataset*."""
    there, kept = _real(output), _real(dataset)
    if kept == there or kept in there.parents:
        raise click.BadParameter("that is the dataset, or within its folder; name another file", param_hint="--output")


def _write(output: Path, text: bytes) -> None:
    """Put *text* in place whole; into what is no file, such as a pipe or a device, it is written instead."""
    if output.exists() and not output.is_file():
        output.write_bytes(text)
        return
    aside = output.with_name(f".{uuid4().hex}.new")
    try:
        aside.write_bytes(text)
        aside.replace(output)
    finally:
        aside.unlink(missing_ok=True)
