"""Breadcrumbs: what happened before, oldest first."""

from collections.abc import Mapping
from typing import Any, Final

from rustrak_core.event import moments
from rustrak_core.event.attributes import attribute, in_one_form, read_entries, read_fields
from rustrak_core.event.level import level
from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import Rule, any_text, object_or_list, plain_text

BREADCRUMB_RULES: Final[Mapping[str, Rule]] = {
    "timestamp": moments.as_sent,
    "type": plain_text,
    "category": plain_text,
    "message": any_text,
    "data": object_or_list,
}


def breadcrumbs_form(payload: Mapping[str, Any], problems: Problems) -> dict[str, Any] | None:
    """Return the one form of an event's breadcrumbs, ``{"values": [...]}``; None where there are none."""
    container = attribute(payload, "breadcrumbs")
    entries = None if container is None else read_entries(container, "breadcrumbs", problems)
    return None if entries is None else in_one_form(container, [_breadcrumb(e, path, problems) for path, e in entries])


def _breadcrumb(entry: dict[str, Any], path: str, problems: Problems) -> dict[str, Any]:
    form = read_fields(entry, BREADCRUMB_RULES, path, problems)
    sent = form.get("level")
    if sent is not None:
        form["level"] = level(sent)
        if form["level"] is None:
            form["level"] = "info"
            problems.add(f"{path}.level", "no level; info instead", sent)
    return form
