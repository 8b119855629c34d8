"""Similar issues in SQL: terms kept when an issue is opened, and found by an index over them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, func, insert, select

from rustrak_core.issue import IssueId, ShortId
from rustrak_core.ports import SimilarStore
from rustrak_core.similar import Scored, Scorer, SimilarIssue, Term, best
from rustrak_storage.batch import Batch
from rustrak_storage.filing import IssueRow
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.base import SqlPart
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.engine import unreadable
from rustrak_storage.sql.events import newest_events
from rustrak_storage.sql.named import live_issue, lock_project, merged_into
from rustrak_storage.sql.rows import issue_row, select_issues
from rustrak_storage.terms import term_hash, terms_from_json, terms_json, terms_of_event

_ISSUE = schema.issue
_TERMS = schema.issue_terms
_TERM = schema.term
_AT_ONCE: Final = 100
"""How many issues without terms are read at each call."""

_POSTINGS: Final = 4_000
"""How many issues are looked at, by the rarest terms first; the more frequent ones then only add to scores."""

_CANDIDATES: Final = 40
"""How many issues are scored, beyond twice as many as are asked for."""

_INSERT_TERMS = insert(_TERMS)
_INSERT_TERM = insert(_TERM)
_OF_ISSUE = ("issue_id", "project_id", "terms")
_POSTING = ("project_id", "term", "issue_id")


class SqlSimilar(SqlPart, SimilarStore):
    """See `rustrak_core.ports.SimilarStore`."""

    _dictionaries: Dictionaries
    _indexed: set[int]
    """Projects whose issues all have terms, as those that are opened from now on have."""

    def similar_issues(self, ref: IssueId | ShortId, *, limit: int) -> Sequence[SimilarIssue]:
        """See `rustrak_core.ports.SimilarStore.similar_issues`."""
        self._index_older(ref)
        with self._database.reading(snapshot=True) as connection:
            row, slug = live_issue(connection, ref)
            text = connection.execute(select(_TERMS.c.terms).where(_TERMS.c.issue_id == row.id)).scalar()
            with unreadable("the terms of an issue"):
                terms = [] if text is None else terms_from_json(text)
                scored = best(_scored(connection, row, terms, limit), limit) if terms else []
            numbers = [each.issue for each in scored]
            found = map(issue_row, connection.execute(select_issues().where(_ISSUE.c.id.in_(numbers))))
            merged = merged_into(connection, slug, numbers)
        issues = {each.id: each.to_issue(slug, merged.get(each.id, ())) for each in found}
        return [SimilarIssue(issue=issues[each.issue], score=each.score, why=each.why) for each in scored]

    def _index_older(self, ref: int | str) -> None:
        """Keep the terms of some issues of a project that have none yet, the one of *ref* among them."""
        with self._database.reading() as connection:
            row, _slug = live_issue(connection, ref)
            missing = [] if row.project_id in self._indexed else _without_terms(connection, row)
            if not missing:
                self._indexed.add(row.project_id)
                return
            events = newest_events(connection, self._dictionaries, missing)
            found = {number: terms_of_event(events[number]) if number in events else () for number in missing}

        def work(connection: Connection) -> None:
            lock_project(connection, row.project_id)  # so that nothing is purged meanwhile
            there = {number for (number,) in bulk.find(connection, _TERMS, ("issue_id",), ("issue_id",), missing)}
            alive = {number for (number,) in bulk.find(connection, _ISSUE, ("id",), ("id",), missing)}
            keep_terms(connection, {number: (row.project_id, found[number]) for number in alive - there})

        self._database.write(work)


def index_opened(connection: Connection, batch: Batch) -> None:
    """Keep the terms of the issues that *batch* opened: those of the event that did."""
    first: dict[int, tuple[int, Sequence[Term]]] = {}
    opened = {row.id for row in batch.opened}
    for filing in batch.filings if opened else ():
        number = filing.issue.id
        if number in opened and number not in first:
            first[number] = (filing.issue.project_id, terms_of_event(filing.event.source))
    keep_terms(connection, first)


def keep_terms(connection: Connection, terms_of: Mapping[int, tuple[int, Sequence[Term]]]) -> None:
    """Keep the terms of issues that have none: for each issue its project and its terms."""
    rows = [(number, project, terms_json(terms)) for number, (project, terms) in terms_of.items()]
    postings = sorted(
        (project, hashed, number)
        for number, (project, terms) in terms_of.items()
        for hashed in {term_hash(term) for term in terms}
    )
    bulk.write(connection, _INSERT_TERMS, _OF_ISSUE, rows)
    bulk.write(connection, _INSERT_TERM, _POSTING, postings)


def _without_terms(connection: Connection, row: IssueRow) -> list[int]:
    has = select(_TERMS.c.issue_id).where(_TERMS.c.issue_id == _ISSUE.c.id).exists()
    live = (_ISSUE.c.project_id == row.project_id, _ISSUE.c.deleted_at.is_(None), _ISSUE.c.leads_to.is_(None))
    newest_first = select(_ISSUE.c.id).where(*live, ~has).order_by(_ISSUE.c.last_seen.desc(), _ISSUE.c.id.desc())
    missing = list(connection.execute(newest_first.limit(_AT_ONCE)).scalars())
    own = connection.execute(select(_TERMS.c.issue_id).where(_TERMS.c.issue_id == row.id)).first()
    return missing if own is not None or row.id in missing else [row.id, *missing]


def _scored(connection: Connection, row: IssueRow, terms: Sequence[Term], limit: int) -> list[Scored]:
    """Return the scores of those issues of the project that have most in common with the one of *row*."""
    by_hash = {term_hash(term): term for term in terms}
    mine = (_TERM.c.project_id == row.project_id, _TERM.c.term.in_(by_hash))
    counts = select(_TERM.c.term, func.count()).where(*mine).group_by(_TERM.c.term)
    held_by = {bytes(hashed): count for hashed, count in connection.execute(counts)}
    issues = connection.execute(select(func.count()).where(_TERMS.c.project_id == row.project_id)).scalar_one()
    scorer = Scorer(terms, {by_hash[hashed]: count for hashed, count in held_by.items()}, issues)
    shared = _holders(connection, row.project_id, _rarest(held_by))
    square = {hashed: scorer.weights[term] ** 2 for hashed, term in by_hash.items()}
    weighed = {number: sum([square[hashed] for hashed in hashes]) for number, hashes in shared.items()}
    weighed.pop(row.id, None)
    chosen = sorted(weighed, key=lambda number: (-weighed[number], number))[: 2 * limit + _CANDIDATES]
    roots = _roots(connection, chosen, row.id)
    return [
        scorer.score(roots[number], scorer.weights.keys() & set(its), len(its))
        for number, its in _terms_of(connection, roots)
    ]


def _rarest(held_by: Mapping[bytes, int]) -> list[bytes]:
    """Return the rarest terms that lead to so many issues as may be looked at; one at least."""
    chosen: list[bytes] = []
    room = _POSTINGS
    for hashed, count in sorted(held_by.items(), key=lambda each: (each[1], each[0])):
        room -= count
        if chosen and room < 0:
            break
        chosen.append(hashed)
    return chosen


def _holders(connection: Connection, project_id: int, hashes: Collection[bytes]) -> dict[int, list[bytes]]:
    """Return for each issue of a project that holds any of *hashes* which it does."""
    found: dict[int, list[bytes]] = defaultdict(list)
    holds = (_TERM.c.project_id == project_id, _TERM.c.term.in_(hashes))
    query = select(_TERM.c.issue_id, _TERM.c.term).where(*holds).limit(2 * _POSTINGS)
    for number, hashed in connection.execute(query) if hashes else ():
        found[number].append(bytes(hashed))
    return found


def _terms_of(connection: Connection, issues: Collection[int]) -> Iterator[tuple[int, list[Term]]]:
    for number, text in bulk.find(connection, _TERMS, ("issue_id", "terms"), ("issue_id",), issues):
        yield number, terms_from_json(text)


def _roots(connection: Connection, issues: Collection[int], own: int) -> dict[int, int]:
    """Return for each of *issues* the one that answers for it; those deleted, and those of *own*, are left out."""
    columns = ("id", "leads_to", "deleted_at")
    rows = list(bulk.find(connection, _ISSUE, columns, ("id",), issues))
    return {
        number: leads_to or number
        for number, leads_to, deleted_at in rows
        if deleted_at is None and (leads_to or number) != own
    }
