"""Why an event is in its issue, for people and for programs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from rustrak_core.digested import GroupingKey
from rustrak_core.grouping.parts import Ignored, Part

_SHOWN = 300


@attrs.frozen(kw_only=True)
class Explanation:
    """Why an event is in its issue; `str` of it says so in a few lines.

    Attributes:
        key: The key by which it was filed.
        summary: A sentence.
        parts: What its key is made of; empty where this version cannot tell.
        decided_by: ``mechanism``, ``fingerprint`` (the SDK's) or ``rule`` (the project's); empty where it cannot tell.
        ignored: What was looked at and did not decide, with reasons.
        rules: The project's rules that took part, in words.
        note: What else there is to say, as that the rules have changed since; ``""`` for nothing.
    """

    key: GroupingKey
    summary: str
    parts: Sequence[Part] = ()
    decided_by: str = ""
    ignored: Sequence[Ignored] = ()
    rules: Sequence[str] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as the API shows it."""
        parts: list[Mapping[str, str]] = [attrs.asdict(part) for part in self.parts]
        return {
            "mechanism": self.key.mechanism,
            "key": self.key.value,
            "summary": self.summary,
            "parts": parts,
            "decided_by": self.decided_by,
            "ignored": [attrs.asdict(each) for each in self.ignored],
            "rules": list(self.rules),
            "note": self.note or None,
        }

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """Yield the explanation in words, a line each."""
        yield f"{self.key}"
        yield self.summary
        if self.note:
            yield self.note
        for part in self.parts:
            yield f"  {part.name}: {_short(part.value)}   <- {part.source}"
        for rule in self.rules:
            yield f"  by {rule}"
        for each in self.ignored:
            yield f"  not {_short(each.what)}: {each.why}"


def _short(text: str) -> str:
    """Return *text* on one line of bounded length."""
    shown = text[: _SHOWN + 1].replace("\n", "\\n")
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
