"""Events, issues and projects as rows of a dataset. Times are microseconds since 1970, as `stage` takes them."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import orjson

from rustrak_core.digest import read_payload
from rustrak_core.event.attributes import attribute
from rustrak_core.event.exception import last_exception
from rustrak_core.event.frames import frames_of
from rustrak_core.event.scalars import boolean, cut, lenient_text, plain_text, unsigned
from rustrak_core.grouping import settings_of, transaction_of
from rustrak_core.issue import Issue
from rustrak_core.jsontext import dumps
from rustrak_core.ports import BareEvent, IssueKey, NumberedEvent
from rustrak_core.project import Project
from rustrak_core.times import from_micros, to_micros
from rustrak_storage.duck.sent import read_sent

_TEXT_MAX = 2000
_SHORT_MAX = 200
_FRAMES_MAX = 1000
_LINE_MAX = 2**63 - 1
_DAY_MICROS = 86_400_000_000
_EVENT = b'{"kind":"event"'
_STACKS, _STACK_BYTES = 2048, 8192
_stacks: dict[bytes, bytes] = {}
"""Frames as rows have them, by what was sent: events have the same ones over and over."""


def bare_event(numbered: NumberedEvent) -> BareEvent:
    """Return an event in the form in which other stores give it at once."""
    number, stored = numbered
    summary, user = stored.summary, stored.summary.user
    details: dict[str, Any] = {
        "kind": stored.kind,
        "type": stored.type,
        "message": stored.message,
        "culprit": stored.culprit,
        "level": stored.level,
        "platform": stored.platform,
        "tags": dict(stored.tags),
        "sdk_client": stored.sdk_client,
        "hints": stored.hints,
    }
    parts = None if user is None else [user.id, user.email, user.username, user.ip_address]
    return BareEvent(
        number,
        summary.project_id,
        summary.id.bytes,
        summary.issue_id,
        to_micros(summary.timestamp),
        to_micros(summary.received_at),
        stored.key.mechanism,
        bytes.fromhex(stored.key.value),
        summary.environment,
        summary.release,
        None if parts is None else dumps(parts).decode(),
        dumps(details),
        stored.payload,
    )


def part_of(event: BareEvent) -> str:
    """Return day and project of *event*, as in ``day=2026-01-15/project_id=1``."""
    return _part(event.timestamp // _DAY_MICROS, event.project_id)


@lru_cache(maxsize=1024)
def _part(day: int, project_id: int) -> str:
    return f"day={from_micros(day * _DAY_MICROS).date().isoformat()}/project_id={project_id}"


def event_line(event: BareEvent, project: str) -> bytes:
    """Return *event* as a line that `rustrak_storage.duck.lines` reads; *project* is the slug of its project.

    What columns of the store hold is taken from there; the rest is read from the payload by the rules of
    `rustrak_core.event`. What is JSON already is passed on as it is, for DuckDB to read.
    """
    sent, payload = _read(event)
    own: dict[str, Any] = {
        "project": project,
        "mechanism": event.mechanism,
        "environment": event.environment,
        "release": event.release,
        "transaction": transaction_of(sent) or None,
        "url": _url(sent),
        "trace_id": _trace_id(sent),
        "server": _short(lenient_text(sent.get("server_name"))),
    }
    own["sdk_name"], own["sdk_version"] = _sdk(sent, event.details)
    if b"\n" in payload or b"\r" in payload:  # laid out for people, which a line cannot hold
        own["payload"] = payload.decode()
        payload = b""
    head = (
        b'{"number":%d,"event_id":"%b","project_id":%d,"issue_id":%d,"timestamp":%d,"received_at":%d,'
        b'"grouping_key":"%b","payload_bytes":%d,"user":%b,"details":%b,"frames":[%b],"own":%b}'
    )
    values = (
        event.number,
        event.event_id.hex().encode(),
        event.project_id,
        event.issue_id,
        event.timestamp,
        event.received_at,
        event.key_value.hex().encode(),
        len(event.payload or b""),
        b"null" if event.user is None else event.user.encode(),
        event.details,
        _frames(sent),
        dumps(own),
    )
    return b"%b\x1f%b\n" % (head % values, payload)


def issue_row(issue: Issue, project: str, keys: Iterable[IssueKey]) -> dict[str, Any]:
    """Return *issue*, to which *keys* lead, as a row of ``issues``."""
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
        "keys": [{"mechanism": key.mechanism, "value": key.value, "origin_id": origin} for key, origin in keys],
    }


def project_row(project: Project, rules: str) -> dict[str, Any]:
    """Return *project*, which has *rules* on grouping, as a row of ``projects``."""
    return {
        "id": project.id,
        "slug": project.slug,
        "name": project.name,
        "created_at": to_micros(project.created_at),
        "event_count": project.event_count,
        "issue_count": project.issue_count,
        "rules": rules,
        "mechanism": settings_of(rules).rules.mechanism,
    }


def line_of(row: Mapping[str, Any]) -> bytes:
    """Return *row* as a line of JSON, its line feed with it."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # lone surrogates, or integers beyond 64 bits, that a payload held
        return dumps(row) + b"\n"


def _read(event: BareEvent) -> tuple[Mapping[str, Any], bytes]:
    """Return the payload as an object, and as JSON that any reader takes: as sent, where that is such JSON.

    The object lacks parts of which rows are not made, where it can be read without them.
    """
    payload = event.payload
    if payload is None:
        return {}, b""
    if event.details.startswith(_EVENT):
        with suppress(ValueError):
            return read_sent(payload), payload
        with suppress(ValueError):
            value = orjson.loads(payload)
            if isinstance(value, dict):
                return value, payload
    details = orjson.loads(event.details)
    lenient = read_payload(payload, details["kind"], [(name, value) for name, value in details.get("hints", ())])
    return (lenient, dumps(lenient)) if lenient is not None else ({}, b"")


def _frames(sent: Mapping[str, Any]) -> bytes:
    exception = last_exception(sent)
    own = None if exception is None else exception.get("stacktrace")
    frames = frames_of(attribute(sent, "stacktrace") if own is None else own)[-_FRAMES_MAX:]
    if not frames:
        return b""
    key = dumps(frames)
    known = _stacks.get(key)
    if known is None:
        known = orjson.dumps([_frame(frame) for frame in frames if isinstance(frame, dict)])[1:-1]
        if len(key) <= _STACK_BYTES:
            if len(_stacks) >= _STACKS:
                _stacks.clear()
            _stacks[key] = known
    return known


def _frame(frame: Mapping[str, Any]) -> dict[str, Any]:
    line = unsigned(frame.get("lineno"))
    return {
        "module": _short(plain_text(frame.get("module"))),
        "filename": _short(plain_text(frame.get("filename")) or plain_text(frame.get("abs_path"))),
        "function": _short(plain_text(frame.get("function"))),
        "lineno": line if line is None or line <= _LINE_MAX else None,
        "in_app": boolean(frame.get("in_app")),
    }


def _url(sent: Mapping[str, Any]) -> str | None:
    request = attribute(sent, "request")
    url = plain_text(request.get("url")) if isinstance(request, dict) else None
    return cut(url, _TEXT_MAX) if url else None


def _trace_id(sent: Mapping[str, Any]) -> str | None:
    contexts = attribute(sent, "contexts")
    trace = contexts.get("trace") if isinstance(contexts, dict) else None
    return _short(plain_text(trace.get("trace_id"))) if isinstance(trace, dict) else None


def _sdk(sent: Mapping[str, Any], details: bytes) -> tuple[str | None, str | None]:
    sdk = sent.get("sdk")
    if isinstance(sdk, dict):
        return _short(plain_text(sdk.get("name"))), _short(lenient_text(sdk.get("version")))
    name, _, version = (orjson.loads(details).get("sdk_client") or "").partition("/")
    return _short(name), _short(version)


def _short(text: str | None) -> str | None:
    return cut(text, _SHORT_MAX) if text else None
