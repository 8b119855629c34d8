"""What a store must do so that its events can be copied elsewhere, a few more each time, while others record."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

import attrs

from rustrak_core.digested import GroupingKey, StoredEvent
from rustrak_core.issue import IssueId
from rustrak_core.project import ProjectId
from rustrak_core.times import utc

MEMBERSHIP_PRIME = 1_000_003


@attrs.frozen(kw_only=True)
class Selection:
    """Which events are wanted. All that is given must hold.

    Attributes:
        project_ids: Of these projects; None for all.
        since, until: Event time, *since* included and *until* not, in UTC; None for no bound.
    """

    project_ids: tuple[ProjectId, ...] | None = None
    since: datetime | None = attrs.field(default=None, validator=utc)
    until: datetime | None = attrs.field(default=None, validator=utc)


class NumberedEvent(NamedTuple):
    """An event, whole, and the store's own number of it, by which events stand in the order in which they came."""

    number: int
    event: StoredEvent


class BareEvent(NamedTuple):
    """An event, whole, as a store keeps it, so that millions are copied without making an object of each part.

    Attributes:
        number: As in `NumberedEvent`.
        event_id: 16 bytes.
        timestamp, received_at: Microseconds since 1970.
        key_value: The grouping key's 16 bytes.
        user: JSON, ``[id, email, username, ip_address]``; None where there is none.
        details: A JSON object, its ``kind`` first, then ``type``, ``message``, ``culprit``, ``level``, ``platform``,
            and where there are any ``tags`` (an object), ``sdk_client`` and ``hints`` (a list of pairs).
        payload: As sent, byte for byte; None where it was shed.
    """

    number: int
    project_id: int
    event_id: bytes
    issue_id: int
    timestamp: int
    received_at: int
    mechanism: str
    key_value: bytes
    environment: str | None
    release: str | None
    user: str | None
    details: bytes
    payload: bytes | None


class Membership(NamedTuple):
    """Which events an issue has, in three numbers: two that differ, differ in their events.

    Attributes:
        events: How many.
        numbers: The sum of their numbers.
        squares: The sum of the squares of their numbers, each by the remainders of a prime, so that it stays small.
    """

    events: int
    numbers: int
    squares: int

    @classmethod
    def of(cls, numbers: Iterable[int]) -> "Membership":
        """Return that of the events with those *numbers*."""
        events = total = squares = 0
        for number in numbers:
            events, total = events + 1, total + number
            squares += (number % MEMBERSHIP_PRIME) ** 2 % MEMBERSHIP_PRIME
        return cls(events, total, squares)


class Member(NamedTuple):
    """An event of an issue: its number, and the key by which it is filed."""

    number: int
    key: GroupingKey


class IssueKey(NamedTuple):
    """A grouping key that leads to an issue.

    Attributes:
        origin: The issue whose it was before issues were merged into this one, which may be this one itself; None where
            none were, or it came since.
    """

    key: GroupingKey
    origin: IssueId | None = None

    def order(self) -> tuple[str, str]:
        """Return what keys of an issue stand by: mechanism and value."""
        return self.key.mechanism, self.key.value


class ExportStore(Protocol):
    """Reads events of live issues and projects in the order in which they came.

    Numbers are positive and never used again, but one that is lower may appear after one that is higher, where several
    record at once; and an event may move to another issue, or go. `memberships` tells of both. An event may also
    be filed by another key of its issue: `refilings` tells whether any may be, and `filings` which.
    """

    def last_event_number(self) -> int:
        """Return the highest number that an event has; 0 where there is none."""
        ...

    def export(self, selection: Selection, *, after: int = 0, upto: int, limit: int = 1000) -> Sequence[NumberedEvent]:
        """Return at most *limit* events with numbers above *after* and not above *upto*, by ascending number.

        There are no more where none is returned.
        """
        ...

    def export_events(self, numbers: Collection[int]) -> Sequence[NumberedEvent]:
        """Return those events that have one of *numbers*, by ascending number; what is gone is left out."""
        ...

    def memberships(self, selection: Selection, *, upto: int) -> dict[IssueId, Membership]:
        """Return for each issue which of the wanted events with numbers not above *upto* it has; none without any."""
        ...

    def refilings(self) -> Mapping[ProjectId, int]:
        """Return for each project whose events were ever filed anew a number, another one each time that they are.

        Whoever copies events reads it first: what is filed anew later, it tells. Of projects that were deleted there
        may be numbers.
        """
        ...

    def filings(self, selection: Selection, *, upto: int) -> Mapping[IssueId, Mapping[GroupingKey, Membership]]:
        """Return for each issue what `memberships` does, apart for each key by which its events are filed.

        It costs ten times as much, so that it is asked for where `refilings` says that it is worth it.
        """
        ...

    def members(self, issue_id: IssueId, selection: Selection, *, upto: int) -> Sequence[Member]:
        """Return the wanted events of an issue with numbers not above *upto*, by ascending number."""
        ...

    def issue_keys(self, issues: Collection[IssueId]) -> Mapping[IssueId, Sequence[IssueKey]]:
        """Return the keys that lead to each of *issues*, by mechanism and value; those without any are left out.

        At most some thousands of issues at once, since all their keys are held in memory.
        """
        ...


@runtime_checkable
class BareExportStore(Protocol):
    """Reads whole events with little work for each; for stores that keep them so."""

    def export_bare(self, selection: Selection, *, after: int = 0, upto: int, limit: int = 1000) -> Sequence[BareEvent]:
        """Return what `ExportStore.export` does; details and payloads are not looked into."""
        ...
