"""What of an event tells which issues are like its own: types, words of messages, and frames by stable names.

Names of functions, modules and files are those of `anchor@1`: without what releases, bundlers and browsers add to them.
Unlike a grouping key, terms look at all exceptions of a chain and at many frames, since they need not decide anything.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from rustrak_core.accepted import EventKind
from rustrak_core.event.attributes import attribute
from rustrak_core.event.frames import frames_of
from rustrak_core.event.scalars import cut
from rustrak_core.grouping.anchor.chain import bare, entries_of, type_and_value
from rustrak_core.grouping.anchor.template import template_of
from rustrak_core.grouping.anchor.where import Stack
from rustrak_core.grouping.parts import Subject
from rustrak_core.similar import TERM_LENGTH, TERMS_MAX, Term

__all__ = ["message_terms", "terms_of"]

_ENTRIES: Final = 8
_STACKS: Final = 4
_FRAMES: Final = 30
_WORDS: Final = 24
# ASCII and whatever is beyond it, since what Python counts as a letter changes from release to release.
_WORD = re.compile(r"[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_\u0080-\U0010ffff]*", re.ASCII)


def terms_of(payload: Mapping[str, Any], kind: str = EventKind.EVENT) -> tuple[Term, ...]:
    """Return the terms of an event, the most telling kinds first; at most `TERMS_MAX`. It raises nothing.

    Args:
        payload: The event as sent.
        kind: How it came.
    """
    subject = Subject.of(payload, kind)
    entries = entries_of(payload)[:_ENTRIES]
    found = [*_said(subject, entries), *_places(payload, entries)]
    if subject.transaction:
        found.append(_term("transaction", subject.transaction))
    return tuple(islice(dict.fromkeys(found), TERMS_MAX))


def message_terms(type_: str, message: str) -> tuple[Term, ...]:
    """Return what is left of an event's terms where its payload was shed: those of its type and message."""
    return tuple(dict.fromkeys((_term("type", bare(type_)), *_words(message))))


def _said(subject: Subject, entries: list[Any]) -> Iterator[Term]:
    if not entries:
        yield _term("type", subject.title.type)
        yield from _words(subject.title.constant)
    for entry in entries:
        kind, value = type_and_value(entry)
        if kind:
            yield _term("type", bare(kind))
        yield from _words(value)


def _words(message: str) -> Iterator[Term]:
    for word in islice(_WORD.finditer(template_of(message)), _WORDS):
        yield _term("word", word[0].lower())


def _places(payload: Mapping[str, Any], entries: list[Any]) -> Iterator[Term]:
    platform = payload.get("platform")
    stacks = [frames_of(entry.get("stacktrace")) for entry in entries]
    stacks = [frames for frames in [*stacks, frames_of(attribute(payload, "stacktrace"))] if frames]
    for frames in stacks[:_STACKS]:
        stack = Stack(frames, "", platform if isinstance(platform, str) else "")
        for frame in islice(stack.all(), _FRAMES):
            place = frame.place
            if place.function:
                yield _term("function", place.function)
            if place.module:
                yield _term("module", place.module)
            if place.function and place.module:
                yield _term("frame", str(place))


def _term(kind: str, text: str) -> Term:
    return Term(kind, cut(text, TERM_LENGTH))
