"""What a store must do so that events which are filed already can be filed anew, and be put back."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import attrs

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.project import ProjectId


@attrs.frozen(kw_only=True)
class FiledEvent:
    """An event as it is filed, with what working out its keys again needs.

    Attributes:
        number: The store's own; events have it in the order in which they came, about.
        key: The one by which it was filed.
        kind, hints: As accepted; see `rustrak_core.digest.read_payload`.
        payload: As sent; None where it was shed.
    """

    number: int
    event_id: UUID
    issue_id: IssueId
    key: GroupingKey
    kind: str
    hints: tuple[tuple[str, str], ...] = ()
    payload: bytes | None = attrs.field(repr=False)


@attrs.frozen
class Place:
    """Where an event is filed: in which issue, and by which of its keys."""

    issue_id: IssueId
    key: GroupingKey


@attrs.frozen(kw_only=True)
class Refiling:
    """What is to be filed anew, in one transaction.

    Attributes:
        moves: For each event, by its number, where it is and the key by which it is to be filed: in the issue that
            the key leads to, else in that of *targets*, else in a new one. An event that is elsewhere is left alone.
        targets: Issues for keys that lead to none yet; the key is attached also where no event moves by it.
        dropped: Keys that are to lead nowhere, with the issues to which they lead now.
        heirs: For issues that may be left without any event, a key of the issue that then takes their other keys
            over, and answers to their short ids.
    """

    moves: Mapping[int, tuple[Place, GroupingKey]] = attrs.field(factory=dict)
    targets: Mapping[GroupingKey, IssueId] = attrs.field(factory=dict)
    dropped: Mapping[GroupingKey, IssueId] = attrs.field(factory=dict)
    heirs: Mapping[IssueId, GroupingKey] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Refiled:
    """What was filed anew, and all that is needed to take it back.

    Attributes:
        moved: The numbers of events, by where they were and where they are.
        learned: Keys that lead somewhere now and did not before.
        dropped: Keys that lead nowhere now, with the issues to which they led.
        handed: Keys of issues without events that went to the heir, with the issues to which they led.
        opened: Issues that are new.
        retired: Issues that were left without events and are gone, with their heirs.
    """

    moved: Mapping[tuple[Place, Place], Sequence[int]] = attrs.field(factory=dict)
    learned: Mapping[GroupingKey, IssueId] = attrs.field(factory=dict)
    dropped: Mapping[GroupingKey, IssueId] = attrs.field(factory=dict)
    handed: Mapping[GroupingKey, IssueId] = attrs.field(factory=dict)
    opened: Sequence[IssueId] = ()
    retired: Mapping[IssueId, IssueId] = attrs.field(factory=dict)

    @property
    def events(self) -> int:
        """How many events were filed anew."""
        return sum(map(len, self.moved.values()))

    def __bool__(self) -> bool:
        """Tell whether anything is different now."""
        return bool(self.moved or self.learned or self.dropped or self.retired)


Confirm = Callable[[Refiled], None]
"""Called with what was done before it is committed; if it raises, nothing is."""


class HistoryStore(Protocol):
    """Files stored events anew, while others record."""

    def scan(self, project_id: ProjectId, *, after: int = 0, limit: int = 1000) -> Sequence[FiledEvent]:
        """Return up to *limit* events of live issues of a project, by ascending number, those above *after*.

        What is recorded meanwhile may be left out. There are no more where none is returned.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...

    def owners(self, project_id: ProjectId, keys: Collection[GroupingKey]) -> Mapping[GroupingKey, IssueId]:
        """Return to which live issue of a project each of *keys* leads; keys that lead to none are left out."""
        ...

    def origins(self, project_id: ProjectId) -> Mapping[GroupingKey, IssueId]:
        """Return the keys of a project's issues that were merged into others, each with the issue that was merged."""
        ...

    def refile(
        self, project_id: ProjectId, refiling: Refiling, *, now: datetime, confirm: Confirm | None = None
    ) -> Refiled:
        """File events anew as *refiling* says, and attach keys, in one transaction; return what was done.

        A key that leads somewhere is not taken from there, but for those in ``dropped``. New issues have the next
        short ids, and the state of the issue from which their first event came. An issue that is left without events
        is merged into its heir, as `MergeStore.merge_issues` does. Counts of events and issues are right at once, all
        else that an issue says of its events once `settle` has been called. What has changed or gone meanwhile is left
        as it is. At most some thousands of events at once, since others wait for it.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...

    def revert(self, project_id: ProjectId, refiled: Refiled, *, now: datetime) -> int:
        """Take *refiled* back, in one transaction, as far as all is as it was left; return how many events moved.

        Issues that are gone come back in the state in which they went; those that were opened go, unless events came
        to them since. Reverting again changes nothing.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...

    def settle(self, project_id: ProjectId) -> bool:
        """Have one issue, whose events were moved, say of them what is right; return False where there is none left.

        Counts, first and last seen, title, releases and what lists filter by are then those of its events.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...
