"""The rules of all projects as they were last known, for whoever digests but must not wait for the store."""

from contextlib import suppress

import attrs

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.digested import Digested
from rustrak_core.errors import StoreUnavailableError
from rustrak_core.grouping import settings_of
from rustrak_core.page import LIMIT_MAX, ListQuery, walk
from rustrak_core.ports import GroupingStore
from rustrak_core.project import ProjectId


class KnownRules:
    """Digests by what `refresh` learned last. Thread-safe.

    Whoever accepts events uses it to tell which of them repeat one that was kept: that must go on while the store is
    away, and cannot wait for it. Who records them uses `rustrak_core.tracker.mechanisms.Digester`.
    """

    def __init__(self, store: GroupingStore) -> None:
        self._store = store
        self._texts: dict[ProjectId, str] = {}
        self._changes: int | None = None

    def refresh(self) -> None:
        """Ask whether any project's rules have changed, and for all where they have; call it each second or so.

        While the store is away, what is known stays.
        """
        with suppress(StoreUnavailableError):
            changes = self._store.grouping_changes()
            if changes != self._changes:
                query = ListQuery(limit=LIMIT_MAX)
                found = walk(lambda after: self._store.groupings(attrs.evolve(query, after=after)))
                self._texts = {grouping.project_id: grouping.rules for grouping in found}
                self._changes = changes

    def digest(self, event: AcceptedEvent) -> Digested:
        """Return what is to be recorded of *event*; see `rustrak_core.digest.digest`.

        Raises:
            MalformedEventError: it is none.
        """
        text = self._texts.get(event.project_id)
        return digest(event, rules=settings_of(text).rules if text else None)
