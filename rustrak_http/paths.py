"""What the variable parts of a path refer to. Text where a number belongs refers to nothing: 404, never 400."""

import re
from uuid import UUID

from rustrak_core.errors import UnknownEventError, UnknownProjectError, UnknownTokenError
from rustrak_core.project import ProjectId
from rustrak_core.token import TokenId

_MAX_ID = 2**53
_EVENT_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)

_MANAGED = r"(?!(?:projects|issues|events|tokens)(?:/|$))"
_INGESTION = re.compile(
    rf"/api/{_MANAGED}[^/]+/(?:envelope|store|security|csp-report|minidump|nel|unreal/[^/]+"
    r"|cron/[^/]+(?:/[^/]+)?|integration/otlp(?:/.*)?|events/[^/]+/attachments)|/api/store"
)
_SLASHES = re.compile(r"/{2,}")


def ingestion_path(path: str) -> str | None:
    """Return *path* with duplicate slashes folded and no slash at its end if SDKs send there, else None.

    These are the paths of the SDK protocol, those not served yet among them: they need no API token and carry CORS.
    """
    folded = _SLASHES.sub("/", path) if "//" in path else path
    folded = folded.rstrip("/")
    return folded if _INGESTION.fullmatch(folded) else None


def number(text: str) -> int | None:
    """Return the id that *text* writes in digits, 1 to 2^53 - 1, or None if it can be none."""
    if text.isascii() and text.isdigit() and len(text) <= 16:
        value = int(text)
        return value if 0 < value < _MAX_ID else None
    return None


def project_id(text: str) -> ProjectId:
    """Return the project that *text* names.

    Raises:
        UnknownProjectError: it cannot be a project's number.
    """
    value = number(text)
    if value is None:
        raise UnknownProjectError("no such project; a project is named by its number, see /api/projects")
    return ProjectId(value)


def token_id(text: str) -> TokenId:
    """Return the token that *text* names.

    Raises:
        UnknownTokenError: it cannot be a token's number.
    """
    value = number(text)
    if value is None:
        raise UnknownTokenError("no such API token; a token is named by its number, see /api/tokens")
    return TokenId(value)


def event_id(text: str) -> UUID:
    """Return the event that *text* names, with or without hyphens, in any case.

    Raises:
        UnknownEventError: it cannot be an event's id.
    """
    if not _EVENT_ID.fullmatch(text):
        raise UnknownEventError("no such event; an event is named by the 32 hex digits of its id")
    return UUID(text)
