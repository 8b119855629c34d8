"""``rustrak serve --metrics``: what is counted, where the other figures come from, and a port of its own for them."""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from rustrak_core.ambient import utc_now
from rustrak_core.ports import Store
from rustrak_http.cli.options import Place
from rustrak_http.metered import MetricsApp
from rustrak_http.metrics import Child, Metrics, QuarantineFigures, Sources, Waiting
from rustrak_http.processes import usage
from rustrak_http.server import HttpServer, ServerSettings
from rustrak_http.tallies import Tallies

_CONNECTIONS = 20


@attrs.frozen(kw_only=True)
class Meter:
    """What the processes of a server share to be measured; made before they are.

    Attributes:
        tallies: Where each counts.
        children: Who they are.
        on_same_port: Whether ``/metrics`` is answered where SDKs send.
        sock: Where it is answered too; None for nowhere else.
    """

    tallies: Tallies
    children: Sequence[Child]
    parent_pid: int = attrs.field(factory=os.getpid)
    on_same_port: bool
    sock: socket.socket | None = None

    def close(self) -> None:
        """Let go of the port in a process that does not answer on it."""
        if self.sock is not None:
            self.sock.close()

    def figures(self, place: Place, store: Store, spool: Waiting) -> Callable[[], str]:
        """Return what gathers the figures, from what a process has open."""
        from rustrak_storage.spool import QuarantineFolder

        folder = QuarantineFolder(place.spool_dir)

        def quarantine() -> QuarantineFigures:
            found = folder.stats()
            return QuarantineFigures(events=found.events, size_bytes=found.size_bytes, dropped=found.dropped)

        return Metrics(
            Sources(
                store=store,
                spool=spool,
                tallies=self.tallies,
                children=self.children,
                usage=usage,
                parent_pid=self.parent_pid,
                quarantine=quarantine,
                store_bytes=lambda: database_bytes(place.database_file),
                clock=utc_now,
            )
        ).text

    @contextmanager
    def answering(self, figures: Callable[[], str]) -> Iterator[None]:
        """Answer on the port of its own, by a thread, if there is one."""
        if self.sock is None:
            yield
            return
        settings = ServerSettings(body_bytes=0, threads=1, connections=_CONNECTIONS, accepts_at_once=1)
        server = HttpServer(MetricsApp(figures), self.sock, settings)
        thread = threading.Thread(target=server.run, kwargs={"grace_s": 1.0}, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.stop()
            thread.join(5)


def database_bytes(file: Path | None) -> int | None:
    """Return how large the file of SQLite or DuckDB is, with what is not yet written back; None for others."""
    if file is None:
        return None
    total = 0
    for path in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}.wal")):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
