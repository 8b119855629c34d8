"""Tags: short texts by which events are found."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import cut, lenient_text

MAX_TAGS: Final = 200
"""How many tags of one event are columns; the payload keeps them all."""

_TEXT_MAX = 200
_RESERVED = frozenset({"environment", "release", "dist", "user"})
_KEY = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def tag_pairs(payload: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the tags that columns hold: sorted, each key once (the first one wins), reserved and unfit ones left out.

    ``server_name`` and ``site`` of the payload are tags too.
    """
    pairs: dict[str, str] = {}
    for sent_key, sent_value in _items(payload.get("tags")):
        _collect(pairs, sent_key, sent_value)
    for name in ("server_name", "site"):
        if payload.get(name) is not None:
            _collect(pairs, name, payload[name])
    return tuple(sorted(pairs.items()))


def _collect(pairs: dict[str, str], sent_key: Any, sent_value: Any) -> None:
    value = sent_value if type(sent_value) is str else lenient_text(sent_value)
    if not value or "\n" in value or len(pairs) >= MAX_TAGS:
        return
    key = _key(sent_key if type(sent_key) is str else lenient_text(sent_key) or "")
    if key is not None and key not in pairs:
        pairs[key] = cut(value, _TEXT_MAX)


def _key(sent: str) -> str | None:
    return _short_key(sent) if len(sent) <= _TEXT_MAX else None


@lru_cache(maxsize=1024)
def _short_key(sent: str) -> str | None:
    key = sent.replace(" ", "-")
    return key if key not in _RESERVED and _KEY.fullmatch(key) else None


def environment_tag(payload: Mapping[str, Any]) -> Any:
    """Return the value of the tag ``environment``, which stands in for the attribute; None where there is none."""
    tags = payload.get("tags")
    if isinstance(tags, dict):
        return tags.get("environment")
    return next((value for key, value in _items(tags) if key == "environment"), None)


def _items(tags: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(tags, dict):
        yield from tags.items()
    elif isinstance(tags, list):
        for pair in tags:
            if isinstance(pair, list) and len(pair) == 2:
                yield pair[0], pair[1]


def tags_form(payload: Mapping[str, Any], problems: Problems) -> dict[str, str | None] | None:
    """Return the one form of tags, an object of strings; of keys that a list of pairs repeats, the first one wins."""
    tags = payload.get("tags")
    if tags is None:
        return None
    if not isinstance(tags, dict | list):
        problems.add("tags", "neither an object nor a list of pairs", tags)
        return None
    form: dict[str, str | None] = {}
    for index, pair in enumerate(tags if isinstance(tags, list) else ()):
        if not (isinstance(pair, list) and len(pair) == 2 and lenient_text(pair[0])) and pair is not None:
            problems.add(f"tags[{index}]", "not a pair of key and value", pair)
    for sent_key, sent_value in _items(tags):
        key, value = lenient_text(sent_key), lenient_text(sent_value)
        if value is None and sent_value is not None:
            problems.add(f"tags.{sent_key}", "not a string, number or boolean", sent_value)
        if key:
            form.setdefault(key, value)
    return form
