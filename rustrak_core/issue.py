"""Issues: the events that are one bug, their states, and how they are asked for."""

import enum
import re
from datetime import datetime
from typing import NewType

import attrs

from rustrak_core.errors import InvalidInputError, UnknownIssueError
from rustrak_core.project import ProjectId
from rustrak_core.times import utc

IssueId = NewType("IssueId", int)
ShortId = NewType("ShortId", str)

_SHORT_ID = re.compile(r"[A-Z0-9]+(?:-[A-Z0-9]+)*-[1-9][0-9]{0,17}")
_MAX_ID = 2**53

MERGED_MAX = 100
"""How many merged issues an issue names, and how many one call merges."""


class IssueState(enum.StrEnum):
    """What was decided about an issue."""

    OPEN = "open"
    RESOLVED = "resolved"
    MUTED = "muted"


@attrs.frozen(kw_only=True)
class MergedIssue:
    """An issue that was merged into another one, which answers for it."""

    id: IssueId
    short_id: ShortId
    merged_at: datetime = attrs.field(validator=utc)


@attrs.frozen(kw_only=True)
class Issue:
    """The events of one project that are one bug, found by any of its grouping keys.

    Attributes:
        short_id: The upper-cased slug and a number, as in ``MY-APP-1``; never used again.
        type: Of the latest event: the exception's type, else ``Message`` or ``CSP``; never empty.
        message: Of the latest event; ``""`` where it has none.
        level: Of the latest event.
        event_count: Events digested so far.
        user_count: Distinct users (id, else email, username, IP address), not events.
        first_seen: Event time of the earliest event.
        last_seen: Event time of the latest event, at or after *first_seen*, however late events arrive.
        first_release, last_release: Of the earliest and the latest event that names a release, or None.
        resolved_at: None unless the state is resolved.
        regressed_at: When an event last reopened it, with that event's release in *regressed_in*.
        merged: The issues that were merged into it, or into one of these, the last one first; at most `MERGED_MAX`.
    """

    id: IssueId
    project_id: ProjectId
    short_id: ShortId
    type: str
    message: str
    state: IssueState
    level: str
    platform: str
    culprit: str
    event_count: int
    user_count: int
    first_seen: datetime = attrs.field(validator=utc)
    last_seen: datetime = attrs.field(validator=utc)
    first_release: str | None = None
    last_release: str | None = None
    resolved_at: datetime | None = attrs.field(default=None, validator=utc)
    regressed_at: datetime | None = attrs.field(default=None, validator=utc)
    regressed_in: str | None = None
    merged: tuple[MergedIssue, ...] = ()


def issue_state(text: str) -> IssueState:
    """Return the state that *text* names.

    Raises:
        InvalidInputError: it names none.
    """
    try:
        return IssueState(text)
    except ValueError:
        raise InvalidInputError("state", "must be open, resolved or muted") from None


def issue_ref(text: str) -> IssueId | ShortId:
    """Return what a path's text refers to: a number, or a short id in any case.

    Raises:
        UnknownIssueError: it can be neither, so that no such issue exists.
    """
    if text.isascii() and text.isdigit() and len(text) <= 16 and 0 < int(text) < _MAX_ID:
        return IssueId(int(text))
    if len(text) <= 80 and _SHORT_ID.fullmatch(text.upper()):
        return ShortId(text.upper())
    raise UnknownIssueError("no such issue; give its number or its short id, as in MY-APP-1")


def reopens(state: IssueState, resolved_at: datetime | None, received_at: datetime) -> bool:
    """Tell whether an event received at *received_at* reopens an issue: it was resolved, and before that moment.

    A muted issue stays muted, and a backlog received before the issue was resolved is no regression (API.md, Issues).
    """
    return state is IssueState.RESOLVED and resolved_at is not None and received_at > resolved_at
