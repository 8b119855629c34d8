"""Assertions on how events group, whose failures say why."""

from collections.abc import Mapping, Sequence
from itertools import combinations, zip_longest
from typing import Any, Final

from rustrak_core import grouping
from rustrak_core.grouping import ExplainedKey, Rules

_WIDTH: Final = 60


def assert_grouped(*events: Mapping[str, Any], rules: Rules | None = None) -> None:
    """Assert that all *events* are one issue.

    Args:
        events: Two or more payloads.
        rules: The project's rules; the default ones where there are none.

    Raises:
        AssertionError: two of them are not; it shows both explanations side by side.
    """
    keys = _keys(events, rules)
    for number, each in enumerate(keys[1:], start=2):
        if each != keys[0]:
            raise AssertionError(f"events 1 and {number} are not one issue\n\n{side_by_side(keys[0], each, 1, number)}")


def assert_separate(*events: Mapping[str, Any], rules: Rules | None = None) -> None:
    """Assert that no two of *events* are one issue.

    Args:
        events: Two or more payloads.
        rules: The project's rules; the default ones where there are none.

    Raises:
        AssertionError: two of them are; it shows both explanations side by side.
    """
    keys = _keys(events, rules)
    for (number, one), (other_number, other) in combinations(enumerate(keys, start=1), 2):
        if one == other:
            shown = side_by_side(one, other, number, other_number)
            raise AssertionError(f"events {number} and {other_number} are one issue\n\n{shown}")


def _keys(events: Sequence[Mapping[str, Any]], rules: Rules | None) -> Sequence[ExplainedKey]:
    if len(events) < 2:
        raise ValueError("two events or more can be compared")
    return [grouping.key(event, rules) for event in events]


def side_by_side(one: ExplainedKey, other: ExplainedKey, number: int = 1, other_number: int = 2) -> str:
    """Return the explanations of two keys beside each other; lines that differ are marked with ``*``."""
    rows = [(f"event {number}", f"event {other_number}", " ")]
    for left, right in zip_longest(_lines(one), _lines(other), fillvalue=""):
        mark = " " if left == right else "*"
        for part, other_part in zip_longest(_wrapped(left), _wrapped(right), fillvalue=""):
            rows.append((part, other_part, mark))
    return "\n".join(f"{mark} {left:{_WIDTH}} | {right}".rstrip() for left, right, mark in rows)


def _lines(key: ExplainedKey) -> list[str]:
    """Return an explanation in lines: the parts first, since they decide, each where the other's stands."""
    explained = key.explanation
    lines = [str(key)]
    lines += [f"{part.name}: {part.value}" for part in explained.parts]
    lines += [f"({explained.decided_by} decides)", *explained.rules]
    return lines + [f"not {each.what}: {each.why}" for each in explained.ignored]


def _wrapped(line: str) -> list[str]:
    line = line.replace("\n", "\\n")
    return [line[start : start + _WIDTH] for start in range(0, max(len(line), 1), _WIDTH)][:5]
