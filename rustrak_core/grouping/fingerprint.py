"""Fingerprints: an SDK, or a rule, says what its events have in common, and may name what we would have taken."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rustrak_core.event.attributes import attribute
from rustrak_core.event.fingerprint import MAX_PARTS
from rustrak_core.event.frames import frames_of, top_frame
from rustrak_core.event.scalars import cut, lenient_text, plain_text
from rustrak_core.event.tags import tag_pairs
from rustrak_core.grouping.mechanisms import Mechanism
from rustrak_core.grouping.parts import Ignored, Notes, Part, Subject

FINGERPRINT_MECHANISM: Final = "fingerprint@1"

VARIABLES: Final = ("default", "type", "value", "transaction", "module", "function", "level", "logger", "tags.NAME")
"""What ``{{ ... }}`` may name."""

_VARIABLE = re.compile(
    r"[ \t]*\{\{[ \t]*"
    r"(default|type|value|transaction|module|function|level|logger|tags\.[^ \t{}]{1,200})"
    r"[ \t]*\}\}[ \t]*"
)
_DEFAULT = "default"
_TEXT_MAX: Final = 200


def fingerprint_parts(
    fingerprint: Sequence[str], subject: Subject, mechanism: Mechanism, notes: Notes = None, *, source: str
) -> tuple[str, Sequence[Part]] | None:
    """Return mechanism and parts of a *fingerprint*; None where it leaves all to *mechanism*.

    ``{{ default }}`` stands for the parts of *mechanism*, which the returned name then mentions too; other variables
    stand for what the event says, or ``""``. Spaces in them are optional; what is no variable is taken as it stands.

    Args:
        fingerprint: Its parts; none leaves all to *mechanism*.
        subject: The event.
        mechanism: What decides without a fingerprint.
        notes: Where *mechanism* notes what it passes over.
        source: Who set it, in words.
    """
    variables = [variable_of(text) for text in fingerprint]
    if not variables or variables == [_DEFAULT]:
        return None
    name = f"{FINGERPRINT_MECHANISM}:{mechanism.name}" if _DEFAULT in variables else FINGERPRINT_MECHANISM
    parts: list[Part] = []
    default: Sequence[Part] | None = None  # worked out once, however often it is named
    for text, variable in zip(fingerprint, variables, strict=True):
        if variable == _DEFAULT:
            default = mechanism.parts(subject, notes) if default is None else default
            parts += default
        elif variable:
            parts.append(Part(f"{{{{ {variable} }}}}", _value(variable, subject), f"{source}, filled in"))
        else:
            parts.append(Part("fingerprint", text, source))
    if default is None and notes is not None:
        notes.append(
            Ignored(f"what {mechanism.name} would take", "is left out, as the fingerprint has no {{ default }}")
        )
    return name, tuple(parts)


def notes_on(payload: Mapping[str, Any]) -> list[Ignored]:
    """Return what of the event's fingerprint is no part of one, and why."""
    sent = payload.get("fingerprint")
    if sent is None:
        return []
    if not isinstance(sent, list):
        return [Ignored("the event's `fingerprint`", "is not a list")]
    notes = [
        Ignored(f"part {index + 1} of the fingerprint", "is neither a text nor a number nor true or false")
        for index, part in enumerate(sent[:MAX_PARTS])
        if lenient_text(part) is None
    ]
    if len(sent) > MAX_PARTS:
        notes.append(Ignored("the rest of the fingerprint", f"is beyond its first {MAX_PARTS} parts"))
    return notes


def variable_of(text: str) -> str | None:
    """Return what ``{{ text }}`` names; None where *text* is no variable that we know."""
    match = _VARIABLE.fullmatch(text)
    return match[1] if match else None


def _value(variable: str, subject: Subject) -> str:
    title, payload = subject.title, subject.payload
    if variable == "type":
        return title.type
    if variable == "value":
        return title.message
    if variable == "transaction":
        return subject.transaction
    if variable.startswith("tags."):
        return dict(tag_pairs(payload)).get(variable.removeprefix("tags."), "")
    if variable in {"level", "logger"}:
        return cut(plain_text(payload.get(variable)) or "", _TEXT_MAX)
    return next(_of_frame(variable, subject), "")


def _of_frame(variable: str, subject: Subject) -> Iterator[str]:
    """Yield what the newest frame of the application, else the newest, says."""
    title = subject.title
    stacktrace = title.exception.get("stacktrace") if title.exception else None
    frames = frames_of(attribute(subject.payload, "stacktrace") if stacktrace is None else stacktrace)
    frame: Mapping[str, Any] | None = top_frame(reversed(frames))
    for name in ("module", "filename", "abs_path") if variable == "module" else ("function",):
        text = plain_text(frame.get(name)) if frame else None
        if text:
            yield cut(text, _TEXT_MAX)
