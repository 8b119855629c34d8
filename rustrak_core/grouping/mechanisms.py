"""The rules by which events are grouped, by name and version. A released one never changes: a better one is added."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from rustrak_core.grouping.anchor import AnchorMechanism
from rustrak_core.grouping.parts import Notes, Part, Subject


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

    def parts(self, subject: Subject, notes: Notes = None) -> Sequence[Part]:  # noqa: ARG002 - it passes over nothing
        """Return type, first line and transaction."""
        title = subject.title
        kind, text = _EXCEPTION_SOURCES if title.is_exception else _MESSAGE_SOURCES
        line = subject.masked(title.constant).strip().partition("\n")[0].rstrip()
        return (
            Part("type", title.type, kind),
            Part("message", line, text),
            Part("transaction", subject.transaction, "the event's `transaction`"),
        )


_EXCEPTION_SOURCES = ("the last exception's `type`", "the first line of the last exception's `value`")
_MESSAGE_SOURCES = (
    "the kind of event, no exception being named",
    "the first line of the message, before its parameters",
)

MECHANISMS: Final[Mapping[str, Mechanism]] = {
    mechanism.name: mechanism for mechanism in (MessageMechanism(), AnchorMechanism())
}
"""All mechanisms that this version knows, by name, the oldest first."""

DEFAULT_MECHANISM: Final = AnchorMechanism.name
