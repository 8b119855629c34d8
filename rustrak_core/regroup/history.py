"""Where a project's events are, and by which keys they would be filed now."""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import attrs

from rustrak_core import grouping
from rustrak_core.digest import read_payload
from rustrak_core.digested import GroupingKey
from rustrak_core.grouping import Rules, Subject
from rustrak_core.issue import IssueId
from rustrak_core.ports import FiledEvent, Place


def rekey(kind: str, hints: Iterable[tuple[str, str]], payload: bytes | None, rules: Rules) -> GroupingKey | None:
    """Return the key that *rules* give an event, None where its payload was shed or cannot be read."""
    read = None if payload is None else read_payload(payload, kind, hints)
    return None if read is None else grouping.keys(Subject.of(read, kind), rules)[0]


@attrs.define(kw_only=True, slots=True)
class Flow:
    """Events of one issue that are filed by one key, and get one key now.

    Attributes:
        key: The one that they get now; None where that cannot be told.
        events: How many they are.
        first: The lowest of their numbers.
    """

    issue_id: IssueId
    filed: GroupingKey
    key: GroupingKey | None
    events: int = 0
    first: int

    @property
    def place(self) -> Place:
        """Where they are."""
        return Place(self.issue_id, self.filed)


class History:
    """All events of a project by their numbers, and their flows: 12 bytes an event, some 700 a flow."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._flow_of = array("I")
        self._known: dict[tuple[int, GroupingKey, GroupingKey | None], int] = {}
        self._keys: dict[GroupingKey, GroupingKey] = {}
        self.flows: list[Flow] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, event: FiledEvent, key: GroupingKey | None) -> None:
        """Take *event* into account, which gets *key* now; events may come in any order."""
        identity = event.issue_id, event.key, key
        index = self._known.get(identity)
        if index is None:
            filed = self._keys.setdefault(event.key, event.key)
            new = None if key is None else self._keys.setdefault(key, key)
            index = self._known[event.issue_id, filed, new] = len(self.flows)
            self.flows.append(Flow(issue_id=event.issue_id, filed=filed, key=new, first=event.number))
        flow = self.flows[index]
        flow.events += 1
        flow.first = min(flow.first, event.number)
        self._numbers.append(event.number)
        self._flow_of.append(index)

    @property
    def last(self) -> int:
        """The highest number, 0 where there is no event."""
        return max(self._numbers, default=0)

    def indexes(self) -> Iterator[tuple[int, int]]:
        """Yield the number of each event with the index of its flow, in the order in which they were added."""
        return zip(self._numbers, self._flow_of, strict=True)

    def keys(self) -> Sequence[GroupingKey]:
        """Return the keys that events get now, each once, in the order in which they were met."""
        return list(dict.fromkeys(flow.key for flow in self.flows if flow.key is not None))

    def settle(self) -> None:
        """Have flows stand by their first events, and events whose key cannot be told go with the others of their key.

        They do where these all go together: a payload is shed where it would repeat another, so that events filed by
        one key were much the same.
        """
        self._sort()
        known: dict[Place, set[GroupingKey]] = defaultdict(set)
        for flow in self.flows:
            if flow.key is not None:
                known[flow.place].add(flow.key)
        for flow in self.flows:
            if flow.key is None and len(known[flow.place]) == 1:
                (flow.key,) = known[flow.place]

    def _sort(self) -> None:
        order = sorted(range(len(self.flows)), key=lambda index: self.flows[index].first)
        if order == list(range(len(order))):
            return
        moved = {index: place for place, index in enumerate(order)}
        self.flows = [self.flows[index] for index in order]
        self._known = {identity: moved[index] for identity, index in self._known.items()}
        self._flow_of = array("I", (moved[index] for index in self._flow_of))
