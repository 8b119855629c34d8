"""Events as sentry-sdk sends them, about 5 KB each, of a few hundred issues, each with an id of its own."""

import gzip
import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

ISSUES = 300
_FRAMES = 12
_PLACES = ("checkout", "cart", "search", "invoice", "login", "mailer", "report", "export", "import", "sync")
_KINDS = ("ValueError", "KeyError", "TimeoutError", "ConnectionError", "ZeroDivisionError", "PermissionError")


def payload(issue: int, number: int, event_id: UUID) -> dict[str, Any]:
    """Return the *number*-th event of all, which is of *issue*."""
    place = _PLACES[issue % len(_PLACES)]
    kind = _KINDS[issue // len(_PLACES) % len(_KINDS)]
    trace = f"{number:032x}"
    return {
        "event_id": event_id.hex,
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{number % 1000000:06d}Z",
        "platform": "python",
        "level": "error",
        "release": f"shop@1.{issue % 7}.0",
        "environment": ("production", "staging")[issue % 2],
        "server_name": f"web-{number % 4}",
        "transaction": f"/{place}/{{id}}",
        "exception": {"values": [_exception(kind, place, issue, number)]},
        "breadcrumbs": {"values": [_breadcrumb(place, number, step) for step in range(6)]},
        "user": {"id": str(number % 5000), "ip_address": f"10.0.{number % 200}.7"},
        "tags": {"region": ("eu", "us", "ap")[number % 3], "tier": "web", "shard": str(number % 8)},
        "contexts": {
            "runtime": {
                "name": "CPython",
                "version": "3.11.7",
                "build": "3.11.7 (main, Dec 4 2023, 18:10:11) [GCC 12.2.0]",
            },
            "trace": {"trace_id": trace, "span_id": trace[-16:], "op": "http.server", "status": "internal_error"},
        },
        "request": {
            "url": f"https://shop.example/{place}/{number}",
            "method": "POST",
            "headers": {"Host": "shop.example", "Accept": "*/*", "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"},
            "env": {"SERVER_NAME": "shop.example", "SERVER_PORT": "443"},
        },
        "extra": {"sys.argv": ["/srv/shop/manage.py", "runserver"], "attempt": number % 3},
        "sdk": {
            "name": "sentry.python.django",
            "version": "2.75.0",
            "packages": [{"name": "pypi:sentry-sdk", "version": "2.75.0"}],
            "integrations": ["argv", "atexit", "dedupe", "django", "excepthook", "logging", "modules", "stdlib"],
        },
    }


def _exception(kind: str, place: str, issue: int, number: int) -> dict[str, Any]:
    return {
        "type": kind,
        "value": f"case {issue} of {place} went wrong\nwith order {number}",
        "module": "shop.errors",
        "mechanism": {"type": "django", "handled": False},
        "stacktrace": {"frames": [_frame(place, issue, number, depth) for depth in range(_FRAMES)]},
    }


def _frame(place: str, issue: int, number: int, depth: int) -> dict[str, Any]:
    own = depth >= _FRAMES // 2
    module = f"shop.{place}.step{depth}" if own else f"django.core.handlers.base{depth}"
    return {
        "filename": module.replace(".", "/") + ".py",
        "abs_path": f"/srv/shop/{module.replace('.', '/')}.py",
        "function": f"handle_{place}_{issue}" if own else "get_response",
        "module": module,
        "lineno": 40 + depth + issue,
        "context_line": f"        return self.next(request, order={depth})",
        "in_app": own,
        "vars": {"order": str(number), "self": f"<{place.title()} object at 0x7f{number:010x}>"} if own else {},
    }


def _breadcrumb(place: str, number: int, step: int) -> dict[str, Any]:
    return {
        "type": "default",
        "category": "query",
        "level": "info",
        "timestamp": f"2026-01-01T00:00:{step:02d}.000000Z",
        "message": f"SELECT * FROM {place}_{step} WHERE id = {number}",
    }


def request_bodies(count: int) -> Iterator[bytes]:
    """Yield so many gzipped envelopes, as sentry-sdk sends them."""
    for number in range(count):
        event_id = uuid4()
        body = json.dumps(payload(number % ISSUES, number, event_id), separators=(",", ":")).encode()
        sent_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        head = json.dumps({"event_id": event_id.hex, "sent_at": sent_at}).encode()
        item = json.dumps({"type": "event", "content_type": "application/json", "length": len(body)}).encode()
        yield gzip.compress(head + b"\n" + item + b"\n" + body + b"\n", compresslevel=6)


def write_bodies(path: Path, count: int) -> None:
    """Write so many bodies to a file, each behind its length in four bytes, for a load generator to read."""
    with path.open("wb") as file:
        for body in request_bodies(count):
            file.write(struct.pack("<I", len(body)) + body)


def read_bodies(path: Path) -> list[bytes]:
    """Read what `write_bodies` wrote."""
    data, bodies, at = path.read_bytes(), [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        bodies.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return bodies


def mean_payload_bytes() -> int:
    """Return the mean size of an event, in bytes of JSON."""
    sizes = [len(json.dumps(payload(n, n, uuid4()), separators=(",", ":"))) for n in range(0, ISSUES, 10)]
    return sum(sizes) // len(sizes)
