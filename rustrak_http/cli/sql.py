"""``rustrak sql``: a statement to a dataset."""

import sys
from pathlib import Path

import click

from rustrak_core.errors import InvalidInputError
from rustrak_http.cli.command import examples
from rustrak_http.cli.rows import form_options, print_answer


@click.command(
    epilog=examples(
        'rustrak sql errors.duckdb "SELECT type, count(*) AS events FROM events GROUP BY type ORDER BY events DESC"',
        'rustrak sql errors.duckdb "DESCRIBE events"',
        "rustrak sql /data/errors --csv < question.sql",
    )
)
@click.argument("dataset", metavar="DATASET", type=click.Path(path_type=Path))
@click.argument("statement", metavar="[STATEMENT]", required=False)
@form_options
def sql(dataset: Path, *, statement: str | None, form: str | None) -> None:
    """Answer STATEMENT, in DuckDB's SQL, from DATASET; without one, what stdin says.

    It can only read the dataset: no statement changes it, or reaches a file or the network. The reference has its
    tables; `SHOW TABLES` and `DESCRIBE events` list them.
    """
    from rustrak_storage.duck import Dataset

    asked = _said() if statement is None else statement
    with Dataset.open(dataset) as opened:
        print_answer(opened.sql(asked), form)


def _said() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise InvalidInputError("SQL", "must be text in UTF-8") from None
