"""How an event changes its issue: the rules that every backend keeps, apart from where the issue is kept.

Columns follow the latest event, first and last seen are moved by late events in the right direction only, and an event
received after its issue was resolved reopens it (API.md, Issues).
"""

import hashlib
import struct
from collections.abc import Iterable
from datetime import datetime
from typing import Self

import attrs

from rustrak_core.digested import Digested, GroupingKey
from rustrak_core.issue import Issue, IssueId, IssueState, MergedIssue, ShortId, reopens
from rustrak_core.project import ProjectId
from rustrak_core.times import from_micros, to_micros
from rustrak_storage.texts import clean, clean_or_none, fold

VALUES_MAX = 1000
"""How many values of one key an issue's facets keep; further ones are counted together, as ``other``."""

_RANK = struct.Struct(">QQ16s")
_BIAS = 1 << 63
_NEVER = _BIAS - 1
"""Later than any event's time."""


def rank(timestamp: int, received_at: int, event_id: bytes) -> bytes:
    """Return 32 bytes that sort as events do: by event time, then time received (both microseconds), then id."""
    return _RANK.pack(timestamp + _BIAS, received_at + _BIAS, event_id)


def user_hash(identity: str) -> bytes:
    """Return the 16 bytes by which distinct users of an issue are told apart."""
    return hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).digest()


_BY_EVENTS = (
    "type", "message", "culprit", "level", "platform", "search", "first_seen", "last_seen", "latest",
    "first_release", "first_release_rank", "last_release", "last_release_rank",
)  # fmt: skip


@attrs.define(kw_only=True, slots=True)
class IssueRow:
    """An issue as stores keep it, and as events change it. Times are microseconds.

    Attributes:
        number: The number in its short id.
        latest: The `rank` of the latest event; type, message and the like are that event's.
        era: Counts how often it lost events to another issue, and with them users and values that it had.
    """

    id: int
    project_id: int
    number: int
    state: str
    type: str
    message: str
    culprit: str
    level: str
    platform: str
    search: str
    event_count: int
    user_count: int
    first_seen: int
    last_seen: int
    latest: bytes
    first_release: str | None = None
    first_release_rank: bytes | None = None
    last_release: str | None = None
    last_release_rank: bytes | None = None
    resolved_at: int | None = None
    regressed_at: int | None = None
    regressed_in: str | None = None
    era: int = 0

    def add(self, event: "Filed") -> bool:
        """Count *event*, and return whether it reopened the issue."""
        self.count(event)
        return self.reopen(event.received_at, event.release)

    def count(self, event: "Filed | Counted") -> None:
        """Count *event*, whatever the issue's state."""
        self.event_count += 1
        self.first_seen = min(self.first_seen, event.timestamp)
        if event.rank > self.latest:
            self._follow(event)
        self._release(event)

    def reopen(self, received_at: int, release: str | None) -> bool:
        """Reopen the issue if an event of that time of receipt and release does; return whether it did."""
        if self.state != "resolved" or self.resolved_at is None:
            return False
        if not reopens(IssueState.RESOLVED, from_micros(self.resolved_at), from_micros(received_at)):
            return False
        self.state = IssueState.OPEN.value
        self.resolved_at = None
        self.regressed_at = received_at
        self.regressed_in = release
        return True

    @classmethod
    def blank(cls) -> Self:
        """Return what an issue has by no events, to count some and have an issue `become` it."""
        return cls(
            id=0,
            project_id=0,
            number=0,
            state="",
            type="",
            message="",
            culprit="",
            level="",
            platform="",
            search="",
            event_count=0,
            user_count=0,
            first_seen=_NEVER,
            last_seen=0,
            latest=b"",
        )

    def emptied(self) -> Self:
        """Return the issue as it is before any event was counted; its title stays until one is."""
        return attrs.evolve(
            self,
            event_count=0,
            user_count=0,
            first_seen=_NEVER,
            latest=b"",
            first_release=None,
            first_release_rank=None,
            last_release=None,
            last_release_rank=None,
        )

    def become(self, counted: Self) -> None:
        """Take what *counted* has by its events; times and releases stay where it has none. State and ids stay."""
        self.event_count, self.user_count = counted.event_count, counted.user_count
        if not counted.event_count:
            return
        for name in _BY_EVENTS:
            setattr(self, name, getattr(counted, name))

    def absorb(self, other: Self) -> None:
        """Count all that *other* counted as well, but for its users, who may be the same."""
        self.event_count += other.event_count
        self.first_seen = min(self.first_seen, other.first_seen)
        if other.event_count and other.latest > self.latest:
            self.latest, self.last_seen = other.latest, other.last_seen
            self.type, self.message, self.culprit = other.type, other.message, other.culprit
            self.level, self.platform, self.search = other.level, other.platform, other.search
        first, last = other.first_release_rank, other.last_release_rank
        if first is not None and (self.first_release_rank is None or first < self.first_release_rank):
            self.first_release, self.first_release_rank = other.first_release, first
        if last is not None and (self.last_release_rank is None or last > self.last_release_rank):
            self.last_release, self.last_release_rank = other.last_release, last

    def set_state(self, state: IssueState, now: datetime) -> bool:
        """Give the issue *state*; return False where it has it already."""
        if self.state == state.value:
            return False
        self.state = state.value
        self.resolved_at = to_micros(now) if state is IssueState.RESOLVED else None
        return True

    def to_issue(self, slug: str, merged: tuple[MergedIssue, ...] = ()) -> Issue:
        """Return the value that callers see; *slug* is the project's."""
        return Issue(
            id=IssueId(self.id),
            project_id=ProjectId(self.project_id),
            short_id=short_id(slug, self.number),
            type=self.type,
            message=self.message,
            state=IssueState(self.state),
            level=self.level,
            platform=self.platform,
            culprit=self.culprit,
            event_count=self.event_count,
            user_count=self.user_count,
            first_seen=from_micros(self.first_seen),
            last_seen=from_micros(self.last_seen),
            first_release=self.first_release,
            last_release=self.last_release,
            resolved_at=_moment(self.resolved_at),
            regressed_at=_moment(self.regressed_at),
            regressed_in=self.regressed_in,
            merged=merged,
        )

    def _follow(self, event: "Filed | Counted") -> None:
        self.latest = event.rank
        self.last_seen = event.timestamp
        self.level, self.platform = event.level, event.platform
        if (event.type, event.message, event.culprit) != (self.type, self.message, self.culprit):
            self.type, self.message, self.culprit = event.type, event.message, event.culprit
            self.search = fold(event.type, event.message, event.culprit)

    def _release(self, event: "Filed | Counted") -> None:
        if event.release is None:
            return
        if self.first_release_rank is None or event.rank < self.first_release_rank:
            self.first_release, self.first_release_rank = event.release, event.rank
        if self.last_release_rank is None or event.rank > self.last_release_rank:
            self.last_release, self.last_release_rank = event.release, event.rank


@attrs.define(kw_only=True, slots=True)
class Filed:
    """An event, made ready for columns: cut, cleaned, times in microseconds."""

    source: Digested
    project_id: int
    event_id: bytes
    timestamp: int
    received_at: int
    rank: bytes
    type: str
    message: str
    culprit: str
    level: str
    platform: str
    environment: str | None
    release: str | None
    keys: tuple[tuple[bytes, str], ...]
    asked: tuple[tuple[bytes, str], ...]
    user: bytes | None

    @property
    def day(self) -> int:
        """The day of receipt, as days since 1970-01-01."""
        return self.received_at // 86_400_000_000

    def open(self, issue_id: int, number: int) -> IssueRow:
        """Return a new issue that this event opens; the event is yet to be added."""
        return IssueRow(
            id=issue_id,
            project_id=self.project_id,
            number=number,
            state=IssueState.OPEN.value,
            type=self.type,
            message=self.message,
            culprit=self.culprit,
            level=self.level,
            platform=self.platform,
            search=fold(self.type, self.message, self.culprit),
            event_count=0,
            user_count=0,
            first_seen=self.timestamp,
            last_seen=self.timestamp,
            latest=self.rank,
        )


@attrs.frozen(kw_only=True)
class Counted:
    """A stored event, read again for what an issue takes from it. Times are microseconds.

    Attributes:
        user: The hash of who it happened to, or None.
        facets: What lists filter by, as pairs of key and value.
    """

    timestamp: int
    received_at: int
    event_id: bytes
    rank: bytes
    type: str
    message: str
    culprit: str
    level: str
    platform: str
    release: str | None
    user: bytes | None
    facets: list[tuple[str, str]]


def filed(event: Digested) -> Filed:
    """Return *event* made ready for columns."""
    timestamp, received_at = to_micros(event.timestamp), to_micros(event.received_at)
    event_id = event.event_id.bytes
    identity = event.user.identity if event.user is not None else None
    keys = _columns(event.keys)
    return Filed(
        source=event,
        project_id=event.project_id,
        event_id=event_id,
        timestamp=timestamp,
        received_at=received_at,
        rank=rank(timestamp, received_at, event_id),
        type=clean(event.type, 256),
        message=clean(event.message, 8192),
        culprit=clean(event.culprit, 200),
        level=clean(event.level, 16),
        platform=clean(event.platform, 64),
        environment=clean_or_none(event.environment, 64),
        release=clean_or_none(event.release, 200),
        keys=keys,
        asked=_columns(event.asked) if event.former or event.later else keys,
        user=None if identity is None else user_hash(identity),
    )


def _columns(keys: Iterable[GroupingKey]) -> tuple[tuple[bytes, str], ...]:
    return tuple((bytes.fromhex(key.value), key.mechanism) for key in keys)


def short_id(slug: str, number: int) -> ShortId:
    """Return an issue's short id, as in ``MY-APP-1``."""
    return ShortId(f"{slug.upper()}-{number}")


def split_short_id(text: str) -> tuple[str, int]:
    """Return the slug and the number of a short id that has its form."""
    slug, _, number = text.rpartition("-")
    return slug.lower(), int(number)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
