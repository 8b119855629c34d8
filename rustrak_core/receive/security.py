"""Bodies of ``/security/``: what browsers report on their own, of which CSP violations become events.

Two forms: ``{"csp-report": {...}}``, one a request (CSP level 2, ``report-uri``), and a list of
``{"type": "csp-violation", "body": {...}}`` (Reporting API, ``report-to``).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from rustrak_core.accepted import Accepted, AcceptedEvent, EventKind, Outcome
from rustrak_core.errors import MalformedEventError, MalformedJsonError, TooLargeError
from rustrak_core.jsontext import dumps, loads
from rustrak_core.project import ProjectId
from rustrak_core.receive.context import Context, Limits, Received, Tally

REPORTS_MAX: Final = 100
_CSP_TYPE = "csp-violation"
_OTHER_KEYS = frozenset({"expect-ct-report", "expect-staple-report", "known-pins", "noted-hostname"})


def receive_security(
    body: bytes,
    *,
    project_id: ProjectId,
    received_at: datetime,
    limits: Limits,
    new_id: Callable[[], UUID],
    remote_addr: str | None = None,
    sdk_client: str | None = None,
    hints: Sequence[tuple[str, str]] = (),
) -> Received:
    """Receive a browser's reports: each CSP violation is an event, other known kinds are counted.

    Args:
        body: The body, its Content-Encoding undone.
        project_id: The project in the path.
        received_at: When the request arrived, in UTC.
        limits: *event_bytes* holds for the whole body.
        new_id: Makes the events' ids.
        remote_addr: The connection's address.
        sdk_client: ``sentry_client`` of the credentials.
        hints: ``release`` and ``environment``, where the query names them.

    Returns:
        What was accepted, without an event id, since nobody waits for one.

    Raises:
        MalformedEventError: the body is no report, nor a list of reports.
        TooLargeError: it is over its limit, or holds more than 100 reports.
    """
    if len(body) > limits.event_bytes:
        raise TooLargeError("the report", limit=limits.event_bytes)
    context = Context(
        project_id=project_id,
        received_at=received_at,
        limits=limits,
        new_id=new_id,
        remote_addr=remote_addr,
        sdk_client=sdk_client,
        hints=tuple(hints),
    )
    try:
        value = loads(body)
    except MalformedJsonError as error:
        raise MalformedEventError(f"the report cannot be read: {error}") from None
    tally = Tally()
    events = _from_list(context, tally, value) if isinstance(value, list) else _from_one(context, tally, value, body)
    return Received(accepted=Accepted(events=events, counts=tally.counts(context)))


def _from_list(context: Context, tally: Tally, reports: list[Any]) -> Sequence[AcceptedEvent]:
    if len(reports) > REPORTS_MAX:
        raise TooLargeError("the list of reports", limit=REPORTS_MAX, unit="reports")
    if not all(isinstance(report, dict) for report in reports):
        raise MalformedEventError("the list of reports holds what is no JSON object")
    events = []
    for report in reports:
        if _is_violation(report):
            events.append(context.event(context.new_id(), dumps(report), kind=EventKind.CSP))
        else:
            broken = report.get("type") == _CSP_TYPE
            tally.add("security", Outcome.INVALID if broken else Outcome.DISCARDED)
    return tuple(events)


def _from_one(context: Context, tally: Tally, report: Any, body: bytes) -> Sequence[AcceptedEvent]:
    if isinstance(report, dict):
        if isinstance(report.get("csp-report"), dict) or _is_violation(report):
            return (context.event(context.new_id(), body, kind=EventKind.CSP),)
        if not _OTHER_KEYS.isdisjoint(report):
            tally.add("security", Outcome.DISCARDED)
            return ()
    raise MalformedEventError('the body is no report: it must be {"csp-report": {...}} or a list of reports')


def _is_violation(report: dict[str, Any]) -> bool:
    return report.get("type") == _CSP_TYPE and isinstance(report.get("body"), dict)
