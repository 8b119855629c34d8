"""Which events are one issue: pure, deterministic and explained.

A mechanism says what events of an issue have in common; an SDK's fingerprint or a project's rule may say otherwise.
Nothing here needs a database:

    >>> from rustrak_core import grouping
    >>> event = {"exception": {"values": [{"type": "KeyError", "value": "'pear'"}]}, "transaction": "/buy"}
    >>> grouping.key(event).mechanism
    'anchor@1'
    >>> grouping.key(event) == grouping.key({**event, "level": "fatal"})
    True
    >>> for part in grouping.key(event, grouping.Rules(mechanism="anchor@1")).explanation.parts:
    ...     print(part.name, part.value)
    type KeyError
    message <*>
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from rustrak_core.accepted import EventKind
from rustrak_core.digested import GroupingKey
from rustrak_core.event.fingerprint import fingerprint_of
from rustrak_core.event.scalars import cut
from rustrak_core.grouping.explanation import Explanation
from rustrak_core.grouping.fingerprint import FINGERPRINT_MECHANISM, VARIABLES, fingerprint_parts, notes_on
from rustrak_core.grouping.mechanisms import DEFAULT_MECHANISM, MECHANISMS, Mechanism
from rustrak_core.grouping.parts import Ignored, Notes, Part, Subject, hash_parts, transaction_of
from rustrak_core.grouping.rule import Rule
from rustrak_core.grouping.rules import Rules
from rustrak_core.grouping.settings import Settings, settings_of, with_mechanism

__all__ = [
    "DEFAULT_MECHANISM",
    "MECHANISMS",
    "VARIABLES",
    "ExplainedKey",
    "Explanation",
    "GroupingKey",
    "Ignored",
    "Mechanism",
    "Part",
    "Rule",
    "Rules",
    "Settings",
    "Subject",
    "explain",
    "key",
    "keys",
    "keys_by",
    "mechanisms_in",
    "settings_of",
    "transaction_of",
    "with_mechanism",
]

_NOTE_MAX = 500
_DEFAULT_RULES = Rules()


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ExplainedKey(GroupingKey):
    """A grouping key that can say why; it equals every `GroupingKey` of the same mechanism and value."""

    _subject: Subject
    _rules: Rules

    @property
    def explanation(self) -> Explanation:
        """Why it is this key, worked out when asked for."""
        return _explain(self._subject, self._rules)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GroupingKey):
            return NotImplemented
        return (self.mechanism, self.value) == (other.mechanism, other.value)

    __hash__ = GroupingKey.__hash__
    __repr__ = GroupingKey.__repr__


def key(payload: Mapping[str, Any], rules: Rules | None = None, *, kind: str = EventKind.EVENT) -> ExplainedKey:
    """Return the grouping key of the event *payload*, which came as *kind*. Whatever it holds, this does not raise.

    ``str()`` of it is the key: it stays what it is in every version that has the mechanism, on every Python.
    """
    rules = rules or _DEFAULT_RULES
    subject = Subject.of(payload, kind)
    decided = _decide(subject, rules)
    value = hash_parts(decided.name, decided.parts)
    return ExplainedKey(mechanism=decided.name, value=value, subject=subject, rules=rules)


def keys(subject: Subject, rules: Rules | None = None) -> tuple[GroupingKey, ...]:
    """Return the keys of an event, in order of preference: the first one that is known names its issue."""
    decided = _decide(subject, rules or _DEFAULT_RULES)
    return (GroupingKey(mechanism=decided.name, value=hash_parts(decided.name, decided.parts)),)


def keys_by(subject: Subject, mechanisms: Sequence[str], rules: Rules | None = None) -> tuple[GroupingKey, ...]:
    """Return the keys that other *mechanisms* give an event, in their order, as far as they differ from its own."""
    rules = rules or _DEFAULT_RULES
    own = keys(subject, rules)
    others = (keys(subject, attrs.evolve(rules, mechanism=name))[0] for name in mechanisms)
    return tuple(key for key in dict.fromkeys(others) if key not in own)


def mechanisms_in(names: Iterable[str]) -> tuple[str, ...]:
    """Return which mechanisms are among *names*, as grouping keys have them, the oldest first."""
    bases = {name.rpartition(":")[2] for name in names}
    return tuple(name for name in MECHANISMS if name in bases)


def explain(
    payload: Mapping[str, Any],
    filed: GroupingKey | None = None,
    *,
    kind: str = EventKind.EVENT,
    rules: Rules | None = None,
) -> Explanation:
    """Return why the event *payload* is in its issue.

    Args:
        payload: The event as sent.
        filed: The key by which it was filed; by default the one that it gets now.
        kind: How it came.
        rules: The project's, as they are now; where the event was filed by others, the explanation says so.
    """
    rules = rules or _DEFAULT_RULES
    subject = Subject.of(payload, kind)
    if filed is None:
        return _explain(subject, rules)
    then = _rules_then(filed, rules)
    if then is None:
        return Explanation(key=filed, summary="This version does not know the mechanism by which the event was filed.")
    explained = _explain(subject, then)
    if explained.key == filed:
        return attrs.evolve(explained, note=_note_on_mechanism(then, rules))
    today = f"By the project's rules of today, its key would be {keys(subject, rules)[0]}."
    if then.rules:
        explained = _explain(subject, attrs.evolve(then, rules=()))
        if explained.key == filed:
            return attrs.evolve(explained, note=f"The project's rules have changed since it was filed. {today}")
    gone = "With the project's rules of today, its payload no longer gives the key by which it was filed"
    return Explanation(key=filed, summary=f"{gone}: they have changed since.", note=today)


def _note_on_mechanism(then: Rules, rules: Rules) -> str:
    """Return what there is to say where an event is known by another mechanism than the one in force."""
    if then.mechanism == rules.mechanism:
        return ""
    return (
        f"It was filed by a key of {then.mechanism}, by which its issue is known. The project's mechanism now is"
        f" {rules.mechanism}, which opens new issues."
    )


def _rules_then(filed: GroupingKey, rules: Rules) -> Rules | None:
    """Return *rules* with the mechanism by which an event was *filed*; None where this version does not know that."""
    base = filed.mechanism.rpartition(":")[2]
    if base == FINGERPRINT_MECHANISM:
        return rules
    return attrs.evolve(rules, mechanism=base) if base in MECHANISMS else None


@attrs.frozen
class _Decided:
    name: str
    parts: Sequence[Part]
    by: str
    used: Sequence[str] = ()


_SUMMARIES = {
    "fingerprint": "The event came with a fingerprint; events whose fingerprints have the same parts are one issue.",
    "rule": "A rule of the project sets a fingerprint; events whose fingerprints have the same parts are one issue.",
}


def _decide(subject: Subject, rules: Rules, notes: Notes = None) -> _Decided:
    mechanism = MECHANISMS[rules.mechanism]
    used: Sequence[str] = ()
    sent = fingerprint_of(subject.payload)
    if notes is not None:
        notes += notes_on(subject.payload)
    if rules.rules:
        applied = rules.apply(subject)
        subject = applied.subject
        used = applied.used() if notes is not None else ()
        if applied.naming:
            said = fingerprint_parts(
                applied.naming.fingerprint, subject, mechanism, notes, source=f"the fingerprint of {applied.naming}"
            )
            if sent and notes is not None:
                notes.append(Ignored("the SDK's fingerprint", "is overruled by a rule of the project"))
            return _Decided(*(said or (mechanism.name, mechanism.parts(subject, notes))), "rule", used)
    said = fingerprint_parts(sent, subject, mechanism, notes, source="the event's `fingerprint`") if sent else None
    if said:
        return _Decided(*said, "fingerprint", used)
    if sent and notes is not None:
        notes.append(Ignored("the event's `fingerprint`", "says only {{ default }}, which stands for the rule itself"))
    return _Decided(mechanism.name, mechanism.parts(subject, notes), "mechanism", used)


def _explain(subject: Subject, rules: Rules) -> Explanation:
    notes: list[Ignored] = []
    decided = _decide(subject, rules, notes)
    summary = _SUMMARIES.get(decided.by) or MECHANISMS[rules.mechanism].summary
    if decided.by != "mechanism" and decided.name.endswith(rules.mechanism):
        summary += f" In it, {{{{ default }}}} stands for what {rules.mechanism} takes."
    return Explanation(
        key=GroupingKey(mechanism=decided.name, value=hash_parts(decided.name, decided.parts)),
        summary=summary,
        parts=tuple(decided.parts),
        decided_by=decided.by,
        ignored=[Ignored(cut(note.what, _NOTE_MAX), note.why) for note in notes],
        rules=tuple(decided.used),
    )
