"""Similar issues in memory."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rustrak_core.issue import IssueId, ShortId
from rustrak_core.ports import SimilarStore
from rustrak_core.similar import Scored, Scorer, SimilarIssue, Term, best
from rustrak_storage.batch import Batch
from rustrak_storage.filing import IssueRow
from rustrak_storage.memory.merges import MemoryMerges
from rustrak_storage.terms import terms_of_event


class MemorySimilar(MemoryMerges, SimilarStore):
    """See `rustrak_core.ports.SimilarStore`."""

    def __init__(self) -> None:
        super().__init__()
        self._terms: dict[int, Sequence[Term]] = {}

    def similar_issues(self, ref: IssueId | ShortId, *, limit: int) -> Sequence[SimilarIssue]:
        """See `rustrak_core.ports.SimilarStore.similar_issues`."""
        with self._lock:
            row = self._issue(ref)
            found = best(self._scored(row), limit)
            return [
                SimilarIssue(issue=self._shown(self._issues[each.issue]), score=each.score, why=each.why)
                for each in found
            ]

    def _index_opened(self, batch: Batch) -> None:
        """Keep the terms of the issues that *batch* opened: those of the event that did."""
        for filing in batch.filings:
            if filing.issue.id not in self._terms:
                self._terms[filing.issue.id] = terms_of_event(filing.event.source)

    def _scored(self, row: IssueRow) -> Iterator[Scored]:
        own = self._terms.get(row.id, ())
        rows = {number: one for number, one in self._issues.items() if one.project_id == row.project_id}
        merged = {number: one.root for number, one in self._merged.items() if one.row.project_id == row.project_id}
        roots = rows | merged
        held_by = Counter(term for number in roots for term in self._terms.get(number, ()))
        scorer = Scorer(own, held_by, len(roots))
        for number, root in roots.items():
            if root is not row:
                terms = self._terms.get(number, ())
                yield scorer.score(root.id, set(own) & set(terms), len(terms))
