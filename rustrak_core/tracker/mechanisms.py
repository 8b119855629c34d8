"""Which mechanisms of old still matter: those by which issues were opened that live."""

from datetime import datetime, timedelta

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.digested import Digested
from rustrak_core.grouping import former_mechanisms
from rustrak_core.ports import IssueStore
from rustrak_core.project import ProjectId

_FRESH = timedelta(minutes=1)
_FRESH_WITHOUT = timedelta(minutes=10)
"""A project without issues of old gets none, unless an older version records beside this one."""

_PROJECTS_MAX = 10_000


class Digester:
    """Digests events so that those of errors that are known come to their issue, whichever mechanism opened it.

    It asks the store which mechanisms those are, for each project once a minute, or in ten where there are none. Its
    clock are events' own times of receipt. Thread-safe as the store is.
    """

    def __init__(self, store: IssueStore) -> None:
        self._store = store
        self._known: dict[ProjectId, tuple[datetime, tuple[str, ...]]] = {}

    def digest(self, event: AcceptedEvent) -> Digested:
        """Return what is to be recorded of *event*.

        Raises:
            MalformedEventError: it is none; see `rustrak_core.digest.digest`.
            StoreUnavailableError: the store cannot be asked.
        """
        return digest(event, former=self._former(event.project_id, event.received_at))

    def _former(self, project_id: ProjectId, at: datetime) -> tuple[str, ...]:
        known = self._known.get(project_id)
        if known is None or abs(at - known[0]) > (_FRESH if known[1] else _FRESH_WITHOUT):
            if len(self._known) >= _PROJECTS_MAX:
                self._known.clear()
            known = at, former_mechanisms(self._store.mechanisms(project_id))
            self._known[project_id] = known
        return known[1]
