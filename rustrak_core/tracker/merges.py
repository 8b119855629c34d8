"""What a tracker does with several issues that are one bug."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from rustrak_core.issue import Issue
from rustrak_core.page import LIMIT_MAX
from rustrak_core.ports import Store
from rustrak_core.similar import SimilarIssue
from rustrak_core.tracker.refs import IssueRef, issue_key


class Merges:
    """The part of a `rustrak_core.tracker.Tracker` that merges issues, and finds those to merge."""

    store: Store
    clock: Callable[[], datetime]

    def merge(self, target: IssueRef, sources: Iterable[IssueRef]) -> Issue:
        """Make *sources* part of *target*, with their events and those to come, and return it.

        Their short ids lead to the target from then on; its own, and its state, stay. `unmerge` is the undo.

        Args:
            target: An issue.
            sources: 1 to 100 others of its project.

        Raises:
            UnknownIssueError: there is no such issue; nothing was merged.
            InvalidInputError: one is the target itself, or of another project, or they are none or too many.
        """
        return self.store.merge_issues(issue_key(target), [issue_key(one) for one in sources], now=self.clock())

    def unmerge(self, target: IssueRef, sources: Iterable[str | int]) -> Sequence[Issue]:
        """Take *sources* out of *target* again, with the events of their keys, and return them in that order.

        Args:
            target: An issue.
            sources: 1 to 100 numbers or short ids that it names in ``merged``.

        Raises:
            UnknownIssueError: there is no such issue; nothing came back.
            InvalidInputError: one is not merged into the target, or they are none or too many.
        """
        return self.store.unmerge_issues(issue_key(target), [issue_key(one) for one in sources])

    def similar(self, issue: IssueRef, *, limit: int = 10) -> Sequence[SimilarIssue]:
        """Return issues of the same project that may be the same bug, the most similar first, and why.

        Args:
            issue: What they are like.
            limit: How many at most; 1 to 100.

        Raises:
            UnknownIssueError: there is no such issue.
        """
        return self.store.similar_issues(issue_key(issue), limit=max(1, min(limit, LIMIT_MAX)))
