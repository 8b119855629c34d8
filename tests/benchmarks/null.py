"""A WSGI application that reads the body and answers, on the server that Rustrak uses: the floor of all figures."""

import signal
from collections.abc import Callable, Iterable
from typing import Any

from rustrak_http.server import serve_app

_BODY = b'{"id":"0123456789abcdef0123456789abcdef"}'


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer any request."""
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))])
    return [_BODY]


if __name__ == "__main__":
    server = serve_app(app, "127.0.0.1", 0, body_bytes=1 << 20)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    print(server.port, flush=True)
    server.run()
