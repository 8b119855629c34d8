"""From an accepted event's bytes to what is recorded: parsed once, read field by field, grouped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rustrak_core import grouping
from rustrak_core.accepted import AcceptedEvent, Count, EventKind, Outcome
from rustrak_core.columns import digested_of
from rustrak_core.digested import Digested, GroupingKey
from rustrak_core.errors import MalformedEventError, MalformedJsonError
from rustrak_core.event.attributes import attribute
from rustrak_core.event.csp import event_from_report
from rustrak_core.event.frames import frames_of, place, top_frame
from rustrak_core.event.level import DEFAULT_LEVEL, level, platform
from rustrak_core.event.moments import event_time
from rustrak_core.event.release import environment, release
from rustrak_core.event.scalars import cut, plain_text
from rustrak_core.event.tags import environment_tag, tag_pairs
from rustrak_core.event.title import Title, title_of
from rustrak_core.event.user import user_of
from rustrak_core.jsontext import loads_lenient

_CULPRIT_MAX = 200


def digest(
    event: AcceptedEvent, *, rules: grouping.Rules | None = None, former: Sequence[str] = (), later: Sequence[str] = ()
) -> Digested:
    """Return what is to be recorded of *event*.

    It is pure, and a hostile payload costs no more than the fields that cannot be read. Of an event that was shed, it
    is what was digested before.

    Args:
        event: What was accepted.
        rules: Its project's own.
        former, later: Other mechanisms by which its project has live issues, in the order in which it came to use them:
            those before the mechanism of *rules*, and those after it.

    Raises:
        MalformedEventError: its bytes are no JSON object, so that it is no event (SDK.md, section 6: "it must not
            store").
    """
    if event.is_shed:
        return digested_of(event)
    payload = read_payload(event.payload, event.kind, event.hints)
    if payload is None:
        raise MalformedEventError("the payload is not a JSON object")
    title = title_of(payload, event.kind)
    subject = grouping.Subject(payload, title, grouping.transaction_of(payload))
    return _digest(
        event,
        subject,
        keys=grouping.keys(subject, rules),
        former=grouping.keys_by(subject, former, rules) if former else (),
        later=grouping.keys_by(subject, later, rules) if later else (),
    )


def digest_all(
    events: Iterable[AcceptedEvent], *, digesting: Callable[[AcceptedEvent], Digested] = digest
) -> tuple[Sequence[Digested], Sequence[Count]]:
    """Return what is to be recorded of *events*, in their order, and counts of those that are none (``invalid``)."""
    digested, counts = [], []
    for event in events:
        try:
            digested.append(digesting(event))
        except MalformedEventError:
            day = event.received_at.date()
            counts.append(Count(project_id=event.project_id, day=day, category="error", outcome=Outcome.INVALID))
    return digested, counts


def read_payload(
    payload: bytes, kind: str = EventKind.EVENT, hints: Iterable[tuple[str, str]] = ()
) -> dict[str, Any] | None:
    """Return the bytes of an event as an object; a report of kind ``csp`` in the form of an event.

    Returns:
        None where they are no JSON object.
    """
    try:
        value = loads_lenient(payload)
    except MalformedJsonError:
        return None
    if not isinstance(value, dict):
        return None
    return event_from_report(value, dict(hints)) if kind == EventKind.CSP else value


def _digest(event: AcceptedEvent, subject: grouping.Subject, **keys: tuple[GroupingKey, ...]) -> Digested:
    payload, title = subject.payload, subject.title
    sent_level, sent_environment = payload.get("level"), payload.get("environment")
    return Digested(
        project_id=event.project_id,
        event_id=event.event_id,
        received_at=event.received_at,
        timestamp=event_time(payload.get("timestamp"), event.received_at),
        **keys,
        kind=event.kind,
        type=title.type,
        message=title.message,
        culprit=subject.transaction or _culprit(payload, title),
        level=(sent_level is not None and level(sent_level)) or DEFAULT_LEVEL,
        platform=platform(payload.get("platform")),
        environment=environment(environment_tag(payload) if sent_environment is None else sent_environment),
        release=release(payload.get("release")),
        user=user_of(payload, event.remote_addr),
        tags=tag_pairs(payload),
        remote_addr=event.remote_addr,
        sdk_client=event.sdk_client,
        hints=event.hints,
        payload=event.payload,
    )


def _culprit(payload: Mapping[str, Any], title: Title) -> str:
    """Return where an event without a transaction happened."""
    stacktrace = title.exception.get("stacktrace") if title.exception else None
    frames = frames_of(attribute(payload, "stacktrace") if stacktrace is None else stacktrace)
    frame = top_frame(reversed(frames))
    sent = (plain_text(payload.get("culprit")) or "").strip()
    if frame is None or (sent and frame.get("in_app") is not True):
        return cut(sent, _CULPRIT_MAX)
    return cut(place(frame) or sent, _CULPRIT_MAX)
