"""Which exception of a chain or group says what happened."""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from rustrak_core.event.attributes import attribute, values_of
from rustrak_core.event.scalars import any_text, lenient_text
from rustrak_core.grouping.anchor.template import template_of

_LOOKED_AT: Final = 250
_HOPS: Final = 10
_COMPARED: Final = 10

_WRAPPERS: Final = frozenset(
    (
        "ExecutionException", "CompletionException", "InvocationTargetException", "UndeclaredThrowableException",
        "TargetInvocationException", "UncheckedExecutionException", "TypeInitializationException",
    )
)  # fmt: skip
_GROUPS: Final = frozenset({"ExceptionGroup", "BaseExceptionGroup", "AggregateException", "AggregateError"})
_CAUSES: Final = ("__cause__", "__context__")
_TYPE_IN_VALUE = re.compile(r"([A-Za-z_][A-Za-z0-9_.$]{0,199}):[ \t\r\n]+(.+)", re.DOTALL)
_VALUE_MAX: Final = 8192

Entry = Mapping[str, Any]


def entries_of(payload: Mapping[str, Any]) -> list[Entry]:
    """Return the exceptions of *payload* that say something, newest first."""
    container = attribute(payload, "exception")
    if container is None:
        return []
    newest_first = islice(reversed(values_of(container) or ()), _LOOKED_AT)
    return [entry for entry in newest_first if isinstance(entry, dict) and _says_something(entry)]


def _says_something(entry: Entry) -> bool:
    value = entry.get("value")
    return bool(lenient_text(entry.get("type"))) or (value is not None and value != "")


def type_and_value(entry: Entry) -> tuple[str, str]:
    """Return type and message of an exception; of ``ValueError: boom`` without a type, both parts."""
    kind = (lenient_text(entry.get("type")) or "")[:256]
    value = (any_text(entry.get("value")) or "")[:_VALUE_MAX]
    if not kind:
        split = _TYPE_IN_VALUE.fullmatch(value)
        return (split[1], split[2]) if split else ("", value)
    if value.startswith(kind) and value.startswith(": ", len(kind)):
        value = value[len(kind) + 2 :]
    return kind, value


def bare(kind: str) -> str:
    """Return a type's own name, without its module."""
    return kind.rpartition(".")[2]


def telling(entries: Sequence[Entry]) -> tuple[int, list[tuple[str, str]]]:
    """Return which of *entries*, newest first and never none, says what happened, and those passed over, with reasons."""
    passed: list[tuple[str, str]] = []
    if len(entries) == 1:
        return 0, passed
    at, seen = 0, {0}
    for _ in range(_HOPS):
        kind, value = type_and_value(entries[at])
        inner, why = _inside(entries, at, kind, value)
        if inner is None or inner in seen:
            break
        passed.append((kind, why))
        seen.add(inner)
        at = inner
    return at, passed


def _inside(entries: Sequence[Entry], at: int, kind: str, value: str) -> tuple[int | None, str]:
    if is_group(entries[at]):
        leaves = _leaves(entries, at)
        if leaves and len({_kind(entries[leaf]) for leaf in leaves[:_COMPARED]}) == 1:
            return leaves[0], "groups errors of one kind"
        return None, ""
    cause = _cause(entries, at)
    if cause is None:
        return None, ""
    cause_kind, cause_value = type_and_value(entries[cause])
    if bare(kind) in _WRAPPERS:
        return cause, "only wraps its cause"
    said = value.strip(" \t\r\n")
    if (
        said
        and cause_kind
        and said in {cause_kind, f"{cause_kind}: {cause_value}", f"{bare(cause_kind)}: {cause_value}"}
    ):
        return cause, "only repeats its cause"
    if said and "." in said and said.endswith(f".{bare(cause_kind)}"):
        return cause, "only repeats its cause"
    return None, ""


def is_group(entry: Entry) -> bool:
    """Whether an exception stands for several."""
    return _mechanism(entry).get("is_exception_group") is True or bare(type_and_value(entry)[0]) in _GROUPS


def _mechanism(entry: Entry) -> Mapping[str, Any]:
    mechanism = entry.get("mechanism")
    return mechanism if isinstance(mechanism, dict) else {}


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _cause(entries: Sequence[Entry], at: int) -> int | None:
    """Return the cause of the exception at *at*: who names it as its parent, else the one sent before it."""
    own = _number(_mechanism(entries[at]).get("exception_id"))
    if own is not None:
        for index, entry in enumerate(entries):
            if index != at and _number(_mechanism(entry).get("parent_id")) == own:
                return index
        return None
    return at + 1 if at + 1 < len(entries) else None


def _leaves(entries: Sequence[Entry], at: int) -> list[int]:
    """Return the errors in a group that are no groups, also of groups within; ids that go in circles end there."""
    own = _number(_mechanism(entries[at]).get("exception_id"))
    children: dict[int, list[int]] = {}
    for index, entry in enumerate(entries):
        mechanism = _mechanism(entry)
        parent = _number(mechanism.get("parent_id"))
        if parent is not None and index != at and mechanism.get("source") not in _CAUSES:
            children.setdefault(parent, []).append(index)
    if own is None or own not in children:
        return [at + 1] if at + 2 == len(entries) else []
    leaves, todo, seen = [], [own], {own}
    while todo:
        for index in children.get(todo.pop(), ()):
            inner = _number(_mechanism(entries[index]).get("exception_id"))
            if not is_group(entries[index]):
                leaves.append(index)
            elif inner is not None and inner not in seen:
                seen.add(inner)
                todo.append(inner)
    return leaves


def _kind(entry: Entry) -> tuple[str, str]:
    kind, value = type_and_value(entry)
    return kind, template_of(value)
