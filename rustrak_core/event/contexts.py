"""Contexts and the other objects that an event carries: extra, modules, sdk, and so on."""

from collections.abc import Mapping
from typing import Any, Final

from rustrak_core.event.attributes import attribute, read_fields
from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import Rule, an_object, lenient_text, object_or_list, plain_text


def _modules(value: Any) -> dict[str, str | None] | None:
    return {name: lenient_text(text) for name, text in value.items()} if isinstance(value, dict) else None


OBJECT_RULES: Final[Mapping[str, Rule]] = {
    "extra": object_or_list,
    "modules": _modules,
    "sdk": an_object,
    "debug_meta": an_object,
    "template": an_object,
    "measurements": an_object,
    "_meta": an_object,
}
SDK_RULES: Final[Mapping[str, Rule]] = {"name": plain_text, "version": lenient_text}


def contexts_form(payload: Mapping[str, Any], problems: Problems) -> dict[str, Any] | None:
    """Return the one form of contexts, an object of objects; what is in it and is none becomes null, and is noted."""
    contexts = attribute(payload, "contexts")
    if contexts is None:
        return None
    if not isinstance(contexts, dict):
        problems.add("contexts", "not an object", contexts)
        return None
    return read_fields(contexts, dict.fromkeys(contexts, an_object), "contexts", problems)


def sdk_form(sdk: dict[str, Any] | None, sdk_client: str | None, problems: Problems) -> dict[str, Any] | None:
    """Return the one form of ``sdk``; where the event has none, what the credentials said (``raven-python/6.10.0``)."""
    if sdk is not None:
        return read_fields(sdk, SDK_RULES, "sdk", problems)
    if not sdk_client:
        return None
    name, _, version = sdk_client.partition("/")
    return {"name": name, "version": version or None}
