"""A file of request bodies, for load generators to read."""

import struct
from pathlib import Path

from tests.benchmarks.events import Body, request_bodies

ENCODINGS = ("", "gzip")
_HEAD = struct.Struct("<IB")


def write_bodies(path: Path, count: int) -> None:
    """Write so many bodies, each behind its length (four bytes) and its encoding (one byte: where in `ENCODINGS`)."""
    with path.open("wb") as file:
        for body in request_bodies(count):
            file.write(_HEAD.pack(len(body.data), ENCODINGS.index(body.encoding)) + body.data)


def read_bodies(path: Path) -> list[Body]:
    """Read what `write_bodies` wrote."""
    data, bodies, at = path.read_bytes(), [], 0
    while at < len(data):
        length, encoding = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        bodies.append(Body(encoding=ENCODINGS[encoding], data=data[at : at + length]))
        at += length
    return bodies


def request_bytes(path: str, auth: str, body: Body) -> bytes:
    """Return the request that sends *body* to *path*."""
    encoding = f"Content-Encoding: {body.encoding}\r\n" if body.encoding else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Sentry-Auth: {auth}\r\n{encoding}"
        "Content-Type: application/x-sentry-envelope\r\nUser-Agent: sentry.python.django/2.75.0\r\n"
        f"Content-Length: {len(body.data)}\r\n\r\n"
    )
    return head.encode() + body.data
