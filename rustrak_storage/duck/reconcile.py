"""What a dataset has otherwise than its store: events that moved, that are gone, and that came late."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import attrs
import duckdb

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import MEMBERSHIP_PRIME, Member, Membership, Selection, Store
from rustrak_core.project import ProjectId
from rustrak_storage.interrupting import executed, interruptible

T = TypeVar("T")
Place = tuple[int, str, str]
"""An issue, and the mechanism and the value of one of its keys."""

_PAGE = 10_000

_SUMS = (
    f"count(*), sum(number), sum((number % {MEMBERSHIP_PRIME}) * (number % {MEMBERSHIP_PRIME}) % {MEMBERSHIP_PRIME})"
)
_MEMBERSHIPS = f"SELECT issue_id, {_SUMS} FROM ({{events}}) GROUP BY ALL"
_FILINGS = f"SELECT issue_id, mechanism, grouping_key, {_SUMS} FROM ({{events}}) WHERE project_id = ? GROUP BY ALL"
_PLACES = (
    "SELECT number, issue_id, mechanism, grouping_key FROM ({events}) WHERE issue_id IN (SELECT unnest(?::BIGINT[]))"
)


@attrs.frozen
class Differences:
    """What differs.

    Attributes:
        moved: Numbers of events that are in another issue, or filed by another key, with that issue and key.
        gone: Numbers of events that the store has no more.
        missing: Numbers of events that only the store has.
    """

    moved: Mapping[int, tuple[IssueId, Member]]
    gone: set[int]
    missing: set[int]

    def moved_rows(self) -> Iterator[dict[str, Any]]:
        """Yield rows of the table ``moved``."""
        for number, (issue, member) in self.moved.items():
            key = member.key
            yield {"number": number, "issue_id": issue, "mechanism": key.mechanism, "grouping_key": key.value}

    def gone_rows(self) -> Iterator[dict[str, Any]]:
        """Yield rows of the table ``gone``."""
        for number in self.gone:
            yield {"number": number}


def differences(
    connection: duckdb.DuckDBPyConnection,
    events: str,
    store: Store,
    selection: Selection,
    *,
    upto: int,
    refiled: Iterable[ProjectId],
) -> Differences:
    """Return what differs between events that were exported, and the store.

    Issues of the same `Membership` are not looked into, so that it costs little where nothing changed.

    Args:
        connection: Where they are.
        events: A query for their ``number``, ``project_id``, ``issue_id``, ``mechanism`` and ``grouping_key``.
        store: Whose they are.
        selection: Which the dataset has.
        upto: The highest number that they have.
        refiled: Projects whose events may be filed by other keys, so that keys are looked into too.
    """
    theirs = store.memberships(selection, upto=upto)
    sums = executed(connection, _MEMBERSHIPS.format(events=events))
    ours = {IssueId(issue): Membership(*map(int, each)) for issue, *each in sums}
    suspects, live = _unlike(theirs, ours), set(theirs)
    for project in refiled:
        filings = store.filings(attrs.evolve(selection, project_ids=(project,)), upto=upto)
        suspects |= _unlike(filings, _filings(connection, events, project))
        live |= filings.keys()  # those that were opened since the memberships were read, among them
    if not suspects:
        return Differences({}, set(), set())
    here = _places(connection, events, suspects)
    there = {
        member.number: (issue, member)
        for issue in suspects & live
        for member in store.members(issue, selection, upto=upto)
    }
    return Differences(
        moved={n: (i, m) for n, (i, m) in there.items() if n in here and here[n] != (i, m.key.mechanism, m.key.value)},
        gone=here.keys() - there.keys(),
        missing=there.keys() - here.keys(),
    )


def _places(connection: duckdb.DuckDBPyConnection, events: str, issues: Collection[IssueId]) -> dict[int, Place]:
    """Return where events of *issues* are, by their numbers; events in one place share it, for they may be millions."""
    known: dict[Place, Place] = {}
    found: dict[int, Place] = {}
    result = interruptible(connection, lambda: connection.execute(_PLACES.format(events=events), [sorted(issues)]))
    while rows := interruptible(connection, lambda: result.fetchmany(_PAGE)):
        for number, issue, mechanism, value in rows:
            place = (issue, mechanism, value)
            found[number] = known.setdefault(place, place)
    return found


def _filings(
    connection: duckdb.DuckDBPyConnection, events: str, project: ProjectId
) -> dict[IssueId, dict[GroupingKey, Membership]]:
    """Return what `rustrak_core.ports.ExportStore.filings` would say, were the events of a project as they are here."""
    found: dict[IssueId, dict[GroupingKey, Membership]] = defaultdict(dict)
    for issue, mechanism, value, *sums in executed(connection, _FILINGS.format(events=events), [project]):
        found[IssueId(issue)][GroupingKey(mechanism=mechanism, value=value)] = Membership(*map(int, sums))
    return found


def _unlike(theirs: Mapping[IssueId, T], ours: Mapping[IssueId, T]) -> set[IssueId]:
    """Return the issues of which the two say different things."""
    return {issue for issue in {**theirs, **ours} if theirs.get(issue) != ours.get(issue)}
