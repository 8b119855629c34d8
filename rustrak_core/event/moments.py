"""Times in the forms that SDKs send: seconds since 1970, or ISO 8601 with or without a zone (SDK.md, section 10)."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rustrak_core.times import from_micros

FUTURE_TOLERANCE: Final = timedelta(seconds=60)
"""How far an event time may lie ahead of its receipt (API.md, Conventions)."""

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII)


def moment(value: Any) -> datetime | None:
    """Return the time of *value* in UTC; without a zone it is UTC already. None where it is in none of the forms.

    Digits in a string, milliseconds, a comma before the fraction and a space for the ``T`` are none of them.
    """
    try:
        if isinstance(value, str):
            return _from_iso(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return from_micros(round(value * 1_000_000))
    except (ValueError, OverflowError):  # a 31st of February; NaN; the year 55000
        return None
    return None


def _from_iso(text: str) -> datetime | None:
    if len(text) > 64 or not _ISO.fullmatch(text):
        return None
    parsed = datetime.fromisoformat(text)
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def event_time(value: Any, received_at: datetime) -> datetime:
    """Return the event time that columns hold: *value*, or *received_at* where that is unreadable or too far ahead."""
    read = moment(value)
    return received_at if read is None or read - received_at > FUTURE_TOLERANCE else read


def as_sent(value: Any) -> Any:
    """A time as it was sent; a rule for `read_fields`."""
    return None if moment(value) is None else value
