"""Content Security Policy violations, as browsers report them: the older form and the Reporting API's."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from rustrak_core.event.scalars import any_text

TYPE: Final = "CSP"

_HINTS: Final = ("release", "environment")
_MADE: Final = frozenset({"type", "logger", "logentry", "culprit", "csp", "request", *_HINTS})
_UPPER = re.compile(r"(?<=[a-z])([A-Z]+)")
_KEYWORDS = frozenset({"inline", "eval", "data", "blob", "filesystem", "wasm-eval", "trusted-types-policy"})


def event_from_report(report: Mapping[str, Any], hints: Mapping[str, str]) -> dict[str, Any]:
    """Return a report as an event: its fields under ``csp`` by their older names, as in ``blocked-uri``.

    Args:
        report: ``{"csp-report": {...}}``, a report of the Reporting API, or what either of them holds.
        hints: ``release`` and ``environment``, as the request's query said.
    """
    fields = _fields(report)
    document = any_text(fields.get("document-uri")) or ""
    event: dict[str, Any] = {
        "type": "csp",
        "logger": "csp",
        "logentry": {"formatted": _message(fields)},
        "culprit": _without_query(document),
        "csp": fields,
        **{name: text for name, text in hints.items() if name in _HINTS},
    }
    if document:
        event["request"] = {"url": document}
        agent = report.get("user_agent")
        if isinstance(agent, str):
            event["request"]["headers"] = {"User-Agent": agent}
    return event


def report_of(event: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Return a report and hints of which `event_from_report` makes *event*; None where it makes no such event."""
    if not (event.get("type") == "csp" and isinstance(event.get("csp"), dict) and event.keys() <= _MADE):
        return None
    report: dict[str, Any] = {"csp-report": event["csp"]}
    request = event.get("request")
    headers = request.get("headers") if isinstance(request, dict) else None
    if isinstance(headers, dict):
        report["user_agent"] = headers.get("User-Agent")
    return report, {name: event[name] for name in _HINTS if name in event}


def _fields(report: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("csp-report", "body"):
        inner = report.get(name)
        if isinstance(inner, dict):
            return {_older_name(key): value for key, value in inner.items()}
    return {_older_name(key): value for key, value in report.items()}


def _older_name(name: str) -> str:
    """Return ``blocked-uri`` for ``blockedURL``."""
    return re.sub(r"-url$", "-uri", _UPPER.sub(r"-\1", name).lower()) if name.isalpha() else name


def _message(fields: Mapping[str, Any]) -> str:
    directive = any_text(fields.get("effective-directive")) or any_text(fields.get("violated-directive")) or "unknown"
    directive = directive.split(maxsplit=1)[0] if directive.strip() else "unknown"
    blocked = any_text(fields.get("blocked-uri")) or "self"
    scheme = blocked.partition(":")[0].lower()
    if scheme in _KEYWORDS:
        return f"Blocked {scheme} '{directive}'"
    return f"Blocked '{directive}' from '{_host(blocked)}'"


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc or url
    except ValueError:
        return url


def _without_query(url: str) -> str:
    return url.partition("?")[0].partition("#")[0]
