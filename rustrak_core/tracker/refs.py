"""How a caller may name a project, an issue, an event and an order of issues."""

import re
from uuid import UUID

from rustrak_core.errors import InvalidInputError, UnknownEventError, UnknownProjectError
from rustrak_core.event_id import parse_event_id
from rustrak_core.issue import Issue, IssueId, ShortId, issue_ref
from rustrak_core.page import IssueSort
from rustrak_core.project import SLUG_MAX, Project

_SLUG = re.compile(f"[a-z0-9-]{{1,{SLUG_MAX}}}", re.ASCII)

ProjectRef = Project | int | str
"""A project: itself, its number, or its slug."""

IssueRef = Issue | int | str
"""An issue: itself, its number, or its short id as in ``MY-APP-1``."""


def project_slug(text: str) -> str:
    """Return *text* if it can be a project's slug; in lower case, as slugs are.

    Raises:
        UnknownProjectError: it cannot, so that no project has it.
    """
    slug = text.lower()
    if not _SLUG.fullmatch(slug):
        raise UnknownProjectError("no such project; give its number or its slug, as in my-app")
    return slug


def event_uuid(text: UUID | str) -> UUID:
    """Return an event id, given with or without hyphens, in any case.

    Raises:
        UnknownEventError: it can be no event's id.
    """
    if isinstance(text, UUID):
        return text
    try:
        found = parse_event_id(text)
    except InvalidInputError:
        found = None
    if found is None:
        raise UnknownEventError("no such event; give its id of 32 hex digits, with or without hyphens")
    return found


def issue_key(issue: IssueRef) -> IssueId | ShortId:
    """Return the number or the short id of an issue, as stores take them.

    Raises:
        UnknownIssueError: the text can be neither.
    """
    if isinstance(issue, Issue):
        return issue.id
    return issue_ref(issue) if isinstance(issue, str) else IssueId(issue)


def issue_sort(sort: str) -> IssueSort:
    """Return the order that *sort* names.

    Raises:
        InvalidInputError: it names none.
    """
    try:
        return IssueSort(sort)
    except ValueError:
        raise InvalidInputError("sort", "must be last_seen, first_seen or event_count") from None
