"""The HTTP request in which an event happened."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from rustrak_core.event.attributes import attribute, read_fields
from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import Rule, any_text, object_or_list, plain_text

_METHOD_MAX = 32


def _method(value: Any) -> str | None:
    return value.upper() if isinstance(value, str) and len(value) <= _METHOD_MAX else None


def _pairs(value: Any) -> list[tuple[str, str]] | None:
    """Return (name, value) of an object or a list of pairs; of a list as value, one pair each."""
    if isinstance(value, dict):
        value = list(value.items())
    if not isinstance(value, list):
        return None
    pairs = []
    for pair in value:
        if isinstance(pair, list | tuple) and len(pair) == 2:
            several = pair[1] if isinstance(pair[1], list) else [pair[1]]
            pairs += [(any_text(pair[0]) or "", any_text(one) or "") for one in several]
    return pairs


def _query_string(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    pairs = _pairs(value)
    return None if pairs is None else urlencode(pairs, errors="replace")


def _headers(value: Any) -> dict[str, str] | None:
    pairs = _pairs(value)
    if pairs is None:
        return None
    headers: dict[str, list[str]] = {}
    for name, text in pairs:
        headers.setdefault(name, []).append(text)
    return {name: ", ".join(several) for name, several in headers.items()}


def _cookies(value: Any) -> dict[str, str] | None:
    if isinstance(value, str):
        parted = (part.partition("=") for part in value.split(";"))
        return {name.strip(): text.strip() for name, _, text in parted if name.strip()}
    pairs = _pairs(value)
    return None if pairs is None else dict(pairs)


REQUEST_RULES: Final[Mapping[str, Rule]] = {
    "url": plain_text,
    "method": _method,
    "query_string": _query_string,
    "headers": _headers,
    "cookies": _cookies,
    "env": object_or_list,
    "fragment": plain_text,
    "inferred_content_type": plain_text,
}


def request_form(payload: Mapping[str, Any], problems: Problems) -> dict[str, Any] | None:
    """Return the one form of a request: the query as a string, headers and cookies as objects of strings."""
    request = attribute(payload, "request")
    if request is None:
        return None
    if not isinstance(request, dict):
        problems.add("request", "not an object", request)
        return None
    return read_fields(request, REQUEST_RULES, "request", problems)
