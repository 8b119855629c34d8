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
from rustrak_http.shapes import dsn_text, project_to_json

FIRST_PROJECT = "my-app"


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


def announce(
    place: Place, url: str, here: str, first: First | None, *, as_json: bool, metrics_url: str | None = None
) -> None:
    """Print where everything is and, once in a database's life, what an application and a reader need."""
    facts: dict[str, Any] = {
        "data_dir": str(place.data_dir),
        "database": masked(place.database_url),
        "url": url,
        "local_url": here,
    }
    if metrics_url is not None:
        facts["metrics_url"] = metrics_url
    dsn = None if first is None else dsn_text(first.project, url)
    if as_json:
        if first is not None and dsn is not None:
            facts |= {"project": project_to_json(first.project, dsn), "dsn": dsn, "token": first.token}
        click.echo(json.dumps(facts))
        return
    click.echo(
        f"Rustrak {_version()}\n"
        f"  data       {facts['data_dir']}\n"
        f"  database   {facts['database']}\n"
        f"  URL        {facts['url']}"
        + ("" if url == here else f"\n  listens at {here}")
        + ("" if metrics_url is None else f"\n  metrics    {metrics_url}")
    )
    if first is None:
        click.echo(
            "\n`rustrak project list` shows DSNs, `rustrak token create` makes an API token. Ctrl-C stops the server."
        )
    else:
        click.echo(_welcome(first, url, dsn))
    sys.stdout.flush()


def _welcome(first: First, url: str, dsn: str | None) -> str:
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
