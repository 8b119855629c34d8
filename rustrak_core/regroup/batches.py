"""A plan in pieces that a store can take while others record."""

from collections.abc import Iterator, Mapping
from itertools import islice

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import Place, Refiling
from rustrak_core.regroup.history import History
from rustrak_core.regroup.plan import Plan


def key_batches(plan: Plan, size: int) -> Iterator[Refiling]:
    """Yield what attaches keys, before events move: then new events go where old ones will be."""
    learned = iter(plan.learned.items())
    while some := dict(islice(learned, size)):
        yield Refiling(targets=some)


def drop_batches(dropped: Mapping[GroupingKey, IssueId], size: int) -> Iterator[Refiling]:
    """Yield what detaches keys, once nobody files by them any more; see `Plan.dropped`."""
    rest = iter(dropped.items())
    while some := dict(islice(rest, size)):
        yield Refiling(dropped=some)


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
