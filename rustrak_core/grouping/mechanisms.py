"""The rules by which events are grouped, by name and version. A released one never changes: a better one is added."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from rustrak_core.event.attributes import attribute
from rustrak_core.event.frames import frames_of
from rustrak_core.grouping.anchor import AnchorMechanism
from rustrak_core.grouping.anchor.chain import entries_of, type_and_value
from rustrak_core.grouping.parts import Ignored, Notes, Part, Subject


class Mechanism(Protocol):
    """A rule that says what events of one issue have in common. It is pure: equal subjects give equal parts."""

    @property
    def name(self) -> str:
        """The rule and its version, as in ``message@1``; at most 32 characters."""
        ...

    @property
    def summary(self) -> str:
        """One sentence on which events come together."""
        ...

    def parts(self, subject: Subject, notes: Notes = None) -> Sequence[Part]:
        """Return the parts that decide, never none; whatever the payload holds, it does not raise.

        Args:
            subject: The event.
            notes: Takes what was looked at and passed over, with reasons; the parts are the same without.
        """
        ...


class MessageMechanism:
    """``message@1``, the documented rule: type, first line of the value, and transaction."""

    name = "message@1"
    summary = "Events with the same type, the same first line of the message and the same transaction are one issue."

    def parts(self, subject: Subject, notes: Notes = None) -> Sequence[Part]:
        """Return type, first line and transaction; *notes*, where given, takes what was passed over, with reasons."""
        title = subject.title
        if notes is not None:
            notes += _passed_over(subject)
        kind, text = _EXCEPTION_SOURCES if title.is_exception else _MESSAGE_SOURCES
        if not title.is_exception and title.constant != title.message:
            text = "the first line of the message's template"
        line = subject.masked(title.constant).strip().partition("\n")[0].rstrip()
        return (
            Part("type", title.type, kind),
            Part("message", line, text),
            Part("transaction", subject.transaction, "the event's `transaction`"),
        )


def _passed_over(subject: Subject) -> list[Ignored]:
    """Return what somebody may expect ``message@1`` to look at, and why it does not decide."""
    title = subject.title
    entries = entries_of(subject.payload)
    notes = []
    if title.is_exception:
        others = [entry for entry in entries if entry is not title.exception]
        why = "is not the last exception of the chain, which decides"
        notes += [Ignored(_named(entry), why) for entry in others[:_NOTED]]
        if len(others) > _NOTED:
            notes.append(Ignored(f"{len(others) - _NOTED} more exceptions", why))
    if "\n" in subject.masked(title.constant).strip():
        notes.append(Ignored("the rest of the message", "comes after its first line"))
    if title.constant != title.message:
        notes.append(Ignored("the values in the message", "differ from event to event; the template is the same"))
    stacks = [entry.get("stacktrace") for entry in entries] + [attribute(subject.payload, "stacktrace")]
    if any(frames_of(stack) for stack in stacks):
        notes.append(Ignored("the stack trace", "is not looked at by this rule"))
    return notes


def _named(entry: Mapping[str, Any]) -> str:
    kind = type_and_value(entry)[0]
    return f"exception {kind}" if kind else "an exception without a type"


_NOTED: Final = 10
_EXCEPTION_SOURCES = ("the last exception's `type`", "the first line of the last exception's `value`")
_MESSAGE_SOURCES = (
    "the kind of event, since it has no exception",
    "the first line of the message",
)

MECHANISMS: Final[Mapping[str, Mechanism]] = {
    mechanism.name: mechanism for mechanism in (MessageMechanism(), AnchorMechanism())
}
"""All mechanisms that this version knows, by name, the oldest first."""

DEFAULT_MECHANISM: Final = AnchorMechanism.name
