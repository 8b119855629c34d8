"""Stored events as an issue counts them: the one place that reads them again for that."""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from rustrak_core.digested import facets_of
from rustrak_core.errors import StoreUnavailableError
from rustrak_storage.filing import Counted, rank, user_hash
from rustrak_storage.sql import schema
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.contents import Details
from rustrak_storage.sql.details import read_details
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.keyset import behind, ordered
from rustrak_storage.sql.rows import user_of
from rustrak_storage.texts import clean

_TABLE = schema.event
_ORDER: tuple[ColumnElement[Any], ...] = (_TABLE.c.timestamp, _TABLE.c.received_at, _TABLE.c.event_id)
_PAGE = 1000


def pages(connection: Connection, dictionaries: Dictionaries, issue_id: int) -> Iterator[list[Counted]]:
    """Yield the events of an issue, the oldest first, a thousand at a time.

    Raises:
        StoreUnavailableError: one of them cannot be read, and why.
    """
    rows = _events(issue_id, descending=False).limit(_PAGE)
    while True:
        page = _read(connection, dictionaries, rows)
        if not page:
            return
        yield page
        last = page[-1]
        where = behind(_ORDER, (last.timestamp, last.received_at, last.event_id), descending=False)
        rows = _events(issue_id, descending=False).where(where).limit(_PAGE)


def numbered(connection: Connection, dictionaries: Dictionaries, numbers: Collection[int]) -> Iterator[Counted]:
    """Yield the events with those *numbers* (``rustrak_event.id``), in their order.

    Raises:
        StoreUnavailableError: one of them cannot be read, and why.
    """
    for chunk in chunks(sorted(numbers)):
        yield from _read(connection, dictionaries, select(_TABLE).where(_TABLE.c.id.in_(chunk)).order_by(_TABLE.c.id))


def newest(connection: Connection, dictionaries: Dictionaries, issue_id: int) -> Counted | None:
    """Return the latest event of an issue, None where it has none."""
    return next(iter(_read(connection, dictionaries, _events(issue_id, descending=True).limit(1))), None)


def first_seen(connection: Connection, issue_id: int, default: int) -> int:
    """Return the time of the earliest event of an issue in microseconds, *default* where it has none."""
    times = select(_TABLE.c.timestamp).where(_TABLE.c.issue_id == issue_id)
    found = connection.execute(times.order_by(*ordered(_ORDER, descending=False)).limit(1)).scalar()
    return default if found is None else found


def release_at_end(connection: Connection, issue_id: int, *, last: bool) -> tuple[str | None, bytes | None]:
    """Return the release, and the rank, of the first event of an issue that names one, or of the *last*."""
    named = select(_TABLE.c.release, *_ORDER).where(_TABLE.c.issue_id == issue_id, _TABLE.c.release.is_not(None))
    row = connection.execute(named.order_by(*ordered(_ORDER, descending=last)).limit(1)).one_or_none()
    return (None, None) if row is None else (row.release, rank(row.timestamp, row.received_at, bytes(row.event_id)))


def distinct_users(connection: Connection, issue_id: int) -> Iterator[bytes]:
    """Yield the hashes of those to whom the events of an issue happened; some twice, for others changed their name."""
    users = select(_TABLE.c.user).where(_TABLE.c.issue_id == issue_id, _TABLE.c.user.is_not(None)).distinct()
    with connection.execute(users, execution_options={"yield_per": _PAGE}) as rows:
        for text in rows.scalars():
            hashed = _user_hash(text)
            if hashed is not None:
                yield hashed


def _events(issue_id: int, *, descending: bool) -> Select[Any]:
    return select(_TABLE).where(_TABLE.c.issue_id == issue_id).order_by(*ordered(_ORDER, descending=descending))


def _read(connection: Connection, dictionaries: Dictionaries, rows: Select[Any]) -> list[Counted]:
    found = connection.execute(rows).all()
    details = dict(read_details(connection, dictionaries, [row.id for row in found]))
    return [_counted(row, details.get(row.id)) for row in found]


def _counted(row: Row[Any], details: Details | None) -> Counted:
    if details is None:
        raise StoreUnavailableError("an event's row in rustrak_payload is missing; restore it from a copy")
    event_id = bytes(row.event_id)
    facets = facets_of(details.level, row.environment, row.release, details.tags)
    return Counted(
        timestamp=row.timestamp,
        received_at=row.received_at,
        event_id=event_id,
        rank=rank(row.timestamp, row.received_at, event_id),
        type=details.type,
        message=details.message,
        culprit=details.culprit,
        level=details.level,
        platform=details.platform,
        release=row.release,
        user=_user_hash(row.user),
        facets=[(clean(key, 204), clean(value, 200)) for key, value in facets],
    )


def _user_hash(text: str | None) -> bytes | None:
    user = user_of(text)
    identity = user.identity if user is not None else None
    return None if identity is None else user_hash(identity)
