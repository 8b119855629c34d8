"""The default clock, ids and token entropy: the one place in the core where time and chance come in."""

import secrets
import uuid
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present, as an aware UTC datetime with microseconds."""
    return datetime.now(UTC)


def new_uuid() -> uuid.UUID:
    """Return a random UUID (version 4), for event ids and sentry keys."""
    return uuid.uuid4()


def new_token_hex() -> str:
    """Return 40 lower-case hex digits from a secure source, for an API token."""
    return secrets.token_hex(20)
