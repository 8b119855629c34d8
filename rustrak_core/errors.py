"""Every error that Rustrak raises on purpose, under one root.

Each carries its facts as attributes and a `status_hint`: the HTTP status a web adapter should answer with, a plain
number so that the core needs no HTTP library. Texts say what is wrong and how to mend it; they never hold keys, tokens,
DSNs or payloads.
"""

from typing import NamedTuple


class RustrakError(Exception):
    """The root of all errors raised on purpose."""

    status_hint = 500


class InvalidInputError(RustrakError):
    """A value given to us is wrong; the text begins with the path of the fault, as in ``name: required``.

    Attributes:
        path: Where the fault is, as in ``name`` or ``items[2].key``.
    """

    status_hint = 400

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path


class InvalidCursorError(InvalidInputError):
    """A cursor that was made up, cut, or given out for another sort or filter."""

    def __init__(self) -> None:
        super().__init__("cursor", "not a cursor of this list; use `next_cursor` of the page before, unchanged")


class MalformedRulesError(InvalidInputError):
    """A file of grouping rules is none, or has an error.

    Attributes:
        line: Where the fault is, from 1.
    """

    def __init__(self, reason: str, *, line: int) -> None:
        super().__init__(f"line {line}", reason)
        self.line = line


class MalformedUndoError(RustrakError):
    """A file of what is to be undone is none, or damaged.

    Attributes:
        line: Where the fault is, from 1.
    """

    status_hint = 400

    def __init__(self, reason: str, *, line: int) -> None:
        super().__init__(f"line {line} of the undo file {reason}")
        self.line = line


class MalformedDsnError(RustrakError):
    """The text is not a DSN. The text itself is not repeated, since it holds a key."""

    status_hint = 400


class MalformedJsonError(RustrakError):
    """The bytes are not JSON that anyone can read.

    Attributes:
        offset: Where reading stopped, in bytes or characters from the start, where that is known.
    """

    status_hint = 400

    def __init__(self, reason: str, *, offset: int | None = None) -> None:
        super().__init__(reason if offset is None else f"{reason} (at {offset})")
        self.offset = offset


class MalformedEnvelopeError(RustrakError):
    """The bytes are not an envelope.

    Attributes:
        offset: Where parsing stopped, in bytes from the start of the decompressed body.
    """

    status_hint = 400

    def __init__(self, reason: str, *, offset: int) -> None:
        super().__init__(f"{reason} (at byte {offset})")
        self.offset = offset


class MalformedEventError(RustrakError):
    """A body sent as an event (``/store/``, ``/security/``) is not one."""

    status_hint = 400


class BrokenEncodingError(RustrakError):
    """A compressed body that cannot be decompressed, or ends too early."""

    status_hint = 400


class UnsupportedEncodingError(RustrakError):
    """A Content-Encoding that we do not know."""

    status_hint = 415


class UnsupportedContentTypeError(RustrakError):
    """A Content-Type that an endpoint does not take."""

    status_hint = 415


class TooLargeError(RustrakError):
    """Something is over its limit.

    Attributes:
        what: What is too large, as in ``decompressed body`` or ``event item``.
        limit: The limit, in bytes or in pieces.
    """

    status_hint = 413

    def __init__(self, what: str, *, limit: int, unit: str = "bytes") -> None:
        super().__init__(f"{what} is over its limit of {limit} {unit}")
        self.what = what
        self.limit = limit


class CredentialsError(RustrakError):
    """Credentials are missing, malformed, unknown, deleted, or those of another project."""

    status_hint = 401


class ConflictingCredentialsError(RustrakError):
    """Two sources of credentials disagree."""

    status_hint = 400


class NotFoundError(RustrakError):
    """What was asked for does not exist, or no longer."""

    status_hint = 404


class UnknownProjectError(NotFoundError):
    """No such project."""


class UnknownIssueError(NotFoundError):
    """No such issue."""


class UnknownEventError(NotFoundError):
    """No such event."""


class UnknownTokenError(NotFoundError):
    """No such API token."""


class RateLimit(NamedTuple):
    """For how long a sender should hold back what.

    Attributes:
        retry_after_s: For how many seconds; 1 to 60.
        categories: Rate-limit categories that are affected, as in ``error``; empty means those of events.
        scope: ``organization``, ``project`` or ``key``.
        reason: One word for SDKs, as in ``spool_full``.
    """

    retry_after_s: int
    categories: tuple[str, ...]
    scope: str
    reason: str


class OverloadError(RustrakError):
    """Nothing more can be taken just now; the sender should pause.

    Attributes:
        retry_after_s: For how many seconds to pause; 1 to 60.
        categories: Rate-limit categories that are affected, as in ``error``; empty means all.
        scope: ``organization``, ``project`` or ``key``.
        reason: One word for SDKs and counters, as in ``spool_full``.
        limits: All of that once for each limit that was met.
    """

    status_hint = 429

    def __init__(
        self,
        text: str,
        *,
        retry_after_s: int,
        reason: str,
        scope: str = "organization",
        categories: tuple[str, ...] = (),
        limits: tuple[RateLimit, ...] = (),
    ) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s
        self.categories = categories
        self.scope = scope
        self.reason = reason
        own = RateLimit(retry_after_s=retry_after_s, categories=categories, scope=scope, reason=reason)
        self.limits = limits or (own,)


class QuotaExceededError(OverloadError):
    """All that a request brought is over a quota; it is counted as ``rate_limited`` already."""


class StoreUnavailableError(RustrakError):
    """The store cannot be reached or used just now; nothing was recorded, and trying again is safe."""

    status_hint = 503


class StoreRefusedError(RustrakError):
    """The store does not take what was to be recorded, however often it is tried; nothing was recorded.

    It is a fault of ours or of the data, not of the connection: a batch may be split to find the event at fault.
    """

    status_hint = 500


class SpoolUnavailableError(RustrakError):
    """The spool cannot be written or read (disk full, read-only, I/O error); what was not acknowledged is not kept."""

    status_hint = 503


class SchemaError(StoreUnavailableError):
    """The store's schema is older or newer than this version needs; the text says what to run."""


class StalePositionError(RustrakError):
    """A batch read from a spool lane no longer begins where the store's position stands; nothing was recorded.

    Another worker has recorded it meanwhile. Read again from the position that the store holds.
    """

    status_hint = 409


class ConfigurationError(RustrakError):
    """A setting is wrong; the text names it, and what to set instead."""

    status_hint = 500
