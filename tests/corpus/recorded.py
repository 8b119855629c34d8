"""Recorded requests, and what their events hold by a decoding that shares no code with Rustrak.

It reads only what the ten recorded clients send, in the plainest way: were it the product's own reader, the corpus
test could not fail.
"""

import base64
import gzip
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

SAMPLES = Path(__file__).parent.parent / "samples"
CLIENTS = sorted(folder.name for folder in SAMPLES.iterdir() if folder.is_dir())

_RAVEN_LEVELS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "fatal"}


@dataclass(frozen=True)
class Request:
    """A request as it was on the wire."""

    name: str
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    event_id: str | None
    """Of the envelope or the event, by the recorder's account."""

    def header(self, name: str) -> str:
        """Return a header's value, ``""`` where there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def wire(self) -> bytes:
        """Return the request's bytes, chunked where the client's were."""
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{key}: {value}" for key, value in self.headers)]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        if self.header("transfer-encoding").lower() != "chunked":
            return head + self.body
        pieces = [self.body[at : at + 1500] for at in range(0, len(self.body), 1500)]
        return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"

    def decoded(self) -> bytes:
        """Return the body without its content encoding."""
        if self.header("content-encoding") == "gzip":
            return gzip.decompress(self.body)
        if self.header("content-encoding") == "deflate":
            return zlib.decompress(self.body)
        if "/store/" in self.target and not self.body.startswith(b"{"):
            return zlib.decompress(base64.b64decode(self.body))
        return self.body

    def event(self) -> dict[str, Any] | None:
        """Return the event in it, or None where there is none; lone surrogates are U+FFFD, as in all that we answer."""
        if self.method != "POST":
            return None
        body = self.decoded()
        if "/store/" in self.target:
            return _loads(body)
        return next((_loads(data) for kind, data in _items(body) if kind == "event"), None)

    @property
    def event_hex(self) -> str | None:
        """The event id as answers show it."""
        return self.event_id and UUID(self.event_id).hex


def _loads(data: bytes) -> dict[str, Any]:
    text = json.dumps(json.loads(data), ensure_ascii=False)
    payload: dict[str, Any] = json.loads(re.sub("[\ud800-\udfff]", "\ufffd", text))
    return payload


def requests_of(client: str) -> list[Request]:
    """Return the requests of a client, in the order in which it sent them."""
    return [_read(file) for file in sorted((SAMPLES / client).glob("*.req"))]


def _read(file: Path) -> Request:
    facts = json.loads(file.read_text())
    return Request(
        name=f"{file.parent.name}/{file.stem}",
        method=facts["method"],
        target=facts["path"] + ("?" + facts["query"] if facts["query"] else ""),
        headers=[(key, value) for key, value in facts["headers"]],
        body=file.with_suffix(".body").read_bytes(),
        event_id=facts["_catcher"]["event_id"],
    )


def _items(envelope: bytes) -> list[tuple[str, bytes]]:
    at = envelope.index(b"\n") + 1
    items = []
    while at < len(envelope):
        end = envelope.index(b"\n", at)
        header = json.loads(envelope[at:end])
        at = end + 1
        end = at + header["length"] if "length" in header else (envelope + b"\n").index(b"\n", at)
        items.append((header["type"], envelope[at:end]))
        at = end + 1
    return items


@dataclass(frozen=True)
class Facts:
    """What must be intact of an event."""

    type: str
    message: str
    level: str
    tags: dict[str, str]
    user: dict[str, Any]
    release: str | None
    environment: str | None
    exceptions: list[tuple[Any, Any]]
    breadcrumbs: list[tuple[Any, Any, Any]]
    frames: list[list[tuple[Any, ...]]]


def facts_of(payload: dict[str, Any]) -> Facts:
    """Return what an event holds, in whichever of the recorded forms; also of the API's answer.

    A message with a stack (``attach_stacktrace``) comes as an exception without a type, and is a ``Message``.
    """
    exceptions = _values(payload.get("exception"))
    last = exceptions[-1] if exceptions else {}
    level = payload.get("level", "error")
    return Facts(
        type=str(last.get("type") or "Message"),
        message=str(last.get("value") or "") if exceptions else _message(payload),
        level=_RAVEN_LEVELS.get(level, level),
        tags=_tags(payload.get("tags")),
        user={
            key: str(payload["user"][key])
            for key in ("id", "email", "username")
            if (payload.get("user") or {}).get(key)
        },
        release=payload.get("release"),
        environment=payload.get("environment"),
        exceptions=[(one.get("type"), one.get("value")) for one in exceptions],
        breadcrumbs=[
            (b.get("category"), b.get("message"), b.get("timestamp")) for b in _values(payload.get("breadcrumbs"))
        ],
        frames=[_frames(one.get("stacktrace")) for one in [*exceptions, *_values(payload.get("threads"))]],
    )


def _values(section: Any) -> list[dict[str, Any]]:
    return (section.get("values") or []) if isinstance(section, dict) else (section or [])


def _message(payload: dict[str, Any]) -> str:
    entry = payload.get("logentry") or payload.get("sentry.interfaces.Message") or payload.get("message") or ""
    if isinstance(entry, str):
        return entry
    if entry.get("formatted"):
        return str(entry["formatted"])
    params = entry.get("params")
    return str(entry["message"] % tuple(params)) if params else str(entry["message"])


def _tags(tags: Any) -> dict[str, str]:
    pairs = tags.items() if isinstance(tags, dict) else [tuple(pair) for pair in tags or []]
    return {key: str(value) for key, value in pairs}


def _frames(stacktrace: Any) -> list[tuple[Any, ...]]:
    frames = (stacktrace or {}).get("frames") or []
    return [
        tuple(frame.get(key) for key in ("module", "function", "lineno", "in_app", "context_line")) for frame in frames
    ]
