"""Where a project's events are read, to tell by which keys they would be filed now."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.ports import FiledEvent, Store
from rustrak_core.project import ProjectId

_PAGE: Final = 500


class IssueName(NamedTuple):
    """How an issue is named: by its short id, and the first line of its title."""

    short_id: str
    title: str

    @classmethod
    def of(cls, short_id: str, kind: str, message: str) -> "IssueName":
        """Return the name of an issue with such a type and message."""
        line = message.strip().partition("\n")[0]
        return cls(short_id, f"{kind}: {line}" if line else kind)


class Source(Protocol):
    """A project's events and keys: those of a store, or of a dataset that was made of one."""

    def pages(self, after: int = 0) -> Iterator[Sequence[FiledEvent]]:
        """Yield all events of live issues with numbers above *after*, in any order."""
        ...

    def event(self, number: int) -> FiledEvent | None:
        """Return the event with that number; None where there is none."""
        ...

    def owners(self, keys: Collection[GroupingKey]) -> Mapping[GroupingKey, IssueId]:
        """Return to which live issue each of *keys* leads; keys that lead to none are left out."""
        ...

    def origins(self) -> Mapping[GroupingKey, IssueId]:
        """Return the keys of issues that were merged into others, each with the issue that was merged."""
        ...

    def name(self, issue: IssueId) -> IssueName:
        """Return how an issue is named.

        Raises:
            UnknownIssueError: there is none, or it was deleted.
        """
        ...


class StoreSource(Source):
    """A project of a store."""

    def __init__(self, store: Store, project_id: ProjectId) -> None:
        """Read from *store*, which stays the caller's."""
        self._store = store
        self._project_id = project_id

    def pages(self, after: int = 0) -> Iterator[Sequence[FiledEvent]]:
        """See `Source.pages`.

        Raises:
            UnknownProjectError: there is no such project.
        """
        while page := self._store.scan(self._project_id, after=after, limit=_PAGE):
            yield page
            after = page[-1].number

    def event(self, number: int) -> FiledEvent | None:
        """See `Source.event`."""
        page = self._store.scan(self._project_id, after=number - 1, limit=1)
        return page[0] if page and page[0].number == number else None

    def owners(self, keys: Collection[GroupingKey]) -> Mapping[GroupingKey, IssueId]:
        """See `Source.owners`."""
        return self._store.owners(self._project_id, keys)

    def origins(self) -> Mapping[GroupingKey, IssueId]:
        """See `Source.origins`."""
        return self._store.origins(self._project_id)

    def name(self, issue: IssueId) -> IssueName:
        """See `Source.name`."""
        found = self._store.issue(issue)
        return IssueName.of(found.short_id, found.type, found.message)
