"""What digesting an event yields: the columns by which it is listed, filtered, counted and grouped."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

import attrs

from rustrak_core.issue import IssueId
from rustrak_core.project import ProjectId
from rustrak_core.times import utc


@attrs.frozen(kw_only=True)
class GroupingKey:
    """What decides to which issue an event belongs.

    Attributes:
        mechanism: The rule and its version, as in ``message@1``; a released one never changes.
        value: 32 lower-case hex digits; equal exactly where the rule's parts are equal.
    """

    mechanism: str
    value: str

    def __str__(self) -> str:
        return f"{self.mechanism}:{self.value}"


@attrs.frozen(kw_only=True)
class User:
    """Whom an event happened to; each part is a string or None."""

    id: str | None = None
    email: str | None = None
    username: str | None = None
    ip_address: str | None = None

    @property
    def identity(self) -> str | None:
        """What makes a user distinct: the id, else email, username, IP address, with its kind; None where none is."""
        for kind in ("id", "email", "username", "ip_address"):
            value = getattr(self, kind)
            if value:
                return f"{kind}:{value}"
        return None


@attrs.frozen(kw_only=True)
class Digested:
    """An event, ready to be recorded. Texts are cut to their lengths, and free of NUL and lone surrogates.

    Attributes:
        timestamp: Event time, at most 60 s after *received_at* (API.md, Conventions).
        keys: In order of preference; the first one that is known names the issue, and all of them then lead to it.
        former, later: Keys by mechanisms that the project used before the one of *keys*, or came to use after it, and
            that still lead to issues. They are asked before and after *keys*, and lead to no issue that they did not
            lead to already.
        type: At most 256 characters, never empty. message: At most 8192. culprit: At most 200.
        level: fatal, error, warning, info or debug.
        environment: At most 64 characters. release: At most 200.
        tags: Sorted pairs, each key once; keys of at most 200 characters, values of at most 200.
        payload: The event as sent, byte for byte; None where it was shed.
    """

    project_id: ProjectId
    event_id: UUID
    received_at: datetime = attrs.field(validator=utc)
    timestamp: datetime = attrs.field(validator=utc)
    keys: tuple[GroupingKey, ...]
    former: tuple[GroupingKey, ...] = ()
    later: tuple[GroupingKey, ...] = ()
    kind: str
    type: str
    message: str
    culprit: str
    level: str
    platform: str
    environment: str | None = None
    release: str | None = None
    user: User | None = None
    tags: tuple[tuple[str, str], ...] = ()
    remote_addr: str | None = None
    sdk_client: str | None = None
    hints: tuple[tuple[str, str], ...] = ()
    payload: bytes | None = attrs.field(repr=False)

    @property
    def asked(self) -> tuple[GroupingKey, ...]:
        """All keys, in the order in which they are asked for an issue."""
        return (*self.former, *self.keys, *self.later) if self.former or self.later else self.keys

    def facets(self) -> Iterator[tuple[str, str]]:
        """Yield what lists filter by, as `facets_of`."""
        return facets_of(self.level, self.environment, self.release, self.tags)


def facets_of(
    level: str, environment: str | None, release: str | None, tags: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Yield what lists filter by, as (key, value): ``level``, ``environment``, ``release`` and ``tag:KEY``."""
    yield "level", level
    if environment is not None:
        yield "environment", environment
    if release is not None:
        yield "release", release
    for key, value in tags:
        yield f"tag:{key}", value


@attrs.frozen(kw_only=True)
class EventSummary:
    """A row of an issue's list of events."""

    id: UUID
    project_id: ProjectId
    issue_id: IssueId
    timestamp: datetime = attrs.field(validator=utc)
    received_at: datetime = attrs.field(validator=utc)
    environment: str | None = None
    release: str | None = None
    user: User | None = None


@attrs.frozen(kw_only=True)
class StoredEvent:
    """One event, whole.

    Attributes:
        key: The grouping key by which it was filed; its explanation is worked out again from it and the payload.
        payload: The event as sent, byte for byte; None where it was shed.
        kind, remote_addr, sdk_client, hints: As accepted, since reading the payload in one form needs them.
    """

    summary: EventSummary
    key: GroupingKey
    kind: str
    type: str
    message: str
    culprit: str
    level: str
    platform: str
    tags: tuple[tuple[str, str], ...] = ()
    remote_addr: str | None = None
    sdk_client: str | None = None
    hints: tuple[tuple[str, str], ...] = ()
    payload: bytes | None = attrs.field(repr=False)
