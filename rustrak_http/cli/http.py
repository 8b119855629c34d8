"""An HTTP process of ``rustrak serve``: the application on a socket that it shares with its siblings."""

import logging
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Self

from rustrak_core.ambient import new_uuid, utc_now
from rustrak_core.errors import ConfigurationError
from rustrak_core.quota import Quotas
from rustrak_core.receive import Admission, Limits
from rustrak_core.tracker import KnownRules
from rustrak_http.board import ChildState
from rustrak_http.cli.logs import tell_repeats
from rustrak_http.cli.memory import TRIM_EVERY_S, give_back_memory, settle_memory
from rustrak_http.cli.options import Place
from rustrak_http.cli.shared import SharedApp, SharedStore
from rustrak_http.express import ExpressLane, Lane
from rustrak_http.metered import MeteredApp, MeteredLane
from rustrak_http.server import HttpServer, ServerSettings
from rustrak_http.supervisor import Life

if TYPE_CHECKING:
    from rustrak_http.cli.digest_thread import DigestThread
    from rustrak_http.cli.meter import Meter

_log = logging.getLogger("rustrak.serve")

GRACE_S = 5.0
SILENT_S = 30.0
"""A process that gave no sign of life for so long is stuck."""

WORKER_SILENT_S = 30.0
"""A worker that gave no sign of life for so long counts as dead."""

_MIB = 1 << 20


def serve_http(
    place: Place,
    sock: socket.socket,
    life: Life,
    *,
    shared_store: SharedStore,
    shared_app: SharedApp,
    limits: Limits,
    quotas: Quotas,
    open_spool: Callable[..., Any],
    server_name: str,
    processes: int,
    threads: int,
    connections: int,
    trusted_proxy: str | None,
    meter: "Meter | None" = None,
    digesting: "Callable[..., DigestThread] | None" = None,
) -> int:
    """Serve until *life* is over, and finish what has begun; return the exit status.

    Args:
        shared_store, shared_app: Of all processes, see `rustrak_http.cli.shared`.
        open_spool: Opens the spool; takes ``digesting``.
        server_name: ``waitress`` or ``granian``.
        processes: How many share the socket.
        connections: How many connections this process has open at most.
        meter: Has requests counted, and ``/metrics`` answered; None for neither.
        digesting: Makes the thread of this process that digests; None where other processes do.
    """
    from rustrak_storage.keys import StoredKeyRing
    from rustrak_storage.quota_file import QuotaFile

    store = shared_store.opened()
    rules = KnownRules(store)
    spool = open_spool(digesting=rules.digest)
    keys = StoredKeyRing(store, directory=place.data_dir)
    keeper = QuotaFile(place.quota_file, quotas)
    shared_app.spool.settle(spool)
    shared_app.keys.settle(keys)
    shared_app.quotas.settle(keeper)
    app = shared_app.app
    lane: Lane = ExpressLane(
        keys=keys, intake=spool, limits=limits, clock=utc_now, new_id=new_uuid, admission=Admission(keeper)
    )
    answering: Any = nullcontext()
    if meter is not None:
        figures = meter.figures(place, store, spool)
        app = MeteredApp(app, meter.tallies, life.slot, figures=figures if meter.on_same_port else None)
        lane = MeteredLane(lane, meter.tallies, life.slot)
        answering = meter.answering(figures)
    settings = ServerSettings(
        body_bytes=max(limits.body_bytes, _MIB),
        threads=threads,
        connections=connections,
        trusted_proxy=trusted_proxy,
        lane=lane,
        accepts_at_once=64 if processes == 1 else 1,
    )
    server = server_class(server_name)(app, sock, settings)
    life.when_over(server.stop)
    settle_memory()

    thread = None if digesting is None else digesting(store, failed=server.stop)

    def beat() -> None:
        if thread is None or not thread.is_silent:  # else the process is killed, and started again
            life.beat()

    def ask_store() -> None:
        keys.refresh()
        rules.refresh()

    rules.refresh()
    with (
        answering,
        _Housekeeping(tell_repeats),
        _Housekeeping(spool.flush),
        _Housekeeping(ask_store),
        _Housekeeping(give_back_memory, every_s=TRIM_EVERY_S),
        nullcontext() if thread is None else thread,
    ):  # apart: a store may take its time
        server.run(grace_s=GRACE_S, beat=beat)
    spool.close()
    keeper.close()
    keys.close()
    store.close()
    return 1 if thread is not None and thread.has_failed else 0


def server_class(name: str) -> Any:
    """Return the class of a server.

    Raises:
        ConfigurationError: it is not installed.
    """
    if name == "waitress":
        return HttpServer
    try:
        from rustrak_http.granian_server import GranianServer
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in {"granian", "uvloop"}:
            raise
        reason = f"--server granian (RUSTRAK_SERVER) needs what is not installed ({error.name})"
        raise ConfigurationError(f"{reason}; pip install 'rustrak[fast]'") from error
    return GranianServer


def workers_trouble(states: Iterable[ChildState]) -> str | None:
    """Return what is wrong with any of the digest workers, for ``/health/ready``; None where nothing is."""
    return next(filter(None, map(worker_trouble, states)), None)


def worker_trouble(state: ChildState) -> str | None:
    """Return what is wrong with a digest worker; None where nothing is."""
    if state.beat_age_s is None:
        return "starting; it has given no sign of life yet"
    if state.beat_age_s > WORKER_SILENT_S:
        return f"no sign of life for {state.beat_age_s:.0f} s; it is dead or stuck, see the log"
    return f"cannot record just now ({state.said}); see the log" if state.said else None


class _Housekeeping:
    """Does something small every second, on a thread of its own."""

    def __init__(self, chore: Callable[[], Any], *, every_s: float = 1.0) -> None:
        self._chore = chore
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self._chore()
            except Exception:  # noqa: BLE001 - it is logged, and tried again
                _log.exception("housekeeping_failed")
