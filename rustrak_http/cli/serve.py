"""``rustrak serve``: HTTP, spool, digest worker and database, in one command."""

import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
import click
from click.core import ParameterSource

from rustrak_core.errors import ConfigurationError
from rustrak_core.quota import Quotas
from rustrak_core.receive import Limits
from rustrak_http.board import Board, ChildState
from rustrak_http.cli import before, digest
from rustrak_http.cli.logs import FORMATS, log_to_stderr
from rustrak_http.cli.memory import aside, settle_memory
from rustrak_http.cli.options import (
    Integer,
    Place,
    checked_public_url,
    json_option,
    open_configured_store,
    option,
    public_url_option,
    quota_option,
    remember_public_url,
    with_place,
)
from rustrak_http.cli.roles import ServerRole, digests_in_thread, require_shareable
from rustrak_http.cli.shared import SharedApp, SharedStore
from rustrak_http.cli.welcome import Facts, announce, first_start
from rustrak_http.processes import raise_file_limit
from rustrak_http.server import CONNECTIONS_DEFAULT, THREADS_DEFAULT, listen, local_url
from rustrak_http.supervisor import Life, Role, Supervisor

if TYPE_CHECKING:
    from rustrak_http.cli.meter import Meter

PROCESSES_DEFAULT = min(2, os.cpu_count() or 1)

_LIMITS = Limits()
_MIB = 1 << 20
_WHOSE = ("project", "server")
_WINDOWS = ("minute", "hour")


@attrs.frozen(kw_only=True)
class Settings:
    """What ``rustrak serve`` was asked for."""

    place: Place
    role: ServerRole
    host: str
    port: int
    public_url: str | None
    server: str
    processes: int
    workers: int
    threads: int
    connections: int
    trusted_proxy: str | None
    limits: Limits
    quotas: Quotas
    spool_max_bytes: int
    spool_max_events: int
    spool_min_free_bytes: int
    metrics: bool
    metrics_host: str
    metrics_port: int | None

    @property
    def in_thread(self) -> bool:
        """Whether the one HTTP process also digests, in a thread."""
        return digests_in_thread(self.place.database_url)


def _bytes_option(name: str, default: int, text: str) -> Callable[..., Any]:
    return option(name, default=default, show_default=True, type=Integer(min=1), metavar="BYTES", help=text)


@click.command()
@with_place
@option(
    "--role",
    default=ServerRole.ALL.value,
    show_default=True,
    type=click.Choice([role.value for role in ServerRole]),
    help="Accept and digest, accept and answer only (http), or digest only what is accepted in this data directory.",
)
@option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all of IPv4.")
@option("--port", default=8080, show_default=True, type=Integer(0, 65535), help="Port; 0 takes a free one.")
@public_url_option
@option(
    "--server",
    default="waitress",
    show_default=True,
    type=click.Choice(["waitress", "granian"]),
    help="HTTP server; granian, whose HTTP is Rust, comes with rustrak[fast].",
)
@option(
    "--processes",
    default=PROCESSES_DEFAULT,
    show_default="one a processor and 2 at most",
    type=Integer(1, 64),
    help="HTTP processes.",
)
@option(
    "--workers",
    default=PROCESSES_DEFAULT,
    show_default="one a processor and 2 at most",
    type=Integer(1, 64),
    help="Digest workers; more than HTTP processes have nothing to do.",
)
@option(
    "--threads",
    default=THREADS_DEFAULT,
    show_default=True,
    type=Integer(1, 1000),
    help="Requests at once in a process; plain envelopes, which take no thread, apart.",
)
@option(
    "--connections",
    show_default="; ".join(f"{number} with {name}" for name, number in CONNECTIONS_DEFAULT.items()),
    type=Integer(1),
    help="Connections at once.",
)
@option("--trusted-proxy", metavar="ADDRESS", help="Proxy whose X-Forwarded-* headers are believed; * for any.")
@_bytes_option("--max-body-bytes", _LIMITS.body_bytes, "Largest body, as sent.")
@_bytes_option("--max-decompressed-bytes", _LIMITS.decompressed_bytes, "Largest body, decompressed.")
@_bytes_option("--max-event-bytes", _LIMITS.event_bytes, "Largest event.")
@option("--max-items", default=_LIMITS.items, show_default=True, type=Integer(1), help="Items of an envelope.")
@_bytes_option("--max-header-bytes", _LIMITS.header_bytes, "Largest header line of an envelope.")
@_bytes_option("--spool-max-bytes", 1024 * _MIB, "Room for accepted events that wait.")
@option(
    "--spool-max-events",
    default=1_000_000,
    show_default=True,
    type=Integer(min=1),
    help="Likewise, as a number of events.",
)
@_bytes_option("--spool-min-free-bytes", 256 * _MIB, "Disk space that is left free.")
@quota_option("--quota-project-minute", 1_000_000, "Events, and items of other kinds, of a project in a minute.")
@quota_option("--quota-project-hour", 20_000_000, "Likewise in an hour.")
@quota_option("--quota-server-minute", 2_000_000, "Likewise of all projects together in a minute.")
@quota_option("--quota-server-hour", 40_000_000, "Likewise in an hour.")
@option("--metrics", is_flag=True, help="Answer /metrics on the same port, for Prometheus.")
@option("--metrics-port", type=Integer(0, 65535), help="Answer /metrics on a port of its own; 0 takes a free one.")
@option("--metrics-host", default="127.0.0.1", show_default=True, help="Address of that port.")
@option(
    "--log-format",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    show_default=True,
    help="Lines on standard error: JSON, or key=value.",
)
@json_option
def serve(as_json: bool, log_format: str, role: str, **options: Any) -> None:  # noqa: FBT001 - click calls it so
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
    quotas = Quotas(
        **{f"{whose}_{window}": options.pop(f"quota_{whose}_{window}") for whose in _WHOSE for window in _WINDOWS}
    )
    options["connections"] = options["connections"] or CONNECTIONS_DEFAULT[options["server"]]
    if digests_in_thread(options["place"].database_url):
        options |= {name: 1 for name in ("processes", "workers") if not _is_given(name)}
    log_to_stderr(log_format)
    run(Settings(role=ServerRole(role), limits=limits, quotas=quotas, **options), as_json=as_json)


def _is_given(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT


def run(settings: Settings, *, as_json: bool) -> None:
    """Serve until a SIGTERM or SIGINT.

    The process itself only prepares everything, and then looks after its children; see `rustrak_http.supervisor`.

    Raises:
        ConfigurationError: a setting is wrong, or the port is taken.
        StoreUnavailableError: the database cannot be reached, its schema is newer than this version, or it lacks what
            its events are read with.
    """
    place, role = settings.place, settings.role
    require_shareable(place.database_url, role=role, processes=settings.processes, workers=settings.workers)
    public_url = None if settings.public_url is None else checked_public_url(settings.public_url)
    sock = _listening(settings)
    before.check_spool(place)
    place.make()
    if place.database_file is not None and not place.database_file.exists():
        aside(lambda: open_configured_store(place).close())  # what makes tables is large, and never needed again
    store = open_configured_store(place)
    store.examine()
    open_spool = before.spool_opener(
        place,
        max_bytes=settings.spool_max_bytes,
        max_events=settings.spool_max_events,
        min_free_bytes=settings.spool_min_free_bytes,
    )
    presence = before.check_files(place, store, open_spool if role.accepts else None, settings.quotas)
    here = url = first = None
    if sock is not None:
        here = local_url(settings.host, sock.getsockname()[1])
        url = public_url or here
        remember_public_url(place, url)
        first = first_start(store)

    processes = settings.processes if role.accepts else 0
    workers = settings.workers if role.digests else 0
    board = Board(processes + workers)
    meter = _meter(settings, board, processes=processes, workers=workers)
    states = [partial(board.state, processes + number) for number in range(workers)]
    shared = SharedStore(place, store)
    roles: list[Role] = []
    if sock is not None:
        serving = _serving(
            settings,
            sock,
            shared,
            board,
            public_url=public_url,
            open_spool=open_spool,
            worker_states=states,
            meter=meter,
        )
        roles += [serving] * processes
    if not settings.in_thread:
        roles += [_digesting(settings, sock, shared, meter)] * workers
    settle_memory()
    facts = Facts(
        place=place,
        role=role,
        url=url,
        here=here,
        metrics_url=_metrics_url(meter, here),
        first=first,
        in_thread=settings.in_thread,
    )
    hurried = Supervisor(roles, board).run(
        started=partial(announce, facts, as_json=as_json),
        goes_on=presence.beat,
        stopping=partial(_stop_listening, sock, meter),
    )
    presence.leave()
    if hurried:
        os._exit(128 + hurried)
    if presence.lost is not None:
        raise presence.lost


def _listening(settings: Settings) -> socket.socket | None:
    """Return the socket on which to serve HTTP, None for a role that does not.

    Raises:
        ConfigurationError: the server is not installed, the port is taken, or a worker is to answer ``/metrics`` on it.
    """
    if not settings.role.accepts:
        if settings.metrics and settings.metrics_port is None:
            raise ConfigurationError(
                "--metrics (RUSTRAK_METRICS) answers on the port that SDKs send to, and --role worker listens on none; "
                "give --metrics-port (RUSTRAK_METRICS_PORT) instead"
            )
        return None
    from rustrak_http.cli import http

    http.server_class(settings.server)
    return listen(settings.host, settings.port)


def _serving(
    settings: Settings,
    sock: socket.socket,
    shared: SharedStore,
    board: Board,
    *,
    public_url: str | None,
    open_spool: Callable[..., Any],
    worker_states: Sequence[Callable[[], ChildState]],
    meter: "Meter | None",
) -> Role:
    from rustrak_http.cli import http
    from rustrak_http.cli.digest_thread import DigestThread

    processes = settings.processes
    connections = min(settings.connections, processes * (raise_file_limit() - 200))
    serve_http = partial(
        http.serve_http,
        settings.place,
        sock,
        shared_store=shared,
        shared_app=SharedApp.made(
            shared.store,
            role=settings.role,
            public_url=public_url,
            limits=settings.limits,
            worker_alive=(lambda: http.workers_trouble(state() for state in worker_states)) if worker_states else None,
        ),
        limits=settings.limits,
        quotas=settings.quotas,
        open_spool=open_spool,
        server_name=settings.server,
        processes=processes,
        threads=settings.threads,
        connections=-(-connections // processes),
        trusted_proxy=settings.trusted_proxy,
        meter=meter,
        digesting=partial(DigestThread, settings.place, board, processes, meter) if settings.in_thread else None,
    )
    grace_s = http.GRACE_S + 2 + (digest.GRACE_S if settings.in_thread else 0)
    return Role(name="http", run=serve_http, grace_s=grace_s, silent_s=http.SILENT_S)


def _digesting(settings: Settings, sock: socket.socket | None, shared: SharedStore, meter: "Meter | None") -> Role:
    work = partial(_digest, settings, sock, shared, meter)
    return Role(
        name="digest", run=work, grace_s=digest.GRACE_S, silent_s=digest.SILENT_S, backoff_max_s=digest.BACKOFF_MAX_S
    )


def _digest(
    settings: Settings, sock: socket.socket | None, shared: SharedStore, meter: "Meter | None", life: Life
) -> int:
    if settings.role.accepts:  # else the port would be taken for as long as a batch takes after the others are gone
        _stop_listening(sock, meter)
    answers = not settings.role.accepts
    return digest.digest(settings.place, shared, life, workers=settings.workers, meter=meter, answers_metrics=answers)


def _stop_listening(sock: socket.socket | None, meter: "Meter | None") -> None:
    if sock is not None:
        sock.close()
    if meter is not None:
        meter.close()


def _meter(settings: Settings, board: Board, *, processes: int, workers: int) -> "Meter | None":
    """Return what the processes share to be measured, None where nobody asked for that.

    Raises:
        ConfigurationError: the port is taken.
    """
    if not settings.metrics and settings.metrics_port is None:
        return None
    from rustrak_http.cli.meter import Meter
    from rustrak_http.metrics import Child
    from rustrak_http.tallies import Tallies

    names = [f"http-{n}" for n in range(processes)] + [f"digest-{n}" for n in range(workers)]
    return Meter(
        tallies=Tallies(len(names)),
        children=[Child(name=name, state=partial(board.state, slot)) for slot, name in enumerate(names)],
        on_same_port=settings.metrics and settings.role.accepts,
        sock=None
        if settings.metrics_port is None
        else listen(settings.metrics_host, settings.metrics_port, option="--metrics-"),
    )


def _metrics_url(meter: "Meter | None", here: str | None) -> str | None:
    if meter is None:
        return None
    if meter.sock is None:
        return f"{here}/metrics"
    host, port = meter.sock.getsockname()[:2]
    return f"{local_url(host, port)}/metrics"
