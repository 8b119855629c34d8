"""What the parts of the store in memory share."""

import threading
from collections.abc import Iterable

from rustrak_core.errors import StoreUnavailableError, UnknownProjectError
from rustrak_core.page import Keyset, ListQuery
from rustrak_storage.batch import KeyId, ProjectRow
from rustrak_storage.filing import IssueRow
from rustrak_storage.forks import hold_while_forking


class MemoryPart:
    """A part of the store, which has its lock, its projects and their grouping keys."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        hold_while_forking(self, "_lock")
        self._closed = False
        self._projects: dict[int, ProjectRow] = {}
        self._keys: dict[KeyId, IssueRow] = {}

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError("the store is closed")

    def _live(self, project_id: int) -> ProjectRow:
        self._check_open()
        row = self._projects.get(project_id)
        if row is None or row.deleted_at is not None:
            raise UnknownProjectError("no such project")
        return row

    def _mechanisms(self, project_id: int) -> set[str]:
        return {mechanism for project, _value, mechanism in self._keys if project == project_id}


def by_id(numbers: Iterable[int], query: ListQuery) -> tuple[list[int], Keyset | None]:
    """Return those of *numbers*, ascending, that a page has, and where the next one begins."""
    behind = query.after.values[0] if query.after is not None else 0
    rest = [number for number in numbers if number > behind]
    chosen = rest[: query.limit]
    return chosen, Keyset(values=(chosen[-1],)) if len(rest) > query.limit else None
