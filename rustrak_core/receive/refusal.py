"""Requests that were refused are accounted for too."""

from datetime import datetime

from rustrak_core.accepted import Accepted, Count, Outcome, sum_counts
from rustrak_core.errors import (
    BrokenEncodingError,
    MalformedEnvelopeError,
    MalformedEventError,
    MalformedJsonError,
    RustrakError,
    TooLargeError,
    UnsupportedContentTypeError,
    UnsupportedEncodingError,
)
from rustrak_core.project import ProjectId

_INVALID = (
    BrokenEncodingError,
    MalformedEnvelopeError,
    MalformedEventError,
    MalformedJsonError,
    UnsupportedContentTypeError,
    UnsupportedEncodingError,
)


def refused(error: RustrakError, *, project_id: ProjectId, received_at: datetime) -> Accepted | None:
    """Return the count of a request refused with *error*, as one event lost, or None where it says nothing of events.

    Only for requests whose credentials were good; others have no project to be counted for.
    """
    if isinstance(error, TooLargeError):
        outcome = Outcome.TOO_LARGE
    elif isinstance(error, _INVALID):
        outcome = Outcome.INVALID
    else:
        return None
    count = Count(project_id=project_id, day=received_at.date(), category="error", outcome=outcome)
    return Accepted(counts=(count,))


def shed(accepted: Accepted, *, reason: str) -> Accepted:
    """Return *accepted* with its events as counts, since there was no room for them: SDKs leave counting these to us.

    Args:
        accepted: What one request brought.
        reason: A word for what was short, as in ``spool_full``.
    """
    rows = (
        Count(
            project_id=event.project_id,
            day=event.received_at.date(),
            category="error",
            outcome=Outcome.SHED,
            reason=reason,
        )
        for event in accepted.events
    )
    return Accepted(counts=tuple(sum_counts([*rows, *accepted.counts])))
