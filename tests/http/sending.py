"""Requests as SDKs send them, for each of the ingestion paths."""

import io
import json
from typing import Any

from tests.http.conftest import Api, envelope, error

EVENT_ID = "550e8400e29b41d4a716446655440000"
SERVED = ["envelope", "store", "security", "csp-report"]
CSP = {"csp-report": {"document-uri": "https://shop.test/", "violated-directive": "script-src", "blocked-uri": "eval"}}


def body_for(path: str) -> bytes:
    payload = {"event_id": EVENT_ID, **error()}
    if path == "envelope":
        return envelope(payload)
    return json.dumps(payload if path == "store" else CSP).encode()


def headers_for(path: str) -> dict[str, str]:
    return {} if path in {"envelope", "store"} else {"Content-Type": "application/csp-report"}


def call(api: Api, path: str, body: bytes, **environ: Any) -> tuple[str, Any]:
    """Call the application as a server does, without a client that would set lengths right."""
    env = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        **environ,
    }
    status: list[str] = []
    pieces = api.app(env, lambda line, _headers: status.append(line))
    return status[0][:3], json.loads(b"".join(pieces))
