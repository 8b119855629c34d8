"""The application and the express lane, measured; and what answers ``/metrics``. Unmeasured, none of it is there."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rustrak_http.exposition import CONTENT_TYPE
from rustrak_http.express import Answered, Lane, Sender
from rustrak_http.paths import ingestion_path
from rustrak_http.request_id import HEADER, request_id
from rustrak_http.tallies import Tallies

PATH = "/metrics"

WsgiApp = Callable[..., Iterable[bytes]]
_HEADERS = [("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store")]


class MeteredLane(Lane):
    """An express lane whose requests are counted, with how long each took until it was on disk.

    Args:
        lane: The lane itself.
        tallies: Where to count.
        slot: Of this process.
    """

    def __init__(
        self, lane: Lane, tallies: Tallies, slot: int, *, monotonic: Callable[[], float] = time.perf_counter
    ) -> None:
        self._lane = lane
        self._tallies = tallies
        self._slot = slot
        self._monotonic = monotonic

    def sender(self, *, method: str, path: str, query: str, headers: Mapping[str, str]) -> Sender | None:
        """See `Lane.sender`."""
        return self._lane.sender(method=method, path=path, query=query, headers=headers)

    def take(self, sender: Sender, body: bytes, remote_addr: str | None, answered: Answered) -> bool:
        """See `Lane.take`."""
        began_at = self._monotonic()

        def measured(answer: bytes | None) -> None:
            if answer is not None:
                self._tallies.accepted(self._slot, self._monotonic() - began_at)
                self._tallies.requested(self._slot, "ingestion", 200)
            answered(answer)

        return self._lane.take(sender, body, remote_addr, measured)

    def push(self) -> None:
        """See `Lane.push`."""
        self._lane.push()


class MeteredApp:
    """A WSGI application whose requests are counted.

    Args:
        app: The application itself.
        tallies: Where to count.
        slot: Of this process.
        figures: What ``/metrics`` is answered with; without, that path is the application's.
    """

    def __init__(
        self,
        app: WsgiApp,
        tallies: Tallies,
        slot: int,
        *,
        figures: Callable[[], str] | None = None,
        monotonic: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._tallies = tallies
        self._slot = slot
        self._metrics = None if figures is None else MetricsApp(figures)
        self._monotonic = monotonic

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        if self._metrics is not None and path.rstrip("/") == PATH:
            return self._metrics(environ, start_response)
        began_at = self._monotonic()
        kind = _kind(path)

        def started(status: str, *rest: Any) -> Any:
            code = int(status[:3])
            self._tallies.requested(self._slot, kind, code)
            if kind == "ingestion" and code == 200 and environ["REQUEST_METHOD"] == "POST":
                self._tallies.accepted(self._slot, self._monotonic() - began_at)
            return start_response(status, *rest)

        return self._app(environ, started)


class MetricsApp:
    """A WSGI application that answers ``/metrics``, and nothing else.

    Args:
        figures: What it is answered with, in Prometheus' text format.
    """

    def __init__(self, figures: Callable[[], str]) -> None:
        self._figures = figures

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        headers = [*_HEADERS, (HEADER, request_id(environ.get("HTTP_X_REQUEST_ID")))]
        status, kind, body = "200 OK", CONTENT_TYPE, b""
        if environ.get("PATH_INFO", "").rstrip("/") != PATH:
            status, kind, body = "404 Not Found", "application/json", b'{"error":"no such path; /metrics is all"}'
        elif environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            status, kind, body = "405 Method Not Allowed", "application/json", b'{"error":"it takes GET"}'
            headers.append(("Allow", "GET, HEAD"))
        else:
            body = self._figures().encode()
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *headers])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _kind(path: str) -> str:
    if ingestion_path(path) is not None:
        return "ingestion"
    return "api" if path.startswith("/api/") else "other"
