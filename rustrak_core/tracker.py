"""The front door for embedding: errors in, issues out, without a server."""

from rustrak_core.accepted import Accepted
from rustrak_core.digest import digest
from rustrak_core.ports import Intake, IssueStore


class DirectIntake(Intake):
    """Takes what was accepted by digesting and recording it at once, within the call. Thread-safe as the store is."""

    def __init__(self, store: IssueStore) -> None:
        self._store = store

    def accept(self, accepted: Accepted) -> None:
        """Record *accepted*; return once the store has it.

        Raises:
            StoreUnavailableError: the store cannot be reached; nothing was kept.
        """
        if accepted.events or accepted.counts:
            self._store.record([digest(event) for event in accepted.events], counts=accepted.counts)
