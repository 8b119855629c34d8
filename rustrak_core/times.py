"""Times as Rustrak keeps and shows them: aware UTC datetimes, 64-bit microseconds, RFC 3339 ending in ``Z``."""

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Return *moment* as microseconds since 1970-01-01 UTC; negative before."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the aware UTC datetime of *micros* microseconds since 1970-01-01.

    Raises:
        OverflowError: outside the years 1 to 9999.
    """
    return _EPOCH + timedelta(microseconds=micros)


def to_rfc3339(moment: datetime) -> str:
    """Return *moment* in UTC, ending in ``Z``, with up to six fraction digits and none when zero (API.md)."""
    text = moment.astimezone(UTC).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def utc(_instance: object, attribute: "attrs.Attribute[Any]", value: datetime | None) -> None:
    """An attrs validator: *value* is None or an aware datetime in UTC."""
    if value is not None and value.tzinfo is not UTC and value.utcoffset() != timedelta(0):
        message = f"{attribute.name} must be an aware datetime in UTC"
        raise ValueError(message)
