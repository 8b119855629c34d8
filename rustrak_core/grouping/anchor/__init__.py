"""``anchor@1``: *what* happened x *where*, by what both have in common in every release, on every machine.

What: the type and the message's template. Where: the innermost application frame that says something. Either alone
decides where the other is missing. Never line numbers, source text, the whole stack or the transaction: they change
with every deploy, or differ for one fault.

It never changes once it is released: `tests/core/grouping/golden.json` holds its keys.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rustrak_core.event.attributes import attribute, values_of
from rustrak_core.event.csp import TYPE as CSP
from rustrak_core.event.frames import frames_of
from rustrak_core.event.message import read_message
from rustrak_core.event.scalars import cut
from rustrak_core.grouping.anchor import engines
from rustrak_core.grouping.anchor.chain import Entry, bare, entries_of, is_group, telling, type_and_value
from rustrak_core.grouping.anchor.template import LINE_MAX, template_of, without_numbers
from rustrak_core.grouping.anchor.where import FRAMES_MAX, Found, Stack, places, recursive_place
from rustrak_core.grouping.parts import Ignored, Notes, Part, Subject

__all__ = ["AnchorMechanism"]

_SCRIPTS: Final = frozenset({"javascript", "node"})
_OVERFLOWS: Final = frozenset({"RecursionError", "StackOverflowError", "StackOverflowException", "SystemStackError"})
_ADDRESS = re.compile(r"0x[0-9A-Fa-f]{2,16}|[0-9]{4,}", re.ASCII)
_CSP_MAX: Final = 1000
_PART_MAX: Final = 2000
_NOTED: Final = 10
_THREADS_LOOKED_AT: Final = 100
_FOR_ALL_ENGINES: Final = ", in one form for all JavaScript engines"


class AnchorMechanism:
    """What happened, and where."""

    name = "anchor@1"
    summary = (
        "Events with the same type, the same message but for values that change and, where it is known, the same"
        " place in the application's code are one issue."
    )

    def parts(self, subject: Subject, notes: Notes = None) -> Sequence[Part]:
        """Return what and where; *notes*, where given, takes what was passed over, with reasons."""
        entries = entries_of(subject.payload)
        if entries and not type_and_value(entries[0])[0]:
            # Today's JavaScript SDKs send a message with the stack behind it as an exception without a type.
            message = read_message(subject.payload)
            parts = _of_message(subject, message.constant) if message else _of_exception(subject, entries, notes)
        elif entries:
            parts = _of_exception(subject, entries, notes)
        else:
            parts = _of_message(subject, subject.title.constant)
        return parts or _of_nothing(subject, notes)


def _of_exception(subject: Subject, entries: Sequence[Entry], notes: Notes) -> list[Part]:
    payload = subject.payload
    at, passed = telling(entries)
    entry = entries[at]
    kind, value = type_and_value(entry)
    value = subject.masked(value)
    platform = _platform(payload)
    said = engines.in_one_form(kind, value) if platform in _SCRIPTS else None
    frames = _frames(payload, entries, at)
    if notes is not None:
        notes += [Ignored(_named(name), why) for name, why in passed]
        notes += _notes_on_the_rest(entries, at, value, frames)
    stack = Stack(frames, kind, platform, subject.marks)
    found = () if said and said.placeless else _places(stack, said.text if said else kind, notes)
    if said:
        parts = [
            _part("type", said.type, f"the exception's `type`{_FOR_ALL_ENGINES}"),
            _part("message", template_of(said.text), f"the exception's `value`{_FOR_ALL_ENGINES}"),
        ]
    else:
        parts = _what(entry, kind, value, notes)
    parts += [_part("where", str(place), source) for place, source in found]
    return parts if len(parts) > 1 or value else [*parts, *_of_nothing(subject, notes)]


def _notes_on_the_rest(entries: Sequence[Entry], at: int, value: str, frames: Sequence[Any]) -> list[Ignored]:
    """Return what is not looked at, and why."""
    kind = type_and_value(entries[at])[0]
    why = f"{'is in' if is_group(entries[at]) else 'led to'} the {kind or 'one'} that decides"
    notes = [Ignored(_named(type_and_value(each)[0]), why) for each in entries[at + 1 : at + 1 + _NOTED]]
    if len(value) > LINE_MAX or "\n" in value.strip(" \t\r\n"):
        notes.append(
            Ignored("the rest of the message", f"comes after the first line, or after {LINE_MAX:,} characters")
        )
    if len(frames) > FRAMES_MAX:
        notes.append(Ignored("older frames", f"are beyond the newest {FRAMES_MAX}"))
    return notes


def _named(kind: str) -> str:
    return f"exception {kind}" if kind else "an exception without a type"


def _what(entry: Entry, kind: str, value: str, notes: Notes) -> list[Part]:
    mechanism = entry.get("mechanism")
    is_synthetic = isinstance(mechanism, dict) and mechanism.get("synthetic") is True
    template = template_of(value)
    parts = []
    if kind and not (is_synthetic and template):
        parts.append(_part("type", _ADDRESS.sub("<*>", kind), "the exception's `type`"))
    elif kind and notes is not None:
        notes.append(Ignored(f"type {kind}", "is made up by the SDK, which says so (`mechanism.synthetic`)"))
    if template:
        parts.append(_part("message", template, _masked("the exception's `value`", template)))
    return parts


def _places(stack: Stack, kind: str, notes: Notes) -> Found:
    if bare(kind) in _OVERFLOWS or kind == "stack overflow":
        return recursive_place(stack)
    return places(stack, notes)


def _of_message(subject: Subject, constant: str) -> list[Part]:
    kind = CSP if subject.title.type == CSP else "Message"
    text = constant[:_CSP_MAX] if kind == CSP else template_of(subject.masked(constant))
    is_template = constant != subject.title.message
    if not text:
        return []
    return [
        _part("kind", kind, "the kind of event, since it has no exception"),
        _part("message", text, _masked("the template of the message" if is_template else "the message", text)),
    ]


def _of_nothing(subject: Subject, notes: Notes) -> list[Part]:
    """Return what is left to tell events apart that say nothing: a stack that came alone, else the transaction."""
    payload = subject.payload
    kind = _part("kind", subject.title.type[:256], "the type, or the kind of event")
    frames = frames_of(attribute(payload, "stacktrace")) or _thread_frames(payload)
    found = places(Stack(frames, "", _platform(payload), subject.marks), notes)
    if found:
        return [kind, *(_part("where", str(place), source) for place, source in found)]
    sent = (payload.get(name) for name in ("transaction", "culprit"))
    culprit = next((text[:200] for text in sent if isinstance(text, str) and text.strip(" \t\r\n")), "")
    source = "the event's `transaction` or `culprit`, there being nothing else"
    return [kind, _part("transaction", without_numbers(culprit), source)]


def _masked(what: str, text: str) -> str:
    return f"{what}, with <*> for what changes from event to event" if "<*>" in text else what


def _part(name: str, value: str, source: str) -> Part:
    return Part(name, cut(value, _PART_MAX), source)


def _platform(payload: Mapping[str, Any]) -> str:
    platform = payload.get("platform")
    return platform if isinstance(platform, str) else ""


def _frames(payload: Mapping[str, Any], entries: Sequence[Entry], at: int) -> list[Any]:
    """Return the frames of the exception at *at*, else of those around it, of the event, of the thread that crashed."""
    for index in (at, *range(at - 1, -1, -1), *range(at + 1, len(entries))):
        frames = frames_of(entries[index].get("stacktrace"))
        if frames:
            return frames
    return frames_of(attribute(payload, "stacktrace")) or _thread_frames(payload)


def _thread_frames(payload: Mapping[str, Any]) -> list[Any]:
    threads = values_of(attribute(payload, "threads")) or []
    threads = [thread for thread in threads[:_THREADS_LOOKED_AT] if isinstance(thread, dict)]
    for sign in ("crashed", "current", "main"):
        for thread in threads:
            if thread.get(sign) is True:
                return frames_of(thread.get("stacktrace"))
    return frames_of(threads[0].get("stacktrace")) if len(threads) == 1 else []
