"""What a store must keep of how each project wants its events grouped."""

from datetime import datetime
from typing import Protocol

import attrs

from rustrak_core.page import ListQuery, Page
from rustrak_core.project import ProjectId
from rustrak_core.times import utc


@attrs.frozen(kw_only=True)
class ProjectGrouping:
    """How a project wants its events grouped.

    Attributes:
        rules: Its rules, a TOML document as `rustrak_core.grouping.Rules.from_toml` reads it; ``""`` where it has none.
        used: The grouping mechanisms in the order in which the project came to use them.
        changed_at: When rules were last set, in UTC; None where they never were.
    """

    project_id: ProjectId
    rules: str = ""
    used: tuple[str, ...] = ()
    changed_at: datetime | None = attrs.field(default=None, validator=utc)


class GroupingStore(Protocol):
    """Keeps each project's rules on grouping, and which mechanisms it has used.

    A project of which nothing was noted yet has used the mechanisms in its issues' grouping keys, the oldest first.
    """

    def grouping(self, project_id: ProjectId) -> ProjectGrouping:
        """Return how a project wants its events grouped.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...

    def groupings(self, query: ListQuery) -> Page[ProjectGrouping]:
        """Return how the projects that have rules want their events grouped, deleted ones left out.

        They come by the project's number, which is their keyset.
        """
        ...

    def set_grouping(
        self, project_id: ProjectId, rules: str, *, now: datetime, instead_of: str | None = None
    ) -> ProjectGrouping:
        """Give a project *rules*, and return what it then has; *now* becomes `ProjectGrouping.changed_at`.

        Args:
            project_id: Whose.
            rules: A document that was read before, at most 64 KiB of UTF-8; it is kept to the letter.
            now: The present.
            instead_of: Change nothing unless the project's rules are these, so that nobody's change is lost.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...

    def use_mechanism(self, project_id: ProjectId, mechanism: str) -> ProjectGrouping:
        """Note that events of a project are being filed by *mechanism*, and return what is then known of it.

        The first time appends it to `ProjectGrouping.used`; any other changes nothing, however many note it at once.

        Raises:
            UnknownProjectError: there is no such project, or it was deleted.
        """
        ...

    def grouping_changes(self) -> int:
        """Return how often `set_grouping` changed anything, for any project: a number that costs little to ask for.

        Whoever asks for it before `grouping` knows, as long as it stays the same, that what he got still holds.
        """
        ...
