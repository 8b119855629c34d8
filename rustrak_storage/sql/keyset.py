"""Pages by keyset: rows behind a row, in either direction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_


def behind(columns: Sequence[ColumnElement[Any]], values: Sequence[object], *, descending: bool) -> ColumnElement[bool]:
    """Return the condition that a row comes behind *values* when rows are sorted by *columns*.

    It is spelled so that every database takes its range from the index: the first column bounds it by itself.
    """
    first, value = columns[0], bounded(values[0])
    beyond = first < value if descending else first > value
    if len(columns) == 1:
        return beyond
    rest = behind(columns[1:], values[1:], descending=descending)
    bound = first <= value if descending else first >= value
    return and_(bound, or_(beyond, and_(first == value, rest)))


def ordered(columns: Sequence[ColumnElement[Any]], *, descending: bool) -> list[ColumnElement[Any]]:
    """Return *columns* as an ``ORDER BY``, all in one direction."""
    return [column.desc() if descending else column.asc() for column in columns]


def bounded(value: object) -> object:
    """Return *value*, a number within 64 bits: a cursor, or a path, that somebody made up may hold any.

    No row has an id at the ends of that range.
    """
    return max(-(2**63), min(value, 2**63 - 1)) if isinstance(value, int) else value
