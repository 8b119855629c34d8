"""The HTTP server: waitress, with bounds for many SDKs at once, answers in JSON, and a stop that loses nothing.

waitress' own defaults (4 threads, 100 connections) defeat many SDKs at once. Accepting an event is mostly waiting for
the spool's fsync, which many share, so that more threads than cores make sense.
"""

import errno
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import attrs
from waitress import wasyncore
from waitress.adjustments import Adjustments

from rustrak_core.errors import ConfigurationError
from rustrak_http.express import Lane
from rustrak_http.listener import ROOM_EVERY_S, Listener
from rustrak_http.loop import make_loop
from rustrak_http.request_parser import HARD_BODY_BYTES
from rustrak_http.thread_pool import ThreadPool

WsgiApp = Callable[..., Iterable[bytes]]

THREADS_DEFAULT = 48
CONNECTIONS_DEFAULT = {"waitress": 1000, "granian": 10_000}
"""granian cannot close the idlest for others, but keeps thousands in a few MiB."""

BACKLOG = 1024
HEADER_BYTES = 128 * 1024
BEAT_S = 0.9

TRUSTED_HEADERS = frozenset({"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port"})
"""What a trusted proxy is believed."""

_IDLE_GRACE_S = 0.2
_TAKEN_WAIT_S = 2.0


@attrs.frozen(kw_only=True)
class ServerSettings:
    """What an HTTP server is asked for.

    Attributes:
        body_bytes: The application's limit. A longer body is read to its end, but only one byte more than the limit is
            kept, so that the application can say 413 and a client that still sends gets to read it.
        threads: How many requests are worked on at once.
        connections: How many connections are open at once; more wait in the backlog, and for their sake idle ones are
            closed, as are those whose request comes in too slowly. (granian closes idle ones after 30 s.)
        trusted_proxy: The address of a proxy whose ``X-Forwarded-*`` headers are believed; ``*`` for any.
        lane: Takes plain envelopes in, past the application. Not used behind a proxy.
        accepts_at_once: How many connections are accepted at a time; few where processes share the socket, so that each
            gets its part. (granian decides by itself.)
    """

    body_bytes: int
    threads: int = THREADS_DEFAULT
    connections: int = CONNECTIONS_DEFAULT["waitress"]
    trusted_proxy: str | None = None
    lane: Lane | None = None
    accepts_at_once: int = 64

    @property
    def usable_lane(self) -> Lane | None:
        """The express lane, where it may be used: it does not know what a proxy says of its clients."""
        return None if self.trusted_proxy else self.lane


class HttpServer:
    """A WSGI application on a listening socket.

    Attributes:
        host, port: Where it listens; the real port where 0 was asked for.
    """

    def __init__(self, app: WsgiApp, sock: socket.socket, settings: ServerSettings) -> None:
        """Put *app* on *sock*, which is bound and listening (see `listen`); `run` serves it."""
        self.host, self.port = sock.getsockname()[:2]
        self._map: dict[int, Any] = {}
        self._pool = ThreadPool(settings.threads)
        self._listener = Listener(
            app,
            self._map,
            True,  # noqa: FBT003 - waitress has no other way
            sock,
            dispatcher=self._pool,
            adj=_adjustments(connections=settings.connections, trusted_proxy=settings.trusted_proxy),
            bind_socket=False,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            lane=settings.usable_lane,
        )
        self._listener.accepts_at_once = settings.accepts_at_once
        self._listener.kept_body_bytes = settings.body_bytes + 1
        self._listener.trusts_proxy = bool(settings.trusted_proxy)
        self._listener.loop = self._loop = make_loop(self._listener, self._map)

    def run(self, *, grace_s: float = 5.0, beat: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop`, then finish what has begun, for up to *grace_s* seconds.

        Args:
            beat: Called about once a second, by the thread that reads and answers.
        """
        beat_at = float("-inf")
        while not self._listener.stopping:
            self._loop.turn(ROOM_EVERY_S if self._listener.is_full else 1.0)
            if time.monotonic() - beat_at >= BEAT_S:
                beat_at = time.monotonic()
                beat()
        self._drain(time.monotonic() + grace_s)
        self._pool.shutdown(timeout_s=1.0)
        self._listener.close()  # first, since it looks after the trigger, which `stop` may be about to pull
        wasyncore.close_all(self._map, ignore_all=True)
        self._loop.close()

    def stop(self) -> None:
        """Make `run` end. May be called from a signal handler, from any thread, and more than once."""
        self._listener.stopping = True
        self._listener.pull_trigger()

    def _drain(self, deadline: float) -> None:
        """Take no new connections, but answer those that are here: an SDK does not send an event twice."""
        listener = self._listener
        while listener.accept_one():
            pass
        listener.stop_listening()
        while listener.active_channels and time.monotonic() < deadline:
            self._loop.turn(0.02)
            idle_since = time.time() - _IDLE_GRACE_S
            for channel in list(listener.active_channels.values()):
                if channel.is_idle() and channel.last_activity < idle_since:
                    channel.handle_close()


def listen(host: str, port: int, *, option: str = "--") -> socket.socket:
    """Return a socket that listens on *host* and *port*; 0 takes a free port.

    Args:
        host: An address of this machine, or a name of it.
        port: 0 to 65535.
        option: How the options begin that set them, for the error.

    Raises:
        ConfigurationError: the port is taken, or the address is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        found.sort(key=lambda info: info[0] != socket.AF_INET)  # "localhost" is both; most DSNs resolve to IPv4
        family, _, _, _, address = found[0]
        dual = family == socket.AF_INET6 and host == "::"
        return _bound((str(address[0]), int(address[1])), family=family, dual=dual)
    except (OSError, OverflowError, UnicodeError) as error:
        why = (getattr(error, "strerror", None) or str(error)).partition(" (while attempting")[0]  # says it twice
        variable = f"RUSTRAK_{option.strip('-').upper()}".rstrip("_")
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {why}; choose another with {option}host and {option}port"
            f" ({variable}_HOST, {variable}_PORT)"
        ) from error


def local_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches a server that listens on *host*."""
    if host in {"", "0.0.0.0", "::"}:  # noqa: S104 - all addresses; a DSN needs one of them
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bound(address: tuple[str, int], *, family: int, dual: bool) -> socket.socket:
    """Listen; where the port is taken, it may be by processes whose parent was just killed, which are about to go."""
    deadline = time.monotonic() + _TAKEN_WAIT_S
    while True:
        try:
            sock = socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=dual)
            sock.settimeout(0)  # here, before processes share it: whether it blocks is one thing for all of them
            return sock
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _adjustments(*, connections: int, trusted_proxy: str | None) -> Any:
    proxy: dict[str, Any] = {}
    if trusted_proxy:
        proxy = {
            "trusted_proxy": trusted_proxy,
            "trusted_proxy_count": 1,
            "trusted_proxy_headers": " ".join(sorted(TRUSTED_HEADERS)),
        }
    return Adjustments(
        connection_limit=connections,
        backlog=BACKLOG,
        recv_bytes=64 * 1024,
        channel_timeout=120,
        max_request_header_size=HEADER_BYTES,
        max_request_body_size=HARD_BODY_BYTES,
        clear_untrusted_proxy_headers=bool(trusted_proxy),  # else `Task.get_environment` drops them
        expose_tracebacks=False,
        log_socket_errors=False,  # a client that goes away is no problem of ours
        ident=None,
        asyncore_use_poll=True,
        **proxy,
    )
