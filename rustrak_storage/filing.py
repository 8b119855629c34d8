"""How an event changes its issue: the rules that every backend keeps, apart from where the issue is kept.

Columns follow the latest event, first and last seen are moved by late events in the right direction only, and an event
received after its issue was resolved reopens it (API.md, Issues).
"""

import hashlib
import struct
from collections.abc import Iterable
from datetime import datetime

import attrs

from rustrak_core.digested import Digested, GroupingKey
from rustrak_core.issue import Issue, IssueId, IssueState, ShortId, reopens
from rustrak_core.project import ProjectId
from rustrak_core.times import from_micros, to_micros
from rustrak_storage.texts import clean, clean_or_none, fold

VALUES_MAX = 1000
"""How many values of one key an issue's facets keep; further ones are counted together, as ``other``."""

_RANK = struct.Struct(">QQ16s")
_BIAS = 1 << 63


def rank(timestamp: int, received_at: int, event_id: bytes) -> bytes:
    """Return 32 bytes that sort as events do: by event time, then time received (both microseconds), then id."""
    return _RANK.pack(timestamp + _BIAS, received_at + _BIAS, event_id)


def user_hash(identity: str) -> bytes:
    """Return the 16 bytes by which distinct users of an issue are told apart."""
    return hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@attrs.define(kw_only=True, slots=True)
class IssueRow:
    """An issue as stores keep it, and as events change it. Times are microseconds.

    Attributes:
        number: The number in its short id.
        latest: The `rank` of the latest event; type, message and the like are that event's.
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

    def add(self, event: "Filed") -> bool:
        """Count *event*, and return whether it reopened the issue."""
        self.event_count += 1
        self.first_seen = min(self.first_seen, event.timestamp)
        if event.rank > self.latest:
            self._follow(event)
        self._release(event)
        return self._reopen(event)

    def set_state(self, state: IssueState, now: datetime) -> bool:
        """Give the issue *state*; return False where it has it already."""
        if self.state == state.value:
            return False
        self.state = state.value
        self.resolved_at = to_micros(now) if state is IssueState.RESOLVED else None
        return True

    def to_issue(self, slug: str) -> Issue:
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
        )

    def _follow(self, event: "Filed") -> None:
        self.latest = event.rank
        self.last_seen = event.timestamp
        self.level, self.platform = event.level, event.platform
        if (event.type, event.message, event.culprit) != (self.type, self.message, self.culprit):
            self.type, self.message, self.culprit = event.type, event.message, event.culprit
            self.search = fold(event.type, event.message, event.culprit)

    def _release(self, event: "Filed") -> None:
        if event.release is None:
            return
        if self.first_release_rank is None or event.rank < self.first_release_rank:
            self.first_release, self.first_release_rank = event.release, event.rank
        if self.last_release_rank is None or event.rank > self.last_release_rank:
            self.last_release, self.last_release_rank = event.release, event.rank

    def _reopen(self, event: "Filed") -> bool:
        if self.state != "resolved" or self.resolved_at is None:
            return False
        if not reopens(IssueState.RESOLVED, from_micros(self.resolved_at), event.source.received_at):
            return False
        self.state = IssueState.OPEN.value
        self.resolved_at = None
        self.regressed_at = event.received_at
        self.regressed_in = event.release
        return True


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
