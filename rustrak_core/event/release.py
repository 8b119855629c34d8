"""Releases and environments: what is no such name is dropped."""

import re
from typing import Any

from rustrak_core.event.scalars import cut, lenient_text

_RELEASE_MAX, _ENVIRONMENT_MAX = 200, 64
_NO_RELEASE = frozenset({"", ".", "..", "latest"})
_NOT_IN_RELEASE = re.compile(r"[/\\\n\r\f\t]")
_NOT_IN_ENVIRONMENT = re.compile(r"[/\n\r\f\t]")


def release(value: Any) -> str | None:
    """Return the release that a column holds, or None where *value* is none (SDK.md, section 10)."""
    text = lenient_text(value)
    if text is None:
        return None
    text = text.strip()
    if text in _NO_RELEASE or len(text) > _RELEASE_MAX or _NOT_IN_RELEASE.search(text):
        return None
    return cut(text, _RELEASE_MAX)


def environment(value: Any) -> str | None:
    """Return the environment that a column holds, or None where *value* is none (SDK.md, section 10)."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text in {"", "None"} or len(text) > _ENVIRONMENT_MAX or _NOT_IN_ENVIRONMENT.search(text):
        return None
    return cut(text, _ENVIRONMENT_MAX)
