"""The keys of projects, remembered for a few seconds: what `create_app` uses where its host gives no ring."""

import threading
import time
from collections.abc import Callable

import attrs

from rustrak_core.errors import StoreUnavailableError, UnknownProjectError
from rustrak_core.ports import KeyRing, ProjectStore
from rustrak_core.project import ProjectId

KNOWN_S = 5.0
REFUSED_S = 1.0
_REMEMBERED_MAX = 10_000


@attrs.frozen(kw_only=True)
class _Known:
    key: str | None  # None: there is no such project
    until: float


class StoreKeyRing(KeyRing):
    """Asks the store for a key every five seconds at most, and goes on with what it knows while the store is away.

    A project that is not known is looked up once for many that ask at the same time, and a refusal is remembered for a
    second. Thread-safe. Other processes notice a deletion within five seconds.
    """

    def __init__(self, store: ProjectStore, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[ProjectId, _Known] = {}

    def key_of(self, project_id: ProjectId) -> str:
        """Return a project's key as 32 hex digits.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
            StoreUnavailableError: it is not known here, and the store cannot be asked.
        """
        known = self._known.get(project_id)
        if known is None or known.until <= self._monotonic():
            known = self._look_up(project_id)
        if known.key is None:
            raise UnknownProjectError("no such project; take the DSN that the project shows now")
        return known.key

    def known_key_of(self, project_id: ProjectId) -> str | None:
        """Return a project's key if it is known well enough not to ask, else None."""
        known = self._known.get(project_id)
        return known.key if known is not None and known.until > self._monotonic() else None

    def changed(self) -> None:
        """Forget what is known: a project was created or deleted here."""
        with self._lock:
            self._known.clear()

    def _look_up(self, project_id: ProjectId) -> _Known:
        with self._lock:
            known = self._known.get(project_id)
            if known is not None and known.until > self._monotonic():
                return known
            try:
                key: str | None = self._store.project(project_id).sentry_key.replace("-", "")
            except UnknownProjectError:
                key = None
            except StoreUnavailableError:
                if known is None or known.key is None:
                    raise
                key = known.key
            if len(self._known) >= _REMEMBERED_MAX:
                self._known.clear()
            until = self._monotonic() + (REFUSED_S if key is None else KNOWN_S)
            fresh = self._known[project_id] = _Known(key=key, until=until)
            return fresh
