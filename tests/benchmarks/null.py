"""A server of Rustrak's whose application reads the body and answers: the floor of all figures.

Like Rustrak's own it answers envelopes on the express lane, which is where the servers are quickest, and shares the
port among as many processes.
"""

import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from rustrak_core.project import ProjectId
from rustrak_http.board import Board
from rustrak_http.cli.http import server_class
from rustrak_http.express import Answered, Lane, Sender
from rustrak_http.server import ServerSettings, listen
from rustrak_http.supervisor import Life, Role, Supervisor

_BODY = b'{"id":"0123456789abcdef0123456789abcdef"}'


class NullLane(Lane):
    """Takes everything, keeps nothing, and answers when the server has read what there is to read."""

    def __init__(self) -> None:
        self._waiting: list[Answered] = []

    def sender(self, *, method: str, path: str, query: str, headers: Mapping[str, str]) -> Sender:
        """Return the same sender for anyone."""
        return Sender(project_id=ProjectId(1), found=None, content_encoding=None)

    def take(self, sender: Sender, body: bytes, remote_addr: str | None, answered: Answered) -> bool:
        """Take any body."""
        self._waiting.append(answered)
        return True

    def push(self) -> None:
        """Answer all that wait."""
        waiting, self._waiting = self._waiting, []
        for answered in waiting:
            answered(_BODY)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer any request."""
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))])
    return [_BODY]


def _serve(name: str, sock: socket.socket, processes: int, life: Life) -> int:
    accepts = 64 if processes == 1 else 1
    server = server_class(name)(app, sock, ServerSettings(body_bytes=1 << 20, lane=NullLane(), accepts_at_once=accepts))
    life.when_over(server.stop)
    server.run(beat=life.beat)
    return 0


def main(name: str, processes: int) -> None:
    """Serve in so many processes, and print the port."""
    sock = listen("127.0.0.1", 0)
    role = Role(name="http", run=partial(_serve, name, sock, processes), grace_s=7.0)
    supervisor = Supervisor([role] * processes, Board(processes))
    supervisor.run(started=lambda: print(sock.getsockname()[1], flush=True), stopping=sock.close)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
