"""What a store must do to find issues that are alike."""

from collections.abc import Sequence
from typing import Protocol

from rustrak_core.issue import IssueId, ShortId
from rustrak_core.similar import SimilarIssue


class SimilarStore(Protocol):
    """Finds the issues of a project that are like one of them, by the terms of the event that opened each."""

    def similar_issues(self, ref: IssueId | ShortId, *, limit: int) -> Sequence[SimilarIssue]:
        """Return up to *limit* issues of the same project, the most similar first; not the issue itself.

        What was merged is found by its own terms, and told as the issue that answers for it. Terms are kept when an
        issue is opened; those of issues that an older version opened are read from their latest event when they are
        first asked about, some at each call, the ones seen last first.

        Raises:
            UnknownIssueError: there is no such issue, or it was deleted.
        """
        ...
