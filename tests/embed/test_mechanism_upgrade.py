"""A store that was filled by an older mechanism, and goes on with the new one: no known error becomes a new issue."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import attrs
import pytest

from rustrak_core import grouping
from rustrak_core.accepted import AcceptedEvent
from rustrak_core.ambient import utc_now
from rustrak_core.digest import digest, read_payload
from rustrak_core.digested import Digested
from rustrak_core.ports import Store
from rustrak_core.project import ProjectId
from rustrak_core.tracker import Tracker
from rustrak_core.tracker.mechanisms import Digester
from rustrak_storage.factory import open_store
from tests.corpus.recorded import CLIENTS, requests_of

DOCUMENTED = grouping.Rules(mechanism="message@1")
EVENTS = [json.dumps(event) for client in CLIENTS for request in requests_of(client) if (event := request.event())]


def accepted(project: ProjectId, payload: str) -> AcceptedEvent:
    return AcceptedEvent(project_id=project, event_id=uuid4(), received_at=utc_now(), payload=payload.encode())


def as_before(event: AcceptedEvent) -> Digested:
    """Return what a version that knew ``message@1`` alone recorded."""
    subject = grouping.Subject.of(read_payload(event.payload) or {}, event.kind)
    return attrs.evolve(digest(event), keys=grouping.keys(subject, DOCUMENTED))


@pytest.fixture(params=["memory", "sqlite"])
def tracker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tracker]:
    store: Store = open_store("memory://" if request.param == "memory" else f"sqlite:///{tmp_path / 'old.db'}")
    with Tracker(store) as with_store:
        yield with_store


def test_known_errors_come_to_their_issues(tracker: Tracker) -> None:
    """Each recorded event, sent again after the upgrade, comes to the issue that it was in; no issue is opened."""
    project = tracker.create_project("old").id
    before = tracker.store.record([as_before(accepted(project, payload)) for payload in EVENTS])
    digester = Digester(tracker.store)
    after = tracker.store.record([digester.digest(accepted(project, payload)) for payload in EVENTS])
    assert [one.issue_id for one in after] == [one.issue_id for one in before]
    assert not any(one.is_new for one in after)
    assert {"message@1", "anchor@1"} <= set(tracker.store.mechanisms(project))


def test_the_new_key_joins_what_the_old_one_split(tracker: Tracker) -> None:
    """An issue that an event of old came to is found by the new key too, whatever value the next message holds."""
    project = tracker.create_project("old").id

    def failed(order: int) -> str:
        frames = [{"module": "shop.orders", "function": "ship", "in_app": True}]
        value = {"type": "OrderError", "value": f"order {order} failed", "stacktrace": {"frames": frames}}
        return json.dumps({"exception": {"values": [value]}})

    (old,) = tracker.store.record([as_before(accepted(project, failed(1)))])
    digester = Digester(tracker.store)
    again, other = tracker.store.record([digester.digest(accepted(project, failed(order))) for order in (1, 2)])
    assert again.issue_id == other.issue_id == old.issue_id


def test_a_project_of_today_has_no_keys_of_old(tracker: Tracker) -> None:
    """Old mechanisms are worked out only for projects that have issues by them; that is asked again after a while."""
    new, old = tracker.create_project("new").id, tracker.create_project("old").id
    digester = Digester(tracker.store)
    assert digester.digest(accepted(new, EVENTS[0])).former == ()
    assert digester.digest(accepted(old, EVENTS[0])).former == ()
    tracker.store.record([as_before(accepted(old, EVENTS[0]))])
    later = attrs.evolve(accepted(old, EVENTS[0]), received_at=utc_now() + timedelta(minutes=11))
    assert [key.mechanism for key in digester.digest(later).former] == ["message@1"]
    assert digester.digest(accepted(new, EVENTS[0])).former == ()
