"""Which events are one issue: pure, deterministic and explained.

A mechanism says what events of an issue have in common, an SDK's fingerprint may say otherwise, and both become a key.
Nothing here needs a database:

    >>> from rustrak_core import grouping
    >>> event = {"exception": {"values": [{"type": "KeyError", "value": "'pear'"}]}, "transaction": "/buy"}
    >>> grouping.key(event).mechanism
    'message@1'
    >>> grouping.key(event) == grouping.key({**event, "level": "fatal"})
    True
    >>> print(*(f"{part.name}={part.value}" for part in grouping.explain(event).parts))
    type=KeyError message='pear' transaction=/buy
"""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from rustrak_core.accepted import EventKind
from rustrak_core.digested import GroupingKey
from rustrak_core.grouping.explanation import Explanation
from rustrak_core.grouping.fingerprint import FINGERPRINT_MECHANISM, fingerprint_parts
from rustrak_core.grouping.mechanisms import DEFAULT_MECHANISM, MECHANISMS, Mechanism
from rustrak_core.grouping.parts import Part, Subject, hash_parts, transaction_of

__all__ = [
    "DEFAULT_MECHANISM",
    "MECHANISMS",
    "Explanation",
    "GroupingKey",
    "Mechanism",
    "Part",
    "Rules",
    "Subject",
    "explain",
    "key",
    "keys",
    "transaction_of",
]


@attrs.frozen(kw_only=True)
class Rules:
    """How a project wants its events grouped.

    Attributes:
        mechanism: The name of one of `MECHANISMS`.
    """

    mechanism: str = attrs.field(default=DEFAULT_MECHANISM, validator=attrs.validators.in_(MECHANISMS))


_DEFAULT_RULES = Rules()


def key(payload: Mapping[str, Any], rules: Rules | None = None, *, kind: str = EventKind.EVENT) -> GroupingKey:
    """Return the grouping key of the event *payload*, which came as *kind*. Whatever it holds, this does not raise."""
    return keys(Subject.of(payload, kind), rules)[0]


def keys(subject: Subject, rules: Rules | None = None) -> tuple[GroupingKey, ...]:
    """Return the keys of an event, in order of preference: the first one that is known names its issue."""
    name, parts = _decide(subject, MECHANISMS[(rules or _DEFAULT_RULES).mechanism])
    return (GroupingKey(mechanism=name, value=hash_parts(name, parts)),)


def explain(
    payload: Mapping[str, Any], filed: GroupingKey | None = None, *, kind: str = EventKind.EVENT
) -> Explanation:
    """Return why the event *payload* is in its issue.

    Args:
        payload: The event as sent.
        filed: The key by which it was filed; by default the one that it gets now.
        kind: How it came.
    """
    filed = filed or key(payload, kind=kind)
    of_fingerprint, _, base = filed.mechanism.rpartition(":") if ":" in filed.mechanism else ("", "", filed.mechanism)
    mechanism = MECHANISMS.get(DEFAULT_MECHANISM if base == FINGERPRINT_MECHANISM else base)
    if mechanism is None:
        return Explanation(key=filed, summary="This version does not know the mechanism by which the event was filed.")
    name, parts = _decide(Subject.of(payload, kind), mechanism)
    if (name, hash_parts(name, parts)) != (filed.mechanism, filed.value):
        return Explanation(key=filed, summary="The payload no longer gives the key by which the event was filed.")
    by_sdk = of_fingerprint or base == FINGERPRINT_MECHANISM
    return Explanation(key=filed, summary=_BY_SDK if by_sdk else mechanism.summary, parts=tuple(parts))


_BY_SDK = "The SDK sent a fingerprint; events with the same parts of it are one issue."


def _decide(subject: Subject, mechanism: Mechanism) -> tuple[str, Sequence[Part]]:
    return fingerprint_parts(subject, mechanism) or (mechanism.name, mechanism.parts(subject))
