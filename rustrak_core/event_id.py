"""Event ids: UUIDs in any of the forms that SDKs write, answered as 32 hex digits (SDK.md, section 3)."""

import re
from uuid import UUID

from rustrak_core.errors import InvalidInputError

_HEX = re.compile(r"[0-9a-f]{32}", re.IGNORECASE | re.ASCII)
_UUID = re.compile(
    r"(?:urn:uuid:)?(?P<open>\{)?"
    r"(?P<id>[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"(?(open)\})",
    re.IGNORECASE | re.ASCII,
)


def parse_event_id(value: object) -> UUID | None:
    """Return the event id in *value*; None where it names none, which null, an empty text and the nil UUID do.

    32 hex digits or the hyphenated form, in any case, also in braces or behind ``urn:uuid:``.

    Raises:
        InvalidInputError: it is anything else.
    """
    if isinstance(value, str):
        text = value if _HEX.fullmatch(value) else _digits(value)
        if text is not None:
            number = int(text, 16)
            return UUID(int=number) if number else None
    if value is None or value == "":
        return None
    raise InvalidInputError("event_id", "must be a UUID: 32 hex digits, with or without hyphens")


def _digits(text: str) -> str | None:
    match = _UUID.fullmatch(text) if len(text) <= 64 else None
    return match["id"].replace("-", "") if match else None
