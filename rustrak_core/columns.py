"""Events without their payloads: the columns that digesting gave, as JSON that travels in the payload's place."""

from collections.abc import Sequence
from typing import Any

import orjson

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digested import Digested, GroupingKey, User
from rustrak_core.errors import MalformedEventError
from rustrak_core.times import from_micros, to_micros


def columns_of(event: Digested) -> bytes:
    """Return the columns of *event*, but for what its `AcceptedEvent` says itself.

    Raises:
        TypeError: a text holds lone surrogates.
    """
    user = event.user
    row = [
        to_micros(event.timestamp),
        [(key.mechanism, key.value) for key in event.keys],
        event.type,
        event.message,
        event.culprit,
        event.level,
        event.platform,
        event.environment,
        event.release,
        None if user is None else [user.id, user.email, user.username, user.ip_address],
        event.tags,
    ]
    return orjson.dumps(row)


def digested_of(event: AcceptedEvent) -> Digested:
    """Return what was digested before *event* was shed; its payload is None.

    Raises:
        MalformedEventError: its bytes are not what `columns_of` makes.
    """
    try:
        return _digested(event, orjson.loads(event.payload))
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedEventError(f"the columns cannot be read ({type(error).__name__})") from None


def _digested(event: AcceptedEvent, row: Sequence[Any]) -> Digested:
    timestamp, keys, type_, message, culprit, level, platform, environment, release, user, tags = row
    return Digested(
        project_id=event.project_id,
        event_id=event.event_id,
        received_at=event.received_at,
        timestamp=from_micros(timestamp),
        keys=tuple(GroupingKey(mechanism=mechanism, value=value) for mechanism, value in keys),
        kind=event.kind.value,
        type=type_,
        message=message,
        culprit=culprit,
        level=level,
        platform=platform,
        environment=environment,
        release=release,
        user=None if user is None else _user(*user),
        tags=tuple((key, value) for key, value in tags),
        remote_addr=event.remote_addr,
        sdk_client=event.sdk_client,
        hints=event.hints,
        payload=None,
    )


def _user(id_: str | None, email: str | None, username: str | None, ip_address: str | None) -> User:
    return User(id=id_, email=email, username=username, ip_address=ip_address)
