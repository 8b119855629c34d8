"""Why an event is in its issue, for people."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from rustrak_core.digested import GroupingKey
from rustrak_core.grouping.parts import Part


@attrs.frozen(kw_only=True)
class Explanation:
    """Why an event is in its issue.

    Attributes:
        key: The key by which it was filed.
        summary: A sentence.
        parts: What its key is made of; empty where this version cannot tell.
    """

    key: GroupingKey
    summary: str
    parts: Sequence[Part] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as the API shows it."""
        parts: list[Mapping[str, str]] = [attrs.asdict(part) for part in self.parts]
        return {
            "mechanism": self.key.mechanism,
            "key": self.key.value,
            "summary": self.summary,
            "parts": parts,
        }
