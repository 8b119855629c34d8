"""Projects: what an application's events belong to, its slug and its key."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import NewType
from uuid import UUID

import attrs

from rustrak_core.errors import InvalidInputError
from rustrak_core.times import utc

ProjectId = NewType("ProjectId", int)

SLUG_MAX = 50
NAME_MAX = 255
_KEY = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


@attrs.frozen(kw_only=True)
class Project:
    """An application whose errors are kept together.

    Attributes:
        slug: Made from the first name and never changed or used again, so that a short id keeps its meaning.
        sentry_key: The public key of the DSN, as a hyphenated lower-case UUID.
        event_count: Events digested so far, duplicates not counted.
        issue_count: Issues that exist now.
    """

    id: ProjectId
    name: str
    slug: str
    sentry_key: str
    created_at: datetime = attrs.field(validator=utc)
    event_count: int = 0
    issue_count: int = 0


def project_name(text: str) -> str:
    """Return *text* trimmed.

    Raises:
        InvalidInputError: it is empty or over 255 characters, or holds NUL or lone surrogates.
    """
    name = text.strip()
    if not 1 <= len(name) <= NAME_MAX:
        raise InvalidInputError("name", f"must have 1 to {NAME_MAX} characters once trimmed")
    if "\0" in name or any("\ud800" <= c <= "\udfff" for c in name):
        raise InvalidInputError("name", "must hold neither NUL nor lone surrogates")
    return name


def slugs(name: str, project_id: ProjectId) -> Iterator[str]:
    """Yield the slugs that a project may take, best first and without end: ``my-app``, ``my-app-2``, ``my-app-3``, ...

    NFKD to ASCII, lower case, runs of anything else to ``-``, at most 50 characters; ``project-{id}`` where nothing is
    left (API.md, Projects).
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:SLUG_MAX].strip("-") or f"project-{project_id}"
    yield base
    number = 2
    while True:
        suffix = f"-{number}"
        yield base[: SLUG_MAX - len(suffix)].rstrip("-") + suffix
        number += 1


def key_hex(text: str) -> str | None:
    """Return a sentry key as 32 lower-case hex digits, from either of its forms, or None if it is neither."""
    lowered = text.lower()
    return lowered.replace("-", "") if _KEY.fullmatch(lowered) else None


def sentry_key(text: str) -> str:
    """Return a sentry key in the form that the API shows, a hyphenated lower-case UUID.

    Raises:
        InvalidInputError: *text* is neither 32 hex digits nor a UUID.
    """
    digits = key_hex(text)
    if digits is None:
        raise InvalidInputError("sentry_key", "must be 32 hex digits, with or without the hyphens of a UUID")
    return str(UUID(digits))
