"""What the processes of ``rustrak serve`` are forked with, so that they share its memory instead of each making it.

A page that a process writes to is its own from then on, and Python writes to all that it so much as looks at. So what
each would do alike at its start (ask the schema's version, set up SQLAlchemy, make the application) is done once,
before the fork.
"""

from typing import Any

import attrs

from rustrak_core.ports import ForkableStore, Store
from rustrak_core.receive import Limits
from rustrak_core.tracker import KnownRules
from rustrak_http.app import create_app
from rustrak_http.cli.options import Place, open_configured_store
from rustrak_http.cli.roles import ServerRole, digests_in_thread
from rustrak_http.resources.health import WorkerProbe


class Later:
    """Stands for an object that each process makes for itself after the fork: passes on all that is asked of it."""

    _thing: Any = None

    def settle(self, thing: object) -> None:
        """Say what it stands for, in this process."""
        self._thing = thing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._thing, name)


class SharedStore:
    """A store to be used after a fork.

    Attributes:
        store: To be built upon before the fork, and used after it, by who has called `opened`.
    """

    def __init__(self, place: Place, store: Store) -> None:
        """Let go of the connections of *store*, that of *place*, having asked it once what each process will ask."""
        KnownRules(store).refresh()
        self._place = place
        self._later: Later | None = None
        if isinstance(store, ForkableStore) and not digests_in_thread(place.database_url):
            store.disconnect()
            self.store: Any = store
        else:
            store.close()
            self.store = self._later = Later()

    def opened(self) -> Store:
        """Return the store, for this process, which closes it.

        Raises:
            RustrakError: it is of a kind that each process opens for itself, and that failed.
        """
        if self._later is not None:
            self._later.settle(open_configured_store(self._place))
        store: Store = self.store
        return store


@attrs.frozen(kw_only=True)
class SharedApp:
    """The application of all HTTP processes, and what each of them has to settle before serving."""

    app: Any
    spool: Later
    keys: Later
    quotas: Later

    @classmethod
    def made(
        cls,
        store: Any,
        *,
        role: ServerRole,
        public_url: str | None,
        limits: Limits,
        worker_alive: WorkerProbe | None,
    ) -> "SharedApp":
        """Make it upon a store, to be used after the fork."""
        spool, keys, quotas = Later(), Later(), Later()
        app = create_app(
            store,
            spool=spool,
            keys=keys,
            public_url=public_url,
            quotas=quotas,
            limits=limits,
            worker_alive=worker_alive,
            role=role,
        )
        return cls(app=app, spool=spool, keys=keys, quotas=quotas)
