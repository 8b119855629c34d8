"""What must hold among the rows of a database: questions that find those of which it does not.

Each looks at one moment, so that a server may record meanwhile. Issues that wait to be settled are left out where they
do not yet say what is right of their events, and so is what waits to be purged. Each takes how many rows are wanted at
most: drivers of servers, and DuckDB's, fetch all that a statement gives, and a fault may be in every row.
"""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from rustrak_core.accepted import Outcome
from rustrak_storage.sql import schema

_EVENT, _ISSUE, _PROJECT, _KEY = schema.event, schema.issue, schema.project, schema.grouping_key
_PAYLOAD, _FACET, _FACET_KEY = schema.payload, schema.facet, schema.facet_key
_COUNTER, _DOOMED = schema.counter, schema.doomed

_LIVE = and_(_ISSUE.c.deleted_at.is_(None), _PROJECT.c.deleted_at.is_(None))
_OWN = and_(_LIVE, _ISSUE.c.leads_to.is_(None))
"""Issues that are listed: neither deleted nor merged into another."""

_KEPT = (Outcome.STORED.value, Outcome.SHED.value)

Found = Iterator[str]


def event_counts(connection: Connection, most: int) -> Found:
    """An issue counts as many events as it has."""
    counted = select(_EVENT.c.issue_id, func.count().label("there")).group_by(_EVENT.c.issue_id).subquery()
    there = func.coalesce(counted.c.there, 0)
    query = _issues(_ISSUE.c.event_count, there).outerjoin(counted, counted.c.issue_id == _ISSUE.c.id)
    for slug, number, said, found in connection.execute(
        _settled(query).where(_ISSUE.c.event_count != there).limit(most)
    ):
        yield f"{_short(slug, number)} counts {said:,} events and has {found:,}"


def user_counts(connection: Connection, most: int) -> Found:
    """An issue counts as many users as are kept of it."""
    users = schema.issue_user
    counted = select(users.c.issue_id, func.count().label("there")).group_by(users.c.issue_id).subquery()
    there = func.coalesce(counted.c.there, 0)
    query = _issues(_ISSUE.c.user_count, there).outerjoin(counted, counted.c.issue_id == _ISSUE.c.id)
    for slug, number, said, found in connection.execute(
        _settled(query).where(_ISSUE.c.user_count != there).limit(most)
    ):
        yield f"{_short(slug, number)} counts {said:,} users and has {found:,}"


def facet_counts(connection: Connection, most: int) -> Found:
    """An issue keeps as many values of a key as it says, and none has more events than the issue."""
    counted = select(
        _FACET.c.issue_id, _FACET.c.key, func.count().label("there"), func.max(_FACET.c.count).label("most")
    )
    kept = counted.group_by(_FACET.c.issue_id, _FACET.c.key).subquery()
    there, same = (
        func.coalesce(kept.c.there, 0),
        and_(kept.c.issue_id == _FACET_KEY.c.issue_id, kept.c.key == _FACET_KEY.c.key),
    )
    query = (
        _issues(_FACET_KEY.c.value_count, there, kept.c.most, _ISSUE.c.event_count)
        .join(_FACET_KEY, _FACET_KEY.c.issue_id == _ISSUE.c.id)
        .outerjoin(kept, same)
        .where(or_(_FACET_KEY.c.value_count != there, kept.c.most > _ISSUE.c.event_count))
    )
    for slug, number, said, found, top, events in connection.execute(_settled(query).limit(most)):
        if said != found:
            yield f"{_short(slug, number)} counts {said:,} values of a tag and has {found:,}"
        else:
            yield f"{_short(slug, number)} has a value of a tag with {top:,} events, of {events:,} in all"


def project_counts(connection: Connection, most: int) -> Found:
    """A project counts as many issues as are listed; and no fewer events than it has, for deleted ones stay counted."""
    issues = _of_project(
        select(_ISSUE.c.project_id, func.count().label("there")).where(
            _ISSUE.c.deleted_at.is_(None), _ISSUE.c.leads_to.is_(None)
        ),
        _ISSUE,
    )
    events = _of_project(select(_EVENT.c.project_id, func.count().label("there")), _EVENT)
    there, stored = func.coalesce(issues.c.there, 0), func.coalesce(events.c.there, 0)
    query = (
        select(_PROJECT.c.slug, _PROJECT.c.issue_count, there, _PROJECT.c.event_count, stored)
        .outerjoin(issues, issues.c.project_id == _PROJECT.c.id)
        .outerjoin(events, events.c.project_id == _PROJECT.c.id)
        .where(_PROJECT.c.deleted_at.is_(None), or_(_PROJECT.c.issue_count != there, _PROJECT.c.event_count < stored))
    )
    for slug, issue_count, found, event_count, kept in connection.execute(query.limit(most)):
        if issue_count != found:
            yield f"project {slug} counts {issue_count:,} issues and has {found:,}"
        else:
            yield f"project {slug} counts {event_count:,} events and has {kept:,}"


def short_ids(connection: Connection, most: int) -> Found:
    """No two issues of a project have a number, and none has one that is yet to be given out."""
    numbers = _of_project(
        select(_ISSUE.c.project_id, func.max(_ISSUE.c.number).label("last"), func.count().label("rows")).add_columns(
            func.count(_ISSUE.c.number.distinct()).label("numbers")
        ),
        _ISSUE,
    )
    query = (
        select(_PROJECT.c.slug, _PROJECT.c.last_number, numbers.c.last, numbers.c.rows, numbers.c.numbers)
        .join(numbers, numbers.c.project_id == _PROJECT.c.id)
        .where(or_(numbers.c.last > _PROJECT.c.last_number, numbers.c.rows != numbers.c.numbers))
    )
    for slug, given, last, rows, different in connection.execute(query.limit(most)):
        if rows != different:
            yield f"{rows - different:,} short ids of project {slug} belong to two issues"
        else:
            yield f"{_short(slug, last)} exists, but {_short(slug, given)} is the last that project {slug} gave out"


def grouping_keys(connection: Connection, most: int) -> Found:
    """A key leads to an issue of its project that is there and was not merged away."""
    lost = or_(_ISSUE.c.id.is_(None), _ISSUE.c.project_id != _KEY.c.project_id, _ISSUE.c.leads_to.is_not(None))
    gone = and_(_ISSUE.c.deleted_at.is_not(None), ~_doomed("issue", _ISSUE.c.id))
    query = (
        select(_KEY.c.project_id, _KEY.c.issue_id, _KEY.c.mechanism, _KEY.c.value)
        .outerjoin(_ISSUE, _ISSUE.c.id == _KEY.c.issue_id)
        .where(or_(lost, gone), ~_doomed("project", _KEY.c.project_id))
        .order_by(_KEY.c.project_id, _KEY.c.value)
    )
    for project, issue, mechanism, value in connection.execute(query.limit(most)):
        yield f"key {mechanism}:{bytes(value).hex()} of project {project} leads to issue {issue}, which is not there"


def merges(connection: Connection, most: int) -> Found:
    """An issue that was merged leads to one of its project that was not."""
    root = _ISSUE.alias("root")
    wrong = or_(root.c.id.is_(None), root.c.leads_to.is_not(None), root.c.project_id != _ISSUE.c.project_id)
    gone = root.c.deleted_at.is_not(None)
    query = _issues(_ISSUE.c.leads_to).outerjoin(root, root.c.id == _ISSUE.c.leads_to)
    for slug, number, leads_to in connection.execute(
        query.where(_LIVE, _ISSUE.c.leads_to.is_not(None), or_(wrong, gone)).order_by(_ISSUE.c.id).limit(most)
    ):
        yield f"{_short(slug, number)} was merged into issue {leads_to}, which is not there"


def events(connection: Connection, most: int) -> Found:
    """An event belongs to an issue of its project that is there, and has a payload's row."""
    lost = or_(_ISSUE.c.id.is_(None), _ISSUE.c.project_id != _EVENT.c.project_id, _ISSUE.c.leads_to.is_not(None))
    gone = and_(_ISSUE.c.deleted_at.is_not(None), ~_doomed("issue", _ISSUE.c.id))
    query = (
        select(_EVENT.c.event_id, _EVENT.c.issue_id, _PAYLOAD.c.event)
        .outerjoin(_ISSUE, _ISSUE.c.id == _EVENT.c.issue_id)
        .outerjoin(_PAYLOAD, _PAYLOAD.c.event == _EVENT.c.id)
        .where(or_(lost, gone, _PAYLOAD.c.event.is_(None)), ~_doomed("project", _EVENT.c.project_id))
        .order_by(_EVENT.c.id)
    )
    for event_id, issue, payload in connection.execute(query.limit(most)):
        lacks = "has no row in rustrak_payload" if payload is None else f"belongs to issue {issue}, which is not there"
        yield f"event {bytes(event_id).hex()} {lacks}"


def payload_rows(connection: Connection, most: int) -> Found:
    """A payload is that of an event."""
    query = (
        select(_PAYLOAD.c.event)
        .outerjoin(_EVENT, _EVENT.c.id == _PAYLOAD.c.event)
        .where(_EVENT.c.id.is_(None))
        .order_by(_PAYLOAD.c.event)
    )
    for (number,) in connection.execute(query.limit(most)):
        yield f"row {number} of rustrak_payload belongs to no event"


def counters(connection: Connection, most: int) -> Found:
    """Counters are known and not below 0, and say of no fewer events that they were stored than there are."""
    outcomes = [outcome.value for outcome in Outcome]
    wrong = or_(_COUNTER.c.quantity < 0, _COUNTER.c.outcome.not_in(outcomes))
    for project, day, quantity in connection.execute(
        select(_COUNTER.c.project_id, _COUNTER.c.day, _COUNTER.c.quantity).where(wrong).limit(most)
    ):
        yield f"a counter of project {project} on day {day} is {quantity}, or of an unknown outcome"
    kept = _of_project(
        select(_COUNTER.c.project_id, func.sum(_COUNTER.c.quantity).label("there")).where(
            _COUNTER.c.category == "error", _COUNTER.c.outcome.in_(_KEPT)
        ),
        _COUNTER,
    )
    stored = _of_project(select(_EVENT.c.project_id, func.count().label("there")), _EVENT)
    said = func.coalesce(kept.c.there, 0)
    query = (
        select(_PROJECT.c.slug, said, stored.c.there)
        .join(stored, stored.c.project_id == _PROJECT.c.id)
        .outerjoin(kept, kept.c.project_id == _PROJECT.c.id)
        .where(said < stored.c.there)
    )
    for slug, counted, found in connection.execute(query.limit(most)):
        yield f"the counters of project {slug} say that {int(counted):,} events were stored, and it has {found:,}"


INVARIANTS: dict[str, tuple[Callable[[Connection, int], Found], str]] = {
    "event-counts": (event_counts, "no event is lost by it, a count is shown wrong"),
    "user-counts": (user_counts, "no event is lost by it, a count is shown wrong"),
    "facet-counts": (facet_counts, "filters by tag, release or environment may be wrong"),
    "project-counts": (project_counts, "no event is lost by it, a count is shown wrong"),
    "short-ids": (short_ids, "do not start the server before that is mended, for new issues would be refused"),
    "grouping-keys": (grouping_keys, "do not start the server before that is mended: such errors would get lost"),
    "merges": (merges, "the issue is not shown, its events are where they were moved"),
    "events": (events, "such events are not shown"),
    "payload-rows": (payload_rows, "they take room and do no harm"),
    "counters": (counters, "what `rustrak stats` shows is wrong"),
}
"""What is asked, by the name of the check, and what it means where the answer is not empty."""


def _issues(*columns: Any) -> Select[Any]:
    joined = _ISSUE.join(_PROJECT, _PROJECT.c.id == _ISSUE.c.project_id)
    return select(_PROJECT.c.slug, _ISSUE.c.number, *columns).select_from(joined)


def _settled(query: Select[Any]) -> Select[Any]:
    unsettled = select(schema.unsettled.c.issue_id).where(schema.unsettled.c.issue_id == _ISSUE.c.id).exists()
    return query.where(_OWN, ~unsettled).order_by(_ISSUE.c.id)


def _of_project(query: Select[Any], table: Any) -> Any:
    return query.group_by(table.c.project_id).subquery()


def _doomed(kind: str, number: Any) -> Any:
    return select(_DOOMED.c.id).where(_DOOMED.c.kind == kind, _DOOMED.c.id == number).exists()


def _short(slug: str, number: int) -> str:
    return f"{slug.upper()}-{number}"
