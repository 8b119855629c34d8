"""Events, issues and projects as rows of a dataset. Times are microseconds since 1970, as `stage` takes them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from rustrak_core.accepted import EventKind
from rustrak_core.digest import read_payload
from rustrak_core.digested import StoredEvent, User
from rustrak_core.event import title_of
from rustrak_core.event.attributes import attribute
from rustrak_core.event.frames import frames_of
from rustrak_core.event.scalars import boolean, cut, lenient_text, plain_text, unsigned
from rustrak_core.grouping import transaction_of
from rustrak_core.issue import Issue
from rustrak_core.jsontext import dumps
from rustrak_core.project import Project
from rustrak_core.times import to_micros

_TEXT_MAX = 2000
_SHORT_MAX = 200
_FRAMES_MAX = 1000
_LINE_MAX = 2**63 - 1
_NOBODY = User()


def event_row(number: int, stored: StoredEvent, project: str) -> dict[str, Any]:
    """Return event *number* as a row of ``events``, but for its day; *project* is the slug of its project.

    What columns of the store hold is taken from there; the rest is read from the payload by the rules of
    `rustrak_core.event`.
    """
    summary = stored.summary
    user = summary.user or _NOBODY
    sent, text = _read(stored)
    sdk_name, sdk_version = _sdk(sent, stored.sdk_client)
    return {
        "number": number,
        "event_id": str(summary.id),
        "project_id": summary.project_id,
        "project": project,
        "issue_id": summary.issue_id,
        "timestamp": to_micros(summary.timestamp),
        "received_at": to_micros(summary.received_at),
        "type": stored.type,
        "message": stored.message,
        "culprit": stored.culprit,
        "level": stored.level,
        "platform": stored.platform,
        "environment": summary.environment,
        "release": summary.release,
        "transaction": transaction_of(sent) or None,
        "url": _url(sent),
        "trace_id": _trace_id(sent),
        "user_key": user.identity,
        "user_id": user.id,
        "user_email": user.email,
        "user_name": user.username,
        "user_ip": user.ip_address,
        "server": _short(lenient_text(sent.get("server_name"))),
        "sdk_name": sdk_name,
        "sdk_version": sdk_version,
        "mechanism": stored.key.mechanism,
        "grouping_key": stored.key.value,
        "payload_bytes": len(stored.payload or b""),
        "tags": dict(stored.tags),
        "frames": _frames(sent, stored.kind),
        "payload": text,
    }


def issue_row(issue: Issue, project: str) -> dict[str, Any]:
    """Return *issue* as a row of ``issues``."""
    return {
        "id": issue.id,
        "short_id": issue.short_id,
        "project_id": issue.project_id,
        "project": project,
        "type": issue.type,
        "message": issue.message,
        "culprit": issue.culprit,
        "level": issue.level,
        "platform": issue.platform,
        "state": issue.state.value,
        "event_count": issue.event_count,
        "user_count": issue.user_count,
        "first_seen": to_micros(issue.first_seen),
        "last_seen": to_micros(issue.last_seen),
        "first_release": issue.first_release,
        "last_release": issue.last_release,
        "resolved_at": None if issue.resolved_at is None else to_micros(issue.resolved_at),
        "regressed_at": None if issue.regressed_at is None else to_micros(issue.regressed_at),
        "regressed_in": issue.regressed_in,
    }


def project_row(project: Project) -> dict[str, Any]:
    """Return *project* as a row of ``projects``."""
    return {
        "id": project.id,
        "slug": project.slug,
        "name": project.name,
        "created_at": to_micros(project.created_at),
        "event_count": project.event_count,
        "issue_count": project.issue_count,
    }


def line_of(row: Mapping[str, Any]) -> bytes:
    """Return *row* as a line of JSON, its line feed with it."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # lone surrogates, or integers beyond 64 bits, that a payload held
        return dumps(row) + b"\n"


def _read(stored: StoredEvent) -> tuple[Mapping[str, Any], str | None]:
    """Return the payload as an object, and as JSON that any reader takes: as sent, where that is such JSON."""
    payload = stored.payload
    if payload is None:
        return {}, None
    if stored.kind == EventKind.EVENT:
        try:
            value = orjson.loads(payload)
            if isinstance(value, dict):
                return value, payload.decode()
        except ValueError:
            pass
    lenient = read_payload(payload, stored.kind, stored.hints)
    return (lenient, dumps(lenient).decode()) if lenient is not None else ({}, None)


def _frames(sent: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    exception = title_of(sent, kind).exception
    own = None if exception is None else exception.get("stacktrace")
    frames = frames_of(attribute(sent, "stacktrace") if own is None else own)
    return [_frame(frame) for frame in frames[-_FRAMES_MAX:] if isinstance(frame, dict)]


def _frame(frame: Mapping[str, Any]) -> dict[str, Any]:
    get = frame.get
    parts = (get("module"), get("filename"), get("abs_path"), get("function"), get("lineno"), get("in_app"))
    try:
        return _known_frame(*parts)
    except TypeError:  # a list or an object, where nobody sends one
        return _known_frame.__wrapped__(*parts)


@lru_cache(maxsize=4096, typed=True)
def _known_frame(  # noqa: PLR0917 - the cache tells values apart by place and type
    module: Any, filename: Any, abs_path: Any, function: Any, lineno: Any, in_app: Any
) -> dict[str, Any]:
    """Return a frame of which these are the parts as sent; events have the same ones over and over."""
    line = unsigned(lineno)
    return {
        "module": _short(plain_text(module)),
        "filename": _short(plain_text(filename) or plain_text(abs_path)),
        "function": _short(plain_text(function)),
        "lineno": line if line is None or line <= _LINE_MAX else None,
        "in_app": boolean(in_app),
    }


def _url(sent: Mapping[str, Any]) -> str | None:
    request = attribute(sent, "request")
    url = plain_text(request.get("url")) if isinstance(request, dict) else None
    return cut(url, _TEXT_MAX) if url else None


def _trace_id(sent: Mapping[str, Any]) -> str | None:
    contexts = attribute(sent, "contexts")
    trace = contexts.get("trace") if isinstance(contexts, dict) else None
    return _short(plain_text(trace.get("trace_id"))) if isinstance(trace, dict) else None


def _sdk(sent: Mapping[str, Any], client: str | None) -> tuple[str | None, str | None]:
    sdk = sent.get("sdk")
    if isinstance(sdk, dict):
        return _short(plain_text(sdk.get("name"))), _short(lenient_text(sdk.get("version")))
    name, _, version = (client or "").partition("/")
    return _short(name), _short(version)


def _short(text: str | None) -> str | None:
    return cut(text, _SHORT_MAX) if text else None
