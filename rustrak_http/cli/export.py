"""``rustrak export``: events as a dataset, for SQL, notebooks and reports."""

import functools
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rustrak_http.cli.command import examples
from rustrak_http.cli.ending import ended_in_order
from rustrak_http.cli.options import Integer, Place, json_option, open_tracker, option, project_named, with_place
from rustrak_http.cli.output import print_json
from rustrak_http.cli.progress import progress_bar
from rustrak_http.cli.roles import is_of_one_process
from rustrak_http.cli.rows import day_after, day_option

if TYPE_CHECKING:
    from rustrak_core.ports import Selection
    from rustrak_core.tracker import Tracker


@click.command(
    epilog=examples(
        "rustrak export errors.duckdb",
        "rustrak export /data/errors --project my-app --since 2026-01-01",
        "0 * * * *  rustrak export /data/errors    # from cron: each time, what is new",
    )
)
@click.argument("dest", metavar="DEST", type=click.Path(path_type=Path))
@day_option("--since", "First day of events, in UTC; all by default.")
@day_option("--until", "Last day.")
@option("--processes", type=Integer(1), default=lambda: os.cpu_count() or 1, metavar="N", help="How many read at once.")
@option("--project", "chosen", multiple=True, metavar="PROJECT", help="Only this one; may be given again.")
@with_place
@json_option
def export(
    dest: Path,
    *,
    since: datetime | None,
    until: datetime | None,
    processes: int,
    chosen: Sequence[str],
    place: Place,
    as_json: bool,
) -> None:
    """Export events to DEST: a DuckDB file where it ends in .duckdb, else a folder of Parquet by day and project.

    Done again, it adds what is new and removes what was deleted. The server may run meanwhile; whatever ends it early,
    DEST is as it was. `rustrak ask`, `rustrak sql` and `rustrak report` read it.
    """
    if since is not None and until is not None and since > until:
        raise click.BadParameter("it is behind --until, so that no day is left", param_hint="--since")
    import attrs

    from rustrak_storage.duck import export as export_to
    from rustrak_storage.factory import open_store

    with ended_in_order(), open_tracker(place) as tracker:
        selection = _selection(tracker, since, until, chosen)
        with progress_bar("events", tracker.store.last_event_number()) as advance:
            done = export_to(
                tracker.store,
                dest.absolute(),
                now=datetime.now(UTC),
                selection=selection,
                progress=advance,
                reopen=functools.partial(open_store, place.database_url),
                processes=1 if is_of_one_process(place.database_url) else processes,
            )
    if as_json:
        print_json(attrs.asdict(done))
        return
    others = [f"{count:,} {what}" for count, what in ((done.moved, "moved"), (done.gone, "removed")) if count]
    said = ", ".join([f"{done.new:,} new events", *others])
    click.echo(f"{dest}: {said}; {done.events:,} events of {done.issues:,} issues in all.")


def _selection(
    tracker: "Tracker", since: datetime | None, until: datetime | None, chosen: Sequence[str]
) -> "Selection | None":
    from rustrak_core.ports import Selection

    if since is None and until is None and not chosen:
        return None
    projects = sorted({project_named(tracker, text).id for text in chosen}) or None
    return Selection(
        project_ids=None if projects is None else tuple(projects),
        since=since,
        until=day_after(until),
    )
