"""What a store must do to merge issues, and to take them apart again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from rustrak_core.issue import Issue, IssueId, ShortId


class MergeStore(Protocol):
    """Merges issues of one project. An issue that was merged is not listed nor counted; the other answers for it.

    Every reference to a merged issue, its number or its short id, is one to the issue that it leads to, in every call
    of a store but two: it cannot be deleted by itself, and `unmerge_issues` means it, not the other.
    """

    def merge_issues(self, target: IssueId | ShortId, sources: Sequence[IssueId | ShortId], *, now: datetime) -> Issue:
        """Merge *sources* into *target*, in one transaction, and return it.

        All grouping keys of a source lead to the target from then on, and its events are the target's; nothing that is
        recorded meanwhile is lost or counted twice. The target's counts, users, first and last seen, title, releases
        and facets become those of all events together. Its short id and its state stay; but a resolved one is reopened
        where an open source holds an event received after it was resolved, as that event would have done, and else
        counts as resolved when the last of them was.

        A source that was merged before stands for the issue that it leads to; one that leads to *target* already
        changes nothing.

        Args:
            sources: 1 to `rustrak_core.issue.MERGED_MAX`.

        Raises:
            UnknownIssueError: one of them does not exist, or was deleted; nothing was merged.
            InvalidInputError: a source is the target, or of another project, or they are none or too many.
        """
        ...

    def unmerge_issues(self, target: IssueId | ShortId, sources: Sequence[IssueId | ShortId]) -> Sequence[Issue]:
        """Take *sources*, which were merged into *target* or into one of these, out of it; return them in that order.

        Each comes back with its short id, its own grouping keys, those that its events brought since, and all events
        filed by them, also those recorded since; and with what had been merged into it, as far as it is not among
        *sources* too. Counts and all that goes by events are made anew from these, for the target too. A source has
        the state that it had, but for a resolved one with an event received later, which is open: a regression.

        Args:
            sources: 1 to `rustrak_core.issue.MERGED_MAX`.

        Raises:
            UnknownIssueError: one of them does not exist, or was deleted; nothing was changed.
            InvalidInputError: a source is not merged into the target, or they are none or too many.
        """
        ...
