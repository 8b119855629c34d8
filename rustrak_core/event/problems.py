"""What of a payload could not be read: the entries of ``errors`` that a full event shows."""

from typing import Any, Final

from rustrak_core.event.scalars import any_text, cut

MAX_PROBLEMS: Final = 1000
_VALUE_CHARS = 100

INVALID_DATA: Final = "invalid_data"
"""A field of a wrong type, or with a value that its rule rejects."""
FUTURE_TIMESTAMP: Final = "future_timestamp"
"""An event time that lies ahead of its receipt."""


class Problems:
    """Collects entries of ``errors``, at most 1,000.

    Attributes:
        entries: Each an object of ``type``, ``name`` (the field's path), ``reason`` and, in short, ``value``.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def add(self, name: str, reason: str, value: Any = None, *, kind: str = INVALID_DATA) -> None:
        """Note that the field *name* could not be read as it was sent, which was *value*."""
        if len(self.entries) >= MAX_PROBLEMS:
            return
        entry = {"type": kind, "name": name, "reason": reason}
        if value is not None:
            entry["value"] = cut(any_text(value) or "", _VALUE_CHARS)
        self.entries.append(entry)
