"""Exceptions: from the cause to what was raised last, which names the event.

Groups form a tree by ``exception_id`` and ``parent_id``. Nothing here follows it, since nobody promises that it is one.
"""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from rustrak_core.event.attributes import attribute, in_one_form, read_entries, read_fields, values_of
from rustrak_core.event.frames import stacktrace_form
from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import Rule, any_text, boolean, lenient_text, object_or_list, plain_text, unsigned

_TYPE_IN_VALUE = re.compile(r"([A-Za-z_][\w.$]{0,199}):\s+(.+)", re.DOTALL)
_LOOKED_AT = 250

EXCEPTION_RULES: Final[Mapping[str, Rule]] = {"type": lenient_text, "value": any_text, "module": plain_text}
MECHANISM_RULES: Final[Mapping[str, Rule]] = {
    "type": plain_text,
    "handled": boolean,
    "synthetic": boolean,
    "is_exception_group": boolean,
    "description": plain_text,
    "help_link": plain_text,
    "source": plain_text,
    "exception_id": unsigned,
    "parent_id": unsigned,
    "data": object_or_list,
    "meta": object_or_list,
}


def last_exception(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the exception that names the event, as sent: the last one that has a type or a value; None without any.

    Of a list that ends in hundreds of empty entries, none is found.
    """
    container = attribute(payload, "exception")
    if container is None:
        return None
    for entry in islice(reversed(values_of(container) or ()), _LOOKED_AT):
        if isinstance(entry, dict) and _says_something(entry):
            return entry
    return None


def type_and_value(entry: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return type and value of an exception; of ``ValueError: boom`` without a type, both parts."""
    kind, value = lenient_text(entry.get("type")) or None, any_text(entry.get("value")) or None
    if kind is None and value is not None:
        split = _TYPE_IN_VALUE.fullmatch(value)
        if split:
            return split[1], split[2]
    return kind, value


def _says_something(entry: Mapping[str, Any]) -> bool:
    kind, value = entry.get("type"), entry.get("value")
    return bool(lenient_text(kind)) or (value is not None and value != "")


def exception_form(payload: Mapping[str, Any], problems: Problems) -> dict[str, Any] | None:
    """Return the one form of an event's exceptions, ``{"values": [...]}``; None where there are none."""
    container = attribute(payload, "exception")
    entries = None if container is None else read_entries(container, "exception", problems)
    if not entries:
        return None
    return in_one_form(container, [_exception(entry, path, problems) for path, entry in entries])


def _exception(entry: dict[str, Any], path: str, problems: Problems) -> dict[str, Any]:
    form = read_fields(entry, EXCEPTION_RULES, path, problems)
    if not _says_something(entry):
        problems.add(path, "has neither a type nor a value")
    elif not form.get("type"):
        form["type"], form["value"] = type_and_value(entry)
    if form.get("stacktrace") is not None:
        form["stacktrace"] = stacktrace_form(form["stacktrace"], f"{path}.stacktrace", problems)
    if form.get("mechanism") is not None:
        form["mechanism"] = _mechanism(form["mechanism"], f"{path}.mechanism", problems)
    return form


def _mechanism(mechanism: Any, path: str, problems: Problems) -> dict[str, Any] | None:
    if isinstance(mechanism, dict):
        return read_fields(mechanism, MECHANISM_RULES, path, problems)
    problems.add(path, "not an object", mechanism)
    return None
