"""What a grouping key is made of, and how that becomes a key."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

import attrs

from rustrak_core.accepted import EventKind
from rustrak_core.event.scalars import cut, plain_text
from rustrak_core.event.title import Title, title_of

_TRANSACTION_MAX = 200

Marks = Callable[[Mapping[str, Any]], bool | None]
"""What a project's rules say of a frame: whether it is the application's own; None where they say nothing."""


@attrs.frozen
class Part:
    """One thing that events of an issue have in common.

    Attributes:
        name: What it is, as in ``type``.
        value: Its text, free of lone surrogates.
        source: Where it came from, in words.
    """

    name: str
    value: str
    source: str


@attrs.frozen
class Ignored:
    """Something that was looked at and did not decide.

    Attributes:
        what: It, as in ``frame shop.utils in wrapper``.
        why: The reason, as in ``wraps another function``.
    """

    what: str
    why: str


Notes = list[Ignored] | None
"""Where a mechanism notes what it passes over; None while only the key is wanted."""


@attrs.frozen
class Subject:
    """An event as mechanisms look at it.

    Attributes:
        payload: The event as sent; mechanisms read from it what the other attributes do not give.
        title: What names the event.
        transaction: At most 200 characters; ``""`` where there is none.
        marks: What the project's rules say of frames, if anything.
        mask: What the project's rules mask in messages, if anything: takes a message and returns it masked.
    """

    payload: Mapping[str, Any]
    title: Title
    transaction: str
    marks: Marks | None = None
    mask: Callable[[str], str] | None = None

    @classmethod
    def of(cls, payload: Mapping[str, Any], kind: str = EventKind.EVENT) -> Self:
        """Return *payload*, which came as *kind*, as a subject."""
        return cls(payload, title_of(payload, kind), transaction_of(payload))

    def masked(self, message: str) -> str:
        """Return *message* as the project's rules have it."""
        return self.mask(message) if self.mask else message


def transaction_of(payload: Mapping[str, Any]) -> str:
    """Return the transaction as columns and mechanisms have it; ``""`` where there is none."""
    return cut((plain_text(payload.get("transaction")) or "").strip(), _TRANSACTION_MAX)


def hash_parts(mechanism: str, parts: Iterable[Part]) -> str:
    """Return 32 hex digits that are equal exactly where the mechanism, and names and values of all parts, are.

    Each text is preceded by its length, so that where one ends is never in doubt.
    """
    texts = [mechanism]
    for part in parts:
        texts += (part.name, part.value)
    framed = "".join([f"{len(text)}:{text}," for text in texts])
    return hashlib.blake2b(framed.encode(errors="surrogatepass"), digest_size=16).hexdigest()
