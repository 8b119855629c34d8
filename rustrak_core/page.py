"""Lists by keyset: queries, pages, and the opaque cursor between two pages."""

import base64
import binascii
import enum
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import attrs
import orjson

from rustrak_core.errors import InvalidCursorError
from rustrak_core.issue import IssueId, IssueState
from rustrak_core.project import ProjectId

T = TypeVar("T")

LIMIT_DEFAULT = 50
LIMIT_MAX = 100
_TAG = re.compile(r"([A-Za-z0-9_.-]+):([^/].*)", re.DOTALL)


@attrs.frozen(kw_only=True)
class Keyset:
    """The last row of a page: its sort values, then its id, all as integers; the next page begins behind it."""

    values: tuple[int, ...]


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """Rows of a list, in its order.

    Attributes:
        after: Where the next page begins; None where nothing follows.
    """

    items: Sequence[T]
    after: Keyset | None = None


class IssueSort(enum.StrEnum):
    """What a list of issues is sorted by; ties by id, in the same direction."""

    LAST_SEEN = "last_seen"
    FIRST_SEEN = "first_seen"
    EVENT_COUNT = "event_count"


@attrs.frozen(kw_only=True)
class IssueQuery:
    """Which issues of a project, in which order. All filters must hold.

    Attributes:
        environment, release, level: Any event of the issue has it.
        words: Each is in type, message or culprit, in any case (compared case-folded).
        tags: Pairs of key and value that some event of the issue has.
        after: As the page before gave it.
        limit: 1 to 100.
    """

    project_id: ProjectId
    state: IssueState | None = None
    environment: str | None = None
    release: str | None = None
    level: str | None = None
    words: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    sort: IssueSort = IssueSort.LAST_SEEN
    descending: bool = True
    limit: int = LIMIT_DEFAULT
    after: Keyset | None = None


@attrs.frozen(kw_only=True)
class EventQuery:
    """Events of an issue, newest first: by event time, then time received, then id.

    The keyset is (event time in microseconds, received in microseconds, event id as a 128-bit integer).
    """

    issue_id: IssueId
    limit: int = LIMIT_DEFAULT
    after: Keyset | None = None


@attrs.frozen(kw_only=True)
class ListQuery:
    """Projects or tokens by id, oldest first; the keyset is (id,)."""

    limit: int = LIMIT_DEFAULT
    after: Keyset | None = None


def search_terms(text: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the words and the tags, as pairs of key and value, in what somebody typed to search issues.

    ``key:value`` is a tag where the key is of ``[A-Za-z0-9_.-]`` and the value does not begin with ``/``, so that a URL
    is a word (API.md, Issues).
    """
    pieces = text.split()
    tags = [_TAG.fullmatch(piece) for piece in pieces]
    words = tuple(piece for piece, tag in zip(pieces, tags, strict=True) if tag is None)
    return words, tuple((tag[1], tag[2]) for tag in tags if tag is not None)


def page_size(limit: int | None) -> int:
    """Return how many rows to read at a time where *limit* are wanted in all; None wants all."""
    return LIMIT_MAX if limit is None else max(1, min(limit, LIMIT_MAX))


def walk(read: Callable[[Keyset | None], Page[T]], limit: int | None = None) -> Iterator[T]:
    """Yield the rows of all pages, at most *limit*.

    The first page is read within the call, so that its errors come from there and not from a loop later.

    Args:
        read: Returns the page that begins behind a keyset, or the first one.
        limit: How many rows at most; all by default.
    """
    return _rows(read(None), read, limit)


def _rows(page: Page[T], read: Callable[[Keyset | None], Page[T]], limit: int | None) -> Iterator[T]:
    left = limit
    while True:
        rows = page.items if left is None else page.items[:left]
        yield from rows
        left = None if left is None else left - len(rows)
        if page.after is None or left == 0:
            return
        page = read(page.after)


def encode_cursor(after: Keyset, *, of: str) -> str:
    """Return *after* as an opaque text that is good only for the list *of*: its path, sort and filters."""
    body = orjson.dumps([str(value) for value in after.values])
    return base64.urlsafe_b64encode(_seal(body, of) + body).rstrip(b"=").decode()


def decode_cursor(text: str, *, of: str, width: int) -> Keyset:
    """Return the keyset of *width* integers in *text*.

    Raises:
        InvalidCursorError: it was made up, changed, or given out for another list than *of*.
    """
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        seal, body = raw[:8], raw[8:]
        if seal != _seal(body, of):
            raise InvalidCursorError
        values = tuple(int(value) for value in orjson.loads(body))
    except (ValueError, binascii.Error, TypeError):
        raise InvalidCursorError from None
    if len(values) != width:
        raise InvalidCursorError
    return Keyset(values=values)


def _seal(body: bytes, of: str) -> bytes:
    return hashlib.blake2b(
        body + b"\0" + of.encode("utf-8", "surrogatepass"), digest_size=8, person=b"rustrak cursor"
    ).digest()
