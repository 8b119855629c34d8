"""A project of a dataset, to be grouped anew: what `rustrak_core.regroup` reads, worked out of what was exported."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Self

from rustrak_core.accepted import EventKind
from rustrak_core.digested import GroupingKey
from rustrak_core.errors import MalformedJsonError, UnknownIssueError
from rustrak_core.event import csp
from rustrak_core.issue import IssueId
from rustrak_core.jsontext import dumps, loads_lenient
from rustrak_core.ports import FiledEvent
from rustrak_core.project import ProjectId
from rustrak_core.regroup import IssueName, Source
from rustrak_storage.duck.dataset import Dataset, unknown_project
from rustrak_storage.duck.errors import DatasetError

_PAGE: Final = 500
_SINCE: Final = 2
"""The version of the schema that has what is needed."""

_ID_DIGITS: Final = 16
_EVENTS: Final = "SELECT number, event_id, issue_id, mechanism, grouping_key, type, payload FROM events"
_KEYS: Final = (
    "SELECT id, key.mechanism, key.value, key.origin_id "
    "FROM (SELECT id, unnest(keys) AS key FROM issues WHERE project_id = $project)"
)


class FiledProject(Source):
    """A project whose events a dataset has.

    Attributes:
        slug: As in ``my-app``.
        rules: Its rules on grouping when it was exported, as TOML.
        event_count: How many events the dataset has of it.
    """

    def __init__(self, dataset: Dataset, number: int, slug: str, rules: str) -> None:
        """Read from *dataset*, which stays the caller's; `find` is how to get one."""
        self._dataset = dataset
        self.id = ProjectId(number)
        self.slug = slug
        self.rules = rules
        self.event_count: int = self._rows("SELECT count(*) FROM events WHERE project_id = $project")[0][0]

    @classmethod
    def find(cls, dataset: Dataset, name: str) -> Self:
        """Return the project that *name* names: its number, else its slug.

        Raises:
            UnknownProjectError: the dataset has no such project; the text says which it has.
            DatasetError: it is of a version that has no keys and rules.
        """
        if dataset.about.version < _SINCE:
            reason = f"{dataset.path} has version {dataset.about.version} of the schema, without keys and rules"
            raise DatasetError(f"{reason}; do `rustrak export {dataset.path}` again, which adds them")
        number = int(name) if name.isascii() and name.isdigit() and len(name) <= _ID_DIGITS else None
        query = "SELECT id, slug, rules FROM projects WHERE id = $id OR slug = $slug ORDER BY slug = $slug"
        found = dataset.sql(query, {"id": number, "slug": name}).rows()
        if not found:
            raise unknown_project(dataset)
        return cls(dataset, *found[0])

    def pages(self, after: int = 0) -> Iterator[Sequence[FiledEvent]]:
        """See `rustrak_core.regroup.Source.pages`; they come as files have them, since sorting would take long."""
        wanted = {"project": self.id, "after": after}
        answer = self._dataset.sql(f"{_EVENTS} WHERE project_id = $project AND number > $after", wanted)
        for rows in answer.pages(_PAGE):
            yield [_event(*row) for row in rows]

    def event(self, number: int) -> FiledEvent | None:
        """See `rustrak_core.regroup.Source.event`."""
        found = self._rows(f"{_EVENTS} WHERE project_id = $project AND number = $number", number=number)
        return _event(*found[0]) if found else None

    def owners(self, keys: Collection[GroupingKey]) -> Mapping[GroupingKey, IssueId]:
        """See `rustrak_core.regroup.Source.owners`."""
        values = sorted({key.value for key in keys})
        found = self._rows(f"{_KEYS} WHERE key.value IN (SELECT unnest($values::VARCHAR[]))", values=values)
        leading = {GroupingKey(mechanism=name, value=value): IssueId(issue) for issue, name, value, _origin in found}
        return {key: leading[key] for key in keys if key in leading}

    def origins(self) -> Mapping[GroupingKey, IssueId]:
        """See `rustrak_core.regroup.Source.origins`."""
        found = self._rows(f"{_KEYS} WHERE key.origin_id IS NOT NULL")
        return {GroupingKey(mechanism=name, value=value): IssueId(origin) for _issue, name, value, origin in found}

    def name(self, issue: IssueId) -> IssueName:
        """See `rustrak_core.regroup.Source.name`."""
        query = "SELECT short_id, type, message FROM issues WHERE project_id = $project AND id = $issue"
        found = self._rows(query, issue=issue)
        if not found:
            raise UnknownIssueError("the dataset has no such issue")
        return IssueName.of(*found[0])

    def _rows(self, query: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return self._dataset.sql(query, {"project": self.id, **parameters}).rows()


def _event(  # noqa: PLR0917 - a row
    number: int, event_id: Any, issue: int, mechanism: str, value: str, title_type: str, payload: str | None
) -> FiledEvent:
    kind, hints, data = _as_sent(title_type, payload)
    return FiledEvent(
        number=number,
        event_id=event_id,
        issue_id=IssueId(issue),
        key=GroupingKey(mechanism=mechanism, value=value),
        kind=kind,
        hints=hints,
        payload=data,
    )


def _as_sent(title_type: str, payload: str | None) -> tuple[EventKind, tuple[tuple[str, str], ...], bytes | None]:
    """Return kind, hints and payload of an event as it came; a dataset has CSP reports in the form of events."""
    data = None if payload is None else payload.encode()
    if data is not None and title_type == csp.TYPE:
        with suppress(MalformedJsonError):
            event = loads_lenient(data)
            if isinstance(event, dict) and (sent := csp.report_of(event)) is not None:
                report, hints = sent
                return EventKind.CSP, tuple(hints.items()), dumps(report)
    return EventKind.EVENT, (), data
