"""What is left of an event whose payload was shed."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import attrs
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.accepted import AcceptedEvent, EventKind
from rustrak_core.columns import columns_of
from rustrak_core.digest import digest
from rustrak_core.errors import MalformedEventError
from rustrak_core.project import ProjectId

NOW = datetime(2024, 1, 15, 10, 30, 0, 123456, tzinfo=UTC)
TEXTS = st.text(max_size=20)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "message": TEXTS,
        "level": st.sampled_from(["error", "info", "nonsense"]),
        "environment": TEXTS,
        "release": TEXTS,
        "platform": TEXTS,
        "transaction": TEXTS,
        "timestamp": st.floats() | TEXTS,
        "fingerprint": st.lists(TEXTS, max_size=3),
        "user": st.dictionaries(st.sampled_from(["id", "email", "username", "ip_address"]), TEXTS),
        "tags": st.dictionaries(TEXTS, TEXTS, max_size=3),
        "exception": st.fixed_dictionaries({"type": TEXTS, "value": TEXTS}),
    },
)


def event(number: int, payload: bytes, **how: Any) -> AcceptedEvent:
    return AcceptedEvent(project_id=ProjectId(1), event_id=UUID(int=number), received_at=NOW, payload=payload, **how)


@given(payload=EVENTS, kind=st.sampled_from(EventKind), address=st.none() | st.just("10.1.2.3"))
def test_columns_survive(payload: dict[str, Any], kind: EventKind, address: str | None) -> None:
    """Digesting what is left of an event gives what digesting the event gave, but for its payload."""
    whole = event(7, orjson.dumps(payload), kind=kind, remote_addr=address, sdk_client="a/1", hints=(("release", "1"),))
    digested = digest(whole)
    shed = attrs.evolve(whole, payload=columns_of(digested), is_shed=True)
    assert digest(shed) == attrs.evolve(digested, payload=None)


@given(
    data=st.binary(max_size=40) | st.recursive(st.none() | st.integers(0, 9), st.lists, max_leaves=20).map(orjson.dumps)
)
def test_columns_that_are_none(data: bytes) -> None:
    """Whatever else stands there is no event."""
    with pytest.raises(MalformedEventError):
        digest(event(1, data, is_shed=True))
