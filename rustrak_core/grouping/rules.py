"""A project's own rules on grouping.

Patterns are RE2's, whose time is linear in the text, so that no rule and no event can stop the digest.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

import attrs

from rustrak_core.grouping.mechanisms import DEFAULT_MECHANISM, MECHANISMS
from rustrak_core.grouping.parts import Subject
from rustrak_core.grouping.rule import Event, Rule, frame_matches
from rustrak_core.grouping.rules_file import read_rules

_MASKED_MAX: Final = 1_000
_MASKS_MAX: Final = 50


@attrs.frozen(kw_only=True)
class Rules:
    """How a project wants its events grouped.

    Attributes:
        mechanism: The name of one of `MECHANISMS`.
        pinned: Whether the project named it, rather than to follow the default.
        rules: The project's own rules, in order. The first that matches and sets a fingerprint decides, also over the
            SDK's; the first that matches a frame decides whose it is; all that match mask.
    """

    mechanism: str = attrs.field(default=DEFAULT_MECHANISM, validator=attrs.validators.in_(MECHANISMS))
    pinned: bool = False
    rules: tuple[Rule, ...] = ()

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Return the rules that the TOML document *text* holds.

        Raises:
            MalformedRulesError: it is no TOML, or something in it is no rule; it names the line.
        """
        mechanism, rules = read_rules(text)
        return cls(mechanism=mechanism or DEFAULT_MECHANISM, pinned=mechanism is not None, rules=rules)

    def apply(self, subject: Subject) -> "Applied":
        """Return what the rules say of *subject*."""
        event = Event(subject)
        matching = [rule for rule in self.rules if event.matches(rule)]
        naming = next((rule for rule in matching if rule.fingerprint and event.has_frame(rule.of_frame)), None)
        marking = [rule for rule in matching if rule.in_app is not None]
        masking = [rule for rule in matching if rule.mask is not None and event.has_frame(rule.of_frame)]
        return Applied(
            subject=attrs.evolve(
                subject,
                marks=_marks(marking) if marking else None,
                mask=_mask([rule.mask for rule in masking]) if masking else None,
            ),
            naming=naming,
            marking=marking,
            masking=masking,
        )


@attrs.frozen(kw_only=True)
class Applied:
    """What rules make of an event.

    Attributes:
        subject: The event, as mechanisms are to look at it.
        naming: The rule that sets its fingerprint, if one does.
        marking: The rules that say of some frames whose they are, should it have such frames.
        masking: The rules that mask its message.
    """

    subject: Subject
    naming: Rule | None
    marking: Sequence[Rule]
    masking: Sequence[Rule]

    def used(self) -> Sequence[str]:
        """Return the rules that took part, in words."""
        event = Event(self.subject)
        marking = [rule for rule in self.marking if event.has_frame(rule.of_frame)]
        return [
            *([f"{self.naming}: sets the fingerprint"] if self.naming else ()),
            *(f"{rule}: frames are {'' if rule.in_app else 'not '}the application's own" for rule in marking),
            *(f"{rule}: masks values in the message" for rule in self.masking),
        ]


def _marks(rules: Sequence[Rule]) -> Callable[[Mapping[str, Any]], bool | None]:
    def mark(frame: Mapping[str, Any]) -> bool | None:
        for rule in rules:
            if frame_matches(frame, rule.of_frame):
                return rule.in_app
        return None

    return mark


def _mask(patterns: Sequence[Any]) -> Callable[[str], str]:
    def mask(message: str) -> str:
        head, tail = message[:_MASKED_MAX], message[_MASKED_MAX:]
        for pattern in patterns:
            head = pattern.sub("<*>", head, _MASKS_MAX)
        return head + tail

    return mask
