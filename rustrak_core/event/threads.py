"""Threads: what else ran when an event was captured."""

from collections.abc import Mapping
from typing import Any, Final

from rustrak_core.event.attributes import attribute, in_one_form, read_entries, read_fields
from rustrak_core.event.frames import stacktrace_form
from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import Rule, boolean, object_or_list, plain_text

THREAD_RULES: Final[Mapping[str, Rule]] = {
    "name": plain_text,
    "state": plain_text,
    "crashed": boolean,
    "current": boolean,
    "main": boolean,
    "held_locks": object_or_list,
}


def threads_form(payload: Mapping[str, Any], problems: Problems) -> dict[str, Any] | None:
    """Return the one form of an event's threads, ``{"values": [...]}``; None where there are none."""
    container = attribute(payload, "threads")
    entries = None if container is None else read_entries(container, "threads", problems)
    return None if entries is None else in_one_form(container, [_thread(e, path, problems) for path, e in entries])


def _thread(entry: dict[str, Any], path: str, problems: Problems) -> dict[str, Any]:
    form = read_fields(entry, THREAD_RULES, path, problems)
    if form.get("stacktrace") is not None:
        form["stacktrace"] = stacktrace_form(form["stacktrace"], f"{path}.stacktrace", problems)
    return form
