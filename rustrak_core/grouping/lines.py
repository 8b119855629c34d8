"""In which line of a TOML document something stands, which the standard library's reader does not say."""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

_LINES_OF_ONE_VALUE: Final = 50
"""Of a longer one, where what follows it stands is told only roughly: reading a text again for each line takes time."""


def line_of(text: str, path: Sequence[str | int]) -> int:
    """Return the line of *text*, from 1, in which begins what *path* leads to; the last line where nothing does.

    *text* is a document that reads as TOML. What its first lines hold, as many as read as TOML, only grows with each
    line, so that the line is found by halving.
    """
    lines = text.split("\n")
    last = bisect_left(range(len(lines)), 1, key=lambda count: int(_holds(_read(lines, count)[1], path)))
    return min(_read(lines, last - 1)[0] + 1, len(lines)) if last else 1


def lines_of_tables(text: str, name: str, count: int) -> Sequence[int]:
    """Return the lines of *text*, from 1, in which its *count* tables ``[[name]]`` begin.

    Tables of an inline list, ``name = [{...}]``, all begin where the list does.
    """
    header = re.compile(rf"[ \t]*\[\[[ \t]*(?:{name}|\"{name}\"|'{name}')[ \t]*\]\]")
    numbered = enumerate(text.split("\n"), start=1)
    found = [number for number, line in numbered if header.match(line)]
    if len(found) > count:  # some stand in texts of several lines
        lines = text.split("\n")
        found = [number for number in found if _read(lines, number)[0] == number]
    return found if len(found) == count else [line_of(text, (name,))] * count


def _read(lines: Sequence[str], count: int) -> tuple[int, dict[str, Any]]:
    """Return how many lines, at most *count*, read as TOML, and what they hold."""
    for until in range(count, max(count - _LINES_OF_ONE_VALUE, 0), -1):
        try:
            return until, tomllib.loads("\n".join(lines[:until]))
        except tomllib.TOMLDecodeError:  # it ends within a text or a list of several lines
            continue
    return 0, {}


def _holds(document: Any, path: Sequence[str | int]) -> bool:
    for step in path:
        if isinstance(step, int):
            if not isinstance(document, list) or step >= len(document):
                return False
        elif not isinstance(document, dict) or step not in document:
            return False
        document = document[step]
    return True
