"""What a dataset has otherwise than its store: events that moved, that are gone, and that came late."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import duckdb

from rustrak_core.issue import IssueId
from rustrak_core.ports import MEMBERSHIP_PRIME, Member, Membership, Selection, Store

_MEMBERSHIPS = (
    "SELECT issue_id, count(*), sum(number), sum((number % {p}) * (number % {p}) % {p}) FROM ({numbers}) GROUP BY ALL"
)


@attrs.frozen
class Differences:
    """What differs.

    Attributes:
        moved: Numbers of events that are in another issue, with that issue and their key.
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
    connection: duckdb.DuckDBPyConnection, numbers: str, store: Store, selection: Selection, *, upto: int
) -> Differences:
    """Return what differs between the events that *numbers* (a query for number and issue_id) has, and the store.

    Issues of the same `Membership` are not looked into, so that it costs little where nothing changed.
    """
    theirs = store.memberships(selection, upto=upto)
    sums = connection.execute(_MEMBERSHIPS.format(numbers=numbers, p=MEMBERSHIP_PRIME)).fetchall()
    ours = {IssueId(issue): Membership(int(events), int(total), int(squares)) for issue, events, total, squares in sums}
    suspects = [issue for issue in {**theirs, **ours} if theirs.get(issue) != ours.get(issue)]
    if not suspects:
        return Differences({}, set(), set())
    wanted = "SELECT number, issue_id FROM ({numbers}) WHERE issue_id IN (SELECT unnest(?::BIGINT[]))"
    here = dict(connection.execute(wanted.format(numbers=numbers), [suspects]).fetchall())
    there = {
        member.number: (issue, member)
        for issue in suspects
        if issue in theirs
        for member in store.members(issue, selection, upto=upto)
    }
    return Differences(
        moved={n: place for n, place in there.items() if n in here and here[n] != place[0]},
        gone=here.keys() - there.keys(),
        missing=there.keys() - here.keys(),
    )
