"""What a store must keep while the newer grouping keys of issues are worked out from stored events."""

import enum
from collections.abc import Collection, Mapping
from typing import Protocol

import attrs

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.project import ProjectId


class BackfillStage(enum.StrEnum):
    """What a backfill is at."""

    READING = "reading"
    ATTACHING = "attaching"
    DONE = "done"


@attrs.frozen(kw_only=True)
class Backfill:
    """How far a project's newer keys are worked out.

    Attributes:
        mechanism: Whose keys.
        upto: The number of the last event that was read.
    """

    project_id: ProjectId
    mechanism: str
    stage: BackfillStage = BackfillStage.READING
    upto: int = 0


class BackfillStore(Protocol):
    """Keeps how far backfills are, and the keys that were found and are not yet attached."""

    def backfill(self, project_id: ProjectId) -> Backfill | None:
        """Return how far a project's backfill is, None where there never was one, or no such project."""
        ...

    def move_backfill(
        self,
        before: Backfill | None,
        after: Backfill,
        keys: Mapping[GroupingKey, Collection[IssueId]] | None = None,
    ) -> bool:
        """Have a backfill come from *before* to *after*, and note *keys*, in one transaction.

        Where it is not at *before* any more, another process moves it: nothing is changed, and False returned. What was
        noted for another mechanism is forgotten.

        Args:
            before: As `backfill` returned it.
            after: Where it is then.
            keys: Keys of events that were read, with the issues of these.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...

    def attach_newer_keys(self, project_id: ProjectId, *, limit: int = 1000) -> int:
        """Attach up to *limit* of the noted keys, in one transaction; return how many were taken, 0 where none is left.

        A key is attached to the issue of its events. One that leads somewhere already goes on doing so; one of several
        issues, or of an issue that is gone, is attached to none.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...
