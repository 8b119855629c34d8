"""Fingerprints: an SDK's own say in how an event is grouped."""

from collections.abc import Mapping
from typing import Any, Final

from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import cut, lenient_text

MAX_PARTS: Final = 100
_PART_MAX = 8192


def fingerprint_of(payload: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fingerprint of *payload*, numbers and booleans as strings; empty where the default applies."""
    sent = payload.get("fingerprint")
    if not sent or not isinstance(sent, list):
        return ()
    return tuple(cut(text, _PART_MAX) for part in sent[:MAX_PARTS] if (text := lenient_text(part)) is not None)


def fingerprint_form(payload: Mapping[str, Any], problems: Problems) -> list[str] | None:
    """Return the one form of a fingerprint, a list of strings; what is in it and is none is left out, and noted."""
    sent = payload.get("fingerprint")
    if sent is None:
        return None
    if not isinstance(sent, list):
        problems.add("fingerprint", "not a list", sent)
        return None
    form = []
    for index, part in enumerate(sent):
        text = lenient_text(part)
        if text is None:
            problems.add(f"fingerprint[{index}]", "not a string, number or boolean", part)
        else:
            form.append(text)
    return form
