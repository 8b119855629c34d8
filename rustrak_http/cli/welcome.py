"""What ``rustrak serve`` prints first: where everything is and, once in a database's life, its DSN and token."""

import json
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import attrs
import click

from rustrak_core.ambient import new_token_hex, new_uuid, utc_now
from rustrak_core.ports import Maintenance
from rustrak_core.project import Project
from rustrak_core.token import token_hash
from rustrak_http.cli.options import Place
from rustrak_http.cli.roles import ServerRole
from rustrak_http.shapes import dsn_text, project_to_json

FIRST_PROJECT = "my-app"

_MORE = "`rustrak project list` shows DSNs, `rustrak token create` makes an API token."
_ROLES = {
    ServerRole.HTTP: "http: accepts and answers; `rustrak serve --role worker` on this data directory digests",
    ServerRole.WORKER: "worker: digests what is accepted in this data directory, and listens on no port for SDKs",
}


@attrs.frozen(kw_only=True)
class First:
    """The first project of a database, and a token that is shown once."""

    project: Project
    token: str = attrs.field(repr=False)


def first_start(store: Maintenance) -> First | None:
    """Make a project and a token on an empty database; None where there is or was one."""
    token = new_token_hex()
    sha256 = token_hash(token)
    assert sha256 is not None  # noqa: S101 - for the type checker: it was just made as one
    made = store.first_start(
        name=FIRST_PROJECT, sentry_key=str(new_uuid()), token_sha256=sha256, token_prefix=token[:4], now=utc_now()
    )
    return None if made is None else First(project=made[0], token=token)


@attrs.frozen(kw_only=True)
class Facts:
    """Where everything is.

    Attributes:
        url: Where applications reach the server; None where it accepts nothing.
        here: Where it listens; likewise.
        metrics_url: Where it answers ``/metrics``; None where it does not.
        first: What was made on an empty database; None where nothing was.
        in_thread: Whether the one HTTP process also digests.
    """

    place: Place
    role: ServerRole
    url: str | None
    here: str | None
    metrics_url: str | None
    first: First | None
    in_thread: bool = False


def announce(facts: Facts, *, as_json: bool) -> None:
    """Print where everything is and, once in a database's life, what an application and a reader need."""
    first, url = facts.first, facts.url
    named = {
        "data_dir": str(facts.place.data_dir),
        "database": masked(facts.place.database_url),
        "role": str(facts.role),
        "url": url,
        "local_url": facts.here,
        "metrics_url": facts.metrics_url,
        "digests": "thread" if facts.in_thread else None,
    }
    shown: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if as_json:
        if first is not None and url is not None:
            dsn = dsn_text(first.project, url)
            shown |= {"project": project_to_json(first.project, dsn), "dsn": dsn, "token": first.token}
        click.echo(json.dumps(shown))
        return
    lines = [f"Rustrak {_version()}", f"  data       {named['data_dir']}", f"  database   {named['database']}"]
    if facts.role is not ServerRole.ALL:
        lines.append(f"  role       {_ROLES[facts.role]}")
    if facts.in_thread:
        lines.append("  digests    in a thread of its one process, since a DuckDB file belongs to one")
    if url is not None:
        lines.append(f"  URL        {url}")
    if url != facts.here:
        lines.append(f"  listens at {facts.here}")
    if facts.metrics_url is not None:
        lines.append(f"  metrics    {facts.metrics_url}")
    click.echo("\n".join(lines))
    if first is not None and url is not None:
        click.echo(_welcome(first, url, dsn_text(first.project, url)))
    elif url is not None:
        click.echo(f"\n{_MORE} Ctrl-C stops the server.")
    else:
        click.echo("\nCtrl-C stops the worker.")
    sys.stdout.flush()


def _welcome(first: First, url: str, dsn: str) -> str:
    return f"""
A first project and a token for the API were made. This is shown once.
  project    {first.project.name}
  DSN        {dsn}
  token      {first.token}

Paste this into an application (pip install sentry-sdk):

import sentry_sdk
sentry_sdk.init(dsn="{dsn}")
sentry_sdk.capture_exception(RuntimeError("Hello, Rustrak"))

and read what arrives:

curl -H "Authorization: Bearer {first.token}" {url}/api/projects/{first.project.id}/issues

Ctrl-C stops the server; what it holds stays.
"""


def _version() -> str:
    try:
        return version("rustrak")
    except PackageNotFoundError:  # run from a tree that was never installed
        return ""


def masked(database_url: str) -> str:
    """Return a database's URL without its password."""
    hidden = re.sub(r"^([^:/]+://[^:/@]*):.*@", r"\1:***@", database_url)
    return re.sub(r"([?&](?:password|passwd|sslpassword)=)[^&]*", r"\1***", hidden, flags=re.IGNORECASE)
