"""Lists in pieces that a statement can take."""

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

CHUNK = 500
"""Values in one ``IN (...)``: far below every database's limit, with little left to win above it."""


def chunks(values: Collection[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Yield *values* in lists of at most *size*."""
    rest = iter(values)
    while piece := list(islice(rest, size)):
        yield piece
