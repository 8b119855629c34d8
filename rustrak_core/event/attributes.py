"""Where a payload's attributes stand, whichever protocol version named them."""

from collections.abc import Mapping
from typing import Any, Final

from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import Rule

ALIASES: Final[Mapping[str, str]] = {
    "exception": "sentry.interfaces.Exception",
    "logentry": "sentry.interfaces.Message",
    "stacktrace": "sentry.interfaces.Stacktrace",
    "breadcrumbs": "sentry.interfaces.Breadcrumbs",
    "request": "sentry.interfaces.Http",
    "user": "sentry.interfaces.User",
    "threads": "sentry.interfaces.Threads",
    "contexts": "sentry.interfaces.Contexts",
    "template": "sentry.interfaces.Template",
    "debug_meta": "sentry.interfaces.DebugMeta",
}
"""Today's names, and what older SDKs call them. Today's wins where both are there."""


def attribute(payload: Mapping[str, Any], name: str) -> Any:
    """Return an attribute of *payload* by today's name, from either of its names; None where it is absent or null."""
    value = payload.get(name)
    return payload.get(ALIASES[name]) if value is None else value


def values_of(container: Any) -> list[Any] | None:
    """Return the entries of ``{"values": [...]}``, a plain list or a single object; None where it is none of these."""
    if isinstance(container, list):
        return container
    if not isinstance(container, dict):
        return None
    if "values" not in container:
        return [container] if container else []
    values = container["values"]
    return [] if values is None else values if isinstance(values, list) else None


def read_fields(source: Mapping[str, Any], rules: Mapping[str, Rule], path: str, problems: Problems) -> dict[str, Any]:
    """Return *source* with each field as its rule reads it; one that cannot be read is null, and noted. Others stay."""
    fields = dict(source)
    for name, rule in rules.items():
        value = fields.get(name)
        if value is not None:
            fields[name] = rule(value)
            if fields[name] is None:
                problems.add(f"{path}.{name}" if path else name, "not of a type that this field takes", value)
    return fields


def read_entries(container: Any, path: str, problems: Problems) -> list[tuple[str, dict[str, Any]]] | None:
    """Return the objects among the entries of *container*, each with its path; None, and noted, where it holds none.

    Null entries are left out; others that are no objects too, and noted.
    """
    values = values_of(container)
    if values is None:
        problems.add(path, "neither a list nor an object with a list of `values`", container)
        return None
    entries = []
    for index, value in enumerate(values):
        name = f"{path}.values[{index}]"
        if isinstance(value, dict):
            entries.append((name, value))
        elif value is not None:
            problems.add(name, "not an object", value)
    return entries


def in_one_form(container: Any, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Return ``{"values": entries}``, beside what else *container* held around its own values."""
    around = container if isinstance(container, dict) and "values" in container else {}
    return {**around, "values": entries}
