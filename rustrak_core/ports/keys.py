"""What a ring of keys must do."""

from typing import Protocol

from rustrak_core.project import ProjectId


class KeyRing(Protocol):
    """Knows the keys of projects without asking the store each time."""

    def key_of(self, project_id: ProjectId) -> str:
        """Return a project's key as 32 hex digits.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
            StoreUnavailableError: it is not known here, and the store cannot be asked.
        """
        ...

    def known_key_of(self, project_id: ProjectId) -> str | None:
        """Return a project's key if that can be said at once, without asking anybody, else None; raises nothing."""
        ...

    def changed(self) -> None:
        """Forget what is known, in every process that shares the data directory: a project was created or deleted."""
        ...
