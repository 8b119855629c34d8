"""``rustrak project``: create, list and delete projects."""

import click

from rustrak_http.cli.command import examples
from rustrak_http.cli.options import (
    Place,
    forget_keys,
    json_option,
    known_public_url,
    open_tracker,
    option,
    project_named,
    public_url_option,
    with_place,
)
from rustrak_http.cli.output import date_text, print_json, print_list, print_table, safe
from rustrak_http.shapes import dsn_text, project_to_json


@click.group(
    epilog=examples("rustrak project create my-app", "rustrak project list --json", "rustrak project delete my-app")
)
def project() -> None:
    """Create, list and delete projects.

    A project is an application whose errors are kept together; its DSN is what an SDK is given.
    """


@project.command(
    epilog=examples(
        "rustrak project create my-app", "rustrak project create shop --sentry-key a1b2c3d4e5f67890abcdef1234567890"
    )
)
@click.argument("name")
@option("--sentry-key", metavar="KEY", help="Key that applications already have: 32 hex digits, hyphens or not.")
@public_url_option
@with_place
@json_option
def create(name: str, *, sentry_key: str | None, public_url: str | None, place: Place, as_json: bool) -> None:
    """Create a project called NAME, and print its DSN.

    It works while `rustrak serve` runs on the same data directory.
    """
    url = known_public_url(place, public_url)
    with open_tracker(place, create=True) as tracker:
        made = tracker.create_project(name, key=sentry_key)
        forget_keys(place, tracker.store)
    dsn = dsn_text(made, url)
    if as_json:
        print_json(project_to_json(made, dsn))
    else:
        click.echo(f"Project {made.id}, {made.slug}, was created. Its DSN:\n{dsn}")


@project.command("list")
@public_url_option
@with_place
@json_option
def list_projects(*, public_url: str | None, place: Place, as_json: bool) -> None:
    """List all projects with their DSNs."""
    url = known_public_url(place, public_url)
    with open_tracker(place) as tracker:
        rows = list(tracker.projects())
    if as_json:
        print_list(project_to_json(row, dsn_text(row, url)) for row in rows)
    elif not rows:
        click.echo("There are no projects yet; make one with `rustrak project create NAME`.", err=True)
    else:
        print_table(
            ("ID", "SLUG", "ISSUES", "EVENTS", "CREATED (UTC)", "DSN"),
            (
                (row.id, row.slug, row.issue_count, row.event_count, date_text(row.created_at), dsn_text(row, url))
                for row in rows
            ),
            right=("ID", "ISSUES", "EVENTS"),
            whole=True,
        )


@project.command()
@click.argument("which", metavar="PROJECT")
@option("--yes", is_flag=True, help="Do not ask.")
@public_url_option
@with_place
@json_option
def delete(which: str, *, yes: bool, public_url: str | None, place: Place, as_json: bool) -> None:
    """Delete PROJECT, a number or a slug, with all of its issues and events."""
    url = known_public_url(place, public_url)
    with open_tracker(place) as tracker:
        found = project_named(tracker, which)
        if not yes:
            question = f"Delete project {found.slug} ({safe(found.name)}) with {found.issue_count} issues?"
            click.confirm(question, abort=True, err=True)
        gone = tracker.delete_project(found)
        forget_keys(place, tracker.store)
    if as_json:
        print_json(project_to_json(gone, dsn_text(gone, url)))
    else:
        click.echo(f"Project {gone.id}, {gone.slug}, was deleted.")
