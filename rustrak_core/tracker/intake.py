"""From what was accepted to what is recorded, within one call."""

from collections.abc import Sequence
from uuid import UUID

import attrs

from rustrak_core.accepted import Accepted
from rustrak_core.digest import digest_all
from rustrak_core.issue import IssueId
from rustrak_core.ports import Intake, IssueStore, Recorded
from rustrak_core.tracker.mechanisms import Digester, GroupedStore


class DirectIntake(Intake):
    """Takes what was accepted by digesting and recording it at once, within the call. Thread-safe as the store is.

    Args:
        store: Where it is recorded.
        digester: Digests as the projects' rules have it; one of its own by default.
    """

    def __init__(self, store: GroupedStore, *, digester: Digester | None = None) -> None:
        self._store = store
        self._digester = digester or Digester(store)

    def accept(self, accepted: Accepted) -> None:
        """Record *accepted*; return once the store has it.

        Raises:
            StoreUnavailableError: the store cannot be reached; nothing was kept.
        """
        record(self._store, self._digester, accepted)


@attrs.frozen(kw_only=True)
class Ingested:
    """What became of an envelope or an event given to a `Tracker`.

    Attributes:
        event_id: The event's id, which finds it again; None where the envelope held no event.
        recorded: What became of each event, in the order of the envelope.
    """

    event_id: UUID | None
    recorded: tuple[Recorded, ...]

    @property
    def issue_id(self) -> IssueId | None:
        """The issue of the first event; None where there is no event, or its project is gone."""
        return self.recorded[0].issue_id if self.recorded else None


def record(store: IssueStore, digester: Digester, *accepted: Accepted) -> Sequence[Recorded]:
    """Digest and record in one transaction what was accepted; return what became of each event, in the order given.

    Bytes that are no event are counted as invalid, and have no place among what is returned.

    Raises:
        StoreUnavailableError: the store cannot be reached; nothing was kept.
    """
    events, invalid = digest_all((event for one in accepted for event in one.events), digesting=digester.digest)
    counts = [*invalid, *(count for one in accepted for count in one.counts)]
    return store.record(events, counts=counts) if events or counts else ()
