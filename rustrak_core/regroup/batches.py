"""A plan in pieces that a store can take while others record."""

from collections.abc import Iterator
from itertools import islice

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import Place, Refiling
from rustrak_core.regroup.history import History
from rustrak_core.regroup.plan import Plan


def key_batches(plan: Plan, size: int) -> Iterator[Refiling]:
    """Yield what attaches and detaches keys, before events move: then new events go where old ones will be."""
    learned, dropped = iter(plan.learned.items()), iter(plan.dropped.items())
    while True:
        some, fewer = dict(islice(learned, size)), dict(islice(dropped, size))
        if not some and not fewer:
            return
        yield Refiling(targets=some, dropped=fewer)


def move_batches(history: History, plan: Plan, size: int) -> Iterator[Refiling]:
    """Yield what moves events, at most *size* at once."""
    moves: dict[int, tuple[Place, GroupingKey]] = {}
    heirs: dict[IssueId, GroupingKey] = {}
    changes = [plan.changes(flow) for flow in history.flows]
    places = [flow.place for flow in history.flows]
    for number, index in history.indexes():
        if not changes[index]:
            continue
        flow = history.flows[index]
        assert flow.key is not None  # noqa: S101 - for the type checker: what changes has a key
        moves[number] = places[index], flow.key
        if flow.issue_id in plan.heirs:
            heirs[flow.issue_id] = plan.heirs[flow.issue_id]
        if len(moves) == size:
            yield Refiling(moves=moves, heirs=heirs)
            moves, heirs = {}, {}
    if moves:
        yield Refiling(moves=moves, heirs=heirs)
