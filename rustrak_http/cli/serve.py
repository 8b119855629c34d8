"""``rustrak serve``: HTTP, spool, digest worker and database, in one command."""

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import attrs
import click

from rustrak_core.ambient import new_token_hex, new_uuid, utc_now
from rustrak_core.errors import ConfigurationError
from rustrak_core.project import Project
from rustrak_core.receive import Limits
from rustrak_core.token import token_hash
from rustrak_http.cli.logs import log_to_stderr
from rustrak_http.cli.memory import settle_memory
from rustrak_http.cli.options import (
    Integer,
    Place,
    checked_public_url,
    json_option,
    open_configured_store,
    option,
    public_url_option,
    remember_public_url,
    with_place,
)
from rustrak_http.server import CONNECTIONS_DEFAULT, THREADS_DEFAULT, HttpServer, listen
from rustrak_http.shapes import dsn_text, project_to_json
from rustrak_http.supervisor import ChildState, Supervisor

FIRST_PROJECT = "my-app"
HTTP_GRACE_S = 5.0
WORKER_GRACE_S = 20.0
WORKER_SILENT_S = 30.0
"""A worker that gave no sign of life for so long counts as dead."""

_LIMITS = Limits()
_MIB = 1 << 20


@attrs.frozen(kw_only=True)
class Settings:
    """What ``rustrak serve`` was asked for."""

    place: Place
    host: str
    port: int
    public_url: str | None
    threads: int
    connections: int
    trusted_proxy: str | None
    limits: Limits
    spool_max_bytes: int
    spool_min_free_bytes: int


def _bytes_option(name: str, default: int, text: str) -> Callable[..., Any]:
    return option(name, default=default, show_default=True, type=Integer(min=1), metavar="BYTES", help=text)


@click.command()
@with_place
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all of IPv4.")
@option("--port", default=8080, show_default=True, type=Integer(0, 65535), help="Port; 0 takes a free one.")
@public_url_option
@option("--threads", default=THREADS_DEFAULT, show_default=True, type=Integer(1, 1000), help="Requests at once.")
@option("--connections", default=CONNECTIONS_DEFAULT, show_default=True, type=Integer(1), help="Connections at once.")
@option("--trusted-proxy", metavar="ADDRESS", help="Proxy whose X-Forwarded-* headers are believed; * for any.")
@_bytes_option("--max-body-bytes", _LIMITS.body_bytes, "Largest body, as sent.")
@_bytes_option("--max-decompressed-bytes", _LIMITS.decompressed_bytes, "Largest body, decompressed.")
@_bytes_option("--max-event-bytes", _LIMITS.event_bytes, "Largest event.")
@option("--max-items", default=_LIMITS.items, show_default=True, type=Integer(1), help="Items of an envelope.")
@_bytes_option("--max-header-bytes", _LIMITS.header_bytes, "Largest header line of an envelope.")
@_bytes_option("--spool-max-bytes", 1024 * _MIB, "Room for accepted events that wait.")
@_bytes_option("--spool-min-free-bytes", 256 * _MIB, "Disk space that is left free.")
@json_option
def serve(as_json: bool, **options: Any) -> None:  # noqa: FBT001 - click calls it so
    """Run the server: HTTP, digest worker and database, in one command.

    On an empty database it makes a project and an API token, and prints both, once.
    """
    limits = Limits(
        body_bytes=options.pop("max_body_bytes"),
        decompressed_bytes=options.pop("max_decompressed_bytes"),
        event_bytes=options.pop("max_event_bytes"),
        items=options.pop("max_items"),
        header_bytes=options.pop("max_header_bytes"),
    )
    log_to_stderr()
    run(Settings(limits=limits, **options), as_json=as_json)


def run(settings: Settings, *, as_json: bool) -> None:
    """Serve until a SIGTERM or SIGINT.

    Raises:
        ConfigurationError: a setting is wrong, or the port is taken.
        StoreUnavailableError: the database cannot be reached, or its schema is newer than this version.
    """
    if settings.place.database_url.startswith("memory:"):
        raise ConfigurationError(
            "a database in memory is of one process, and `rustrak serve` has two; leave --database-url away for a file"
        )
    from rustrak_http.app import create_app
    from rustrak_http.express import ExpressLane
    from rustrak_storage.keys import StoredKeyRing
    from rustrak_storage.spool import DirectorySpool

    public_url = None if settings.public_url is None else checked_public_url(settings.public_url)
    connections = min(settings.connections, _raise_file_limit() - 200)
    sock = listen(settings.host, settings.port)
    settings.place.make()
    store = open_configured_store(settings.place)
    spool = DirectorySpool(
        settings.place.spool_dir, max_bytes=settings.spool_max_bytes, min_free_bytes=settings.spool_min_free_bytes
    )
    supervisor = _supervisor(settings.place)
    keys = StoredKeyRing(store, directory=settings.place.data_dir)
    app = create_app(
        store,
        spool=spool,
        keys=keys,
        public_url=public_url,
        limits=settings.limits,
        worker_alive=lambda: worker_trouble(supervisor.state()),
    )
    server = HttpServer(
        app,
        sock,
        body_bytes=max(settings.limits.body_bytes, _MIB),
        threads=settings.threads,
        connections=connections,
        trusted_proxy=settings.trusted_proxy,
        lane=ExpressLane(keys=keys, intake=spool, limits=settings.limits, clock=utc_now, new_id=new_uuid),
    )
    here = local_url(settings.host, server.port)
    url = public_url or here
    remember_public_url(settings.place, url)
    first = _first_start(store)
    _stop_on_signal(server)
    supervisor.start()
    _announce(settings, url, here, first, as_json=as_json)
    settle_memory()
    with _Housekeeping(spool.flush):
        server.run(grace_s=HTTP_GRACE_S)
    spool.close()
    supervisor.stop(timeout_s=WORKER_GRACE_S)
    store.close()


def local_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on *host*."""
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104 - all addresses; a DSN needs one of them
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def masked(database_url: str) -> str:
    """Return a database's URL without its password."""
    hidden = re.sub(r"^([^:/]+://[^:/@]*):.*@", r"\1:***@", database_url)
    return re.sub(r"([?&](?:password|passwd|sslpassword)=)[^&]*", r"\1***", hidden, flags=re.IGNORECASE)


def _supervisor(place: Place) -> Supervisor:
    greeting = json.dumps({"spool_dir": str(place.spool_dir), "database_url": place.database_url})
    return Supervisor(
        [sys.executable, "-m", "rustrak_http.cli.digest"], greeting=greeting.encode(), name="digest worker"
    )


def worker_trouble(state: ChildState) -> str | None:
    """Return what is wrong with the digest worker, for ``/health/ready``; None where nothing is."""
    if state.beat_age_s is None:
        return "starting; it has given no sign of life yet"
    if state.beat_age_s > WORKER_SILENT_S:
        return f"no sign of life for {state.beat_age_s:.0f} s; it is dead or stuck, see the log"
    return f"cannot record just now ({state.said}); see the log" if state.said else None


@attrs.frozen(kw_only=True)
class _First:
    project: Project
    token: str = attrs.field(repr=False)


def _first_start(store: Any) -> _First | None:
    token = new_token_hex()
    sha256 = token_hash(token)
    made = store.first_start(
        name=FIRST_PROJECT, sentry_key=str(new_uuid()), token_sha256=sha256, token_prefix=token[:4], now=utc_now()
    )
    return None if made is None else _First(project=made[0], token=token)


def _announce(settings: Settings, url: str, here: str, first: _First | None, *, as_json: bool) -> None:
    """Print where everything is and, once in a database's life, what an application and a reader need."""
    facts: dict[str, Any] = {
        "data_dir": str(settings.place.data_dir),
        "database": masked(settings.place.database_url),
        "url": url,
        "local_url": here,
    }
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
        f"  URL        {facts['url']}" + ("" if url == here else f"\n  listens at {here}")
    )
    if first is None:
        click.echo(
            "\n`rustrak project list` shows DSNs, `rustrak token create` makes an API token. Ctrl-C stops the server."
        )
    else:
        click.echo(_welcome(first, url, dsn))
    sys.stdout.flush()


def _welcome(first: _First, url: str, dsn: str | None) -> str:
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


def _stop_on_signal(server: HttpServer) -> None:
    """Stop in good order on the first SIGTERM or SIGINT, at once on the second; the spool survives either."""
    seen: list[int] = []

    def handle(number: int, _frame: object) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        server.stop()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def _raise_file_limit() -> int:
    """Allow as many open files as this user may have, and return how many: each connection is one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS says no to more than kern.maxfilesperproc
            return soft
    return wanted


class _Housekeeping:
    """Does something small every second, on a thread of its own."""

    def __init__(self, chore: Callable[[], Any], *, every_s: float = 1.0) -> None:
        self._chore = chore
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        import logging

        while not self._stop.wait(self._every_s):
            try:
                self._chore()
            except Exception:
                logging.getLogger("rustrak.serve").exception("housekeeping failed; it goes on")
