"""Rules for single values, and text as columns hold it.

A rule takes a field's value (never None) and returns it as its one form, or None where the field is lost.
"""

import re
from collections.abc import Callable
from typing import Any

from rustrak_core.jsontext import LongInteger, dumps

Rule = Callable[[Any], Any]

_UNWANTED = re.compile("[\0\ud800-\udfff]")


def cut(text: str, limit: int) -> str:
    """Return *text* as a column holds it: at most *limit* characters, U+FFFD for NUL and lone surrogates."""
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    if text.isascii() and "\0" not in text:
        return text
    return _UNWANTED.sub("\ufffd", text)


def plain_text(value: Any) -> str | None:
    """A string and nothing else."""
    return value if isinstance(value, str) else None


def lenient_text(value: Any) -> str | None:
    """A string, number or boolean, as a string (``True`` for true)."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, bool | int | float | LongInteger) else None


def any_text(value: Any) -> str | None:
    """Any value as a string: arrays and objects as their JSON; None for null."""
    if isinstance(value, str) or value is None:
        return value
    return lenient_text(value) or dumps(value).decode()


def unsigned(value: Any) -> int | None:
    """An integer that is not negative."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def boolean(value: Any) -> bool | None:
    """True or false."""
    return value if isinstance(value, bool) else None


def an_object(value: Any) -> dict[str, Any] | None:
    """An object."""
    return value if isinstance(value, dict) else None


def object_or_list(value: Any) -> dict[str, Any] | None:
    """An object; a list becomes one whose keys are its positions."""
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return an_object(value)


def texts(value: Any) -> list[str | None] | None:
    """A list of strings; what is in it and is none becomes one."""
    return [any_text(item) for item in value] if isinstance(value, list) else None
