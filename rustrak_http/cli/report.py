"""``rustrak report``: a page about a dataset."""

from datetime import datetime, timedelta
from pathlib import Path

import click

from rustrak_http.cli.ask import days_option
from rustrak_http.cli.command import examples
from rustrak_http.cli.options import json_option, option
from rustrak_http.cli.output import print_json
from rustrak_http.cli.rows import day_option


@click.command(
    epilog=examples(
        "rustrak report errors.duckdb -o report.html",
        "rustrak report /data/errors -o my-app.html --project my-app --days 90",
    )
)
@click.argument("dataset", metavar="DATASET", type=click.Path(path_type=Path))
@option("--output", "-o", required=True, metavar="FILE", type=click.Path(path_type=Path), help="The page to write.")
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
    from rustrak_storage.duck.report import report as page

    with Dataset.open(dataset) as opened:
        last = None if until is None else until + timedelta(days=1)
        text = page(opened, days=days, until=last, project=project)
    aside = output.with_name(f"{output.name}.new")
    aside.write_text(text, encoding="utf-8")
    aside.replace(output)
    if as_json:
        print_json({"output": str(output), "bytes": len(text.encode())})
    else:
        click.echo(f"{output}: {len(text.encode()) // 1024:,} KiB.")
