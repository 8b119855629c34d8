"""Events as the API shows them."""

from typing import Any

from rustrak_core import grouping
from rustrak_core.accepted import EventKind
from rustrak_core.digested import EventSummary, StoredEvent, User
from rustrak_core.errors import MalformedJsonError
from rustrak_core.event.csp import event_from_report
from rustrak_core.event.form import one_form
from rustrak_core.event.moments import FUTURE_TOLERANCE, moment
from rustrak_core.event.problems import FUTURE_TIMESTAMP, Problems
from rustrak_core.event.release import environment, release
from rustrak_core.jsontext import clean, loads_lenient
from rustrak_core.times import to_rfc3339


def summary_to_json(row: EventSummary) -> dict[str, Any]:
    """Return an event as a row of its issue's list shows it."""
    return {
        "id": str(row.id),
        "issue_id": row.issue_id,
        "project_id": row.project_id,
        "timestamp": to_rfc3339(row.timestamp),
        "received_at": to_rfc3339(row.received_at),
        "environment": row.environment,
        "release": row.release,
        "user": user_to_json(row.user),
    }


def user_to_json(user: User | None) -> dict[str, str | None] | None:
    """Return a user as rows show it: each part a string or null."""
    if user is None:
        return None
    return {"id": user.id, "email": user.email, "username": user.username, "ip_address": user.ip_address}


def event_to_json(stored: StoredEvent, rules: grouping.Rules | None = None) -> dict[str, Any]:
    """Return an event whole: its payload in one form (`rustrak_core.event.one_form`), and what we know of it beside.

    The result is JSON as it stands (`rustrak_core.jsontext.clean`). What could not be read, or not be shown as it was
    sent, is listed in ``errors``. Where the payload was shed, ``payload`` is null and the columns are all there is.
    *rules* are the project's, as they are now, for ``grouping``.
    """
    problems = Problems()
    payload = None if stored.payload is None else _read(stored, stored.payload, problems)
    shown = _columns(stored) if payload is None else _payload(stored, payload, problems)
    own = {
        "id": str(stored.summary.id),
        "event_id": stored.summary.id.hex,
        "issue_id": stored.summary.issue_id,
        "project_id": stored.summary.project_id,
        "received_at": to_rfc3339(stored.summary.received_at),
    }
    cleaned: dict[str, Any]
    cleaned, changes = clean({**own, **shown, **own})
    for change in changes:
        problems.add(change.path, change.reason)
    cleaned["grouping"] = _explain(stored, payload, rules).to_json()
    cleaned["errors"] = [*_sent_errors(cleaned, problems), *problems.entries]
    if stored.payload is None:
        cleaned["payload"] = None
    return cleaned


def explain_event(stored: StoredEvent, rules: grouping.Rules | None = None) -> grouping.Explanation:
    """Return why an event is in its issue; *rules* are its project's, as they are now."""
    return _explain(stored, None if stored.payload is None else _read(stored, stored.payload, Problems()), rules)


def _explain(stored: StoredEvent, payload: dict[str, Any] | None, rules: grouping.Rules | None) -> grouping.Explanation:
    if stored.payload is None:
        return grouping.Explanation(key=stored.key, summary="The payload was shed, and the reasons with it.")
    return grouping.explain(payload or {}, stored.key, kind=stored.kind, rules=rules)


def _read(stored: StoredEvent, payload: bytes, problems: Problems) -> dict[str, Any] | None:
    try:
        value = loads_lenient(payload)
    except MalformedJsonError as e:
        problems.add("", str(e), payload[:100].decode(errors="replace"))
        return None
    if not isinstance(value, dict):
        problems.add("", "the payload is not an object", value)
        return None
    return event_from_report(value, dict(stored.hints)) if stored.kind == EventKind.CSP else value


def _columns(stored: StoredEvent) -> dict[str, Any]:
    """Return what is left of an event without its payload, under the names that a payload would use."""
    row = stored.summary
    form: dict[str, Any] = {
        "timestamp": to_rfc3339(row.timestamp),
        "type": "csp" if stored.kind == EventKind.CSP else "default",
        "level": stored.level,
        "platform": stored.platform,
        "environment": row.environment,
        "release": row.release,
        "user": user_to_json(row.user),
        "culprit": stored.culprit,
        "tags": dict(stored.tags),
    }
    if stored.type in {"Message", "CSP"}:
        form["message"] = stored.message
        form["logentry"] = {"formatted": stored.message}
    else:
        form["type"] = "error"
        form["exception"] = {"values": [{"type": stored.type, "value": stored.message}]}
    return form


def _payload(stored: StoredEvent, payload: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """Return the payload in one form, with columns in place of what it does not say."""
    row = stored.summary
    form = one_form(payload, problems, remote_addr=stored.remote_addr, sdk_client=stored.sdk_client)
    if stored.kind == EventKind.CSP:
        form["type"] = "csp"
    form["timestamp"] = _timestamp(stored, payload.get("timestamp"), problems)
    for name, rule, column in (("environment", environment, row.environment), ("release", release, row.release)):
        sent = form.get(name)
        if sent is None:
            form[name] = column
        elif rule(sent) is None:
            problems.add(name, f"no {name} that can be filtered by", sent)
    form["platform"] = form.get("platform") or stored.platform
    form["culprit"] = form.get("culprit") or stored.culprit
    return form


def _timestamp(stored: StoredEvent, sent: Any, problems: Problems) -> str:
    """Return the event time as sent, else the one that columns hold."""
    read = moment(sent)
    if read is None:
        if sent is not None:
            problems.add("timestamp", "not a time; the time received instead", sent)
        return to_rfc3339(stored.summary.timestamp)
    if read - stored.summary.received_at > FUTURE_TOLERANCE:
        problems.add("timestamp", "ahead of its receipt; counts as received then", sent, kind=FUTURE_TIMESTAMP)
    return to_rfc3339(read)


def _sent_errors(form: dict[str, Any], problems: Problems) -> list[Any]:
    """Return the errors that the SDK itself found."""
    sent = form.get("errors")
    if sent is None or isinstance(sent, list):
        return sent or []
    problems.add("errors", "not a list", sent)
    return []
