"""Bodies of ``/security/``: what browsers report on their own, of which CSP violations become events.

Two forms: ``{"csp-report": {...}}``, one a request (CSP level 2, ``report-uri``), and a list of
``{"type": "csp-violation", "body": {...}}`` (Reporting API, ``report-to``).
"""

from collections.abc import Sequence
from typing import Any, Final

from rustrak_core.accepted import Accepted, AcceptedEvent, EventKind, Outcome
from rustrak_core.errors import MalformedEventError, MalformedJsonError, TooLargeError
from rustrak_core.jsontext import dumps, loads
from rustrak_core.receive.context import Context, Received, Tally

REPORTS_MAX: Final = 100
_CSP_TYPE = "csp-violation"
_OTHER_KEYS = frozenset({"expect-ct-report", "expect-staple-report", "known-pins", "noted-hostname"})


def receive_security(body: bytes, context: Context) -> Received:
    """Receive a browser's reports: each CSP violation is an event, other known kinds are counted.

    Args:
        body: The body, its Content-Encoding undone.
        context: Of its limits, *event_bytes* holds for the whole body.

    Returns:
        What was accepted, without an event id, since nobody waits for one.

    Raises:
        MalformedEventError: the body is no report, nor a list of reports.
        TooLargeError: it is over its limit, or holds more than 100 reports.
    """
    if len(body) > context.limits.event_bytes:
        raise TooLargeError("the report", limit=context.limits.event_bytes)
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
