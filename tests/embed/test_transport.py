"""`TrackerTransport` with the real `sentry-sdk`, within this process."""

import threading
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
import sentry_sdk

from rustrak_core import Project, Tracker
from rustrak_core.accepted import Outcome
from rustrak_core.embed import TrackerTransport
from rustrak_core.errors import StoreRefusedError, StoreUnavailableError, UnknownProjectError
from rustrak_core.ports import Recorded
from rustrak_core.receive import Limits

Clients = Callable[..., sentry_sdk.Client]


def captured(client: sentry_sdk.Client, **event: Any) -> UUID:
    payload: Any = {"message": "hello", **event}
    event_id = client.capture_event(payload)
    assert event_id is not None
    return UUID(event_id)


def lost(tracker: Tracker, project: Project) -> dict[tuple[str, str], int]:
    """Return what stands in the project's statistics as dropped by the SDK."""
    today = tracker.clock().date()
    counts = tracker.store.ledger(project.id, since=today, until=today).counts
    return {(count.category, count.reason): count.quantity for count in counts if count.outcome is Outcome.SDK_DROPPED}


def test_what_the_sdk_captures_is_found_by_its_id(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """Without a DSN, what `capture_event` returned finds the event, with all that the SDK sent."""
    client = make_client(TrackerTransport(tracker, project), release="shop@2.1", environment="prod")
    stock: dict[str, int] = {}
    event_id: str | None = None
    try:
        stock["pear"]
    except KeyError as error:
        event, hint = sentry_sdk.utils.event_from_exception(error, client_options=client.options)
        event_id = client.capture_event(event, hint)
    client.flush(timeout=30)
    found = tracker.event_json(event_id or "")
    assert (found["release"], found["environment"]) == ("shop@2.1", "prod")
    frame = found["exception"]["values"][-1]["stacktrace"]["frames"][-1]
    assert frame["context_line"].strip() == 'stock["pear"]'
    assert tracker.event(event_id or "").sdk_client == f"sentry.python/{sentry_sdk.VERSION}"


def test_no_thread_before_the_first_event(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """Neither importing nor making a transport starts a thread; the first event does, one, a daemon."""
    others = {thread for thread in threading.enumerate() if thread.name == "rustrak.embed"}

    def threads() -> list[threading.Thread]:
        found = [thread for thread in threading.enumerate() if thread.name == "rustrak.embed"]
        return [thread for thread in found if thread not in others]

    client = make_client(TrackerTransport(tracker, project))
    assert not threads()
    captured(client)
    captured(client)
    assert [thread.daemon for thread in threads()] == [True]
    client.flush(timeout=30)


def test_a_slug_must_be_known(tracker: Tracker) -> None:
    """A misspelled project is told at once, and not by silence."""
    with pytest.raises(UnknownProjectError):
        TrackerTransport(tracker, "shopp")


def test_a_full_queue_drops_and_counts(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """What finds no room is dropped without waiting, and stands in the statistics."""
    entered, released = threading.Event(), threading.Event()
    record = tracker.store.record

    def slow(*args: Any, **kwargs: Any) -> Sequence[Recorded]:
        entered.set()
        assert released.wait(30)
        return record(*args, **kwargs)

    transport = TrackerTransport(tracker, project, max_events=2)
    client = make_client(transport)
    with patch.object(tracker.store, "record", slow):
        kept = [captured(client)]
        assert entered.wait(30)
        kept.append(captured(client))
        assert not transport.is_healthy()
        dropped = [captured(client) for _ in range(3)]
        released.set()
        client.flush(timeout=30)
        client.flush(timeout=30)
    assert transport.is_healthy()
    assert transport.dropped == 3
    assert {event.id for event in tracker.events("SHOP-1")} == set(kept)
    assert not {event.id for event in tracker.events("SHOP-1")} & set(dropped)
    assert lost(tracker, project) == {("error", "queue_overflow"): 3}


def test_an_event_over_the_queues_bytes(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """The queue is bounded in bytes too."""
    transport = TrackerTransport(tracker, project, max_bytes=4000)
    client = make_client(transport)
    captured(client, extra={str(number): "x" * 900 for number in range(10)})
    client.flush(timeout=30)
    assert lost(tracker, project) == {("error", "queue_overflow"): 1}


def test_an_event_over_its_limit(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """An event that the tracker takes for too large is counted as that."""
    small = Tracker(tracker.store, limits=Limits(event_bytes=100))
    transport = TrackerTransport(small, project)
    client = make_client(transport)
    captured(client)
    client.flush(timeout=30)
    today = tracker.clock().date()
    counts = tracker.store.ledger(project.id, since=today, until=today).counts
    assert [(count.category, count.outcome) for count in counts] == [("error", Outcome.TOO_LARGE)]
    assert transport.dropped == 1


def test_telemetry_is_counted(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """Transactions and attachments are counted by category, and never serialised."""
    transport = TrackerTransport(tracker, project)
    client = make_client(transport, traces_sample_rate=1.0)
    with patch("sentry_sdk.envelope.json_dumps", side_effect=AssertionError):
        client.capture_event({"type": "transaction", "transaction": "/buy", "spans": []})
    client.flush(timeout=30)
    today = tracker.clock().date()
    counts = tracker.store.ledger(project.id, since=today, until=today).counts
    assert ("transaction", Outcome.DISCARDED) in {(count.category, count.outcome) for count in counts}
    assert list(tracker.issues(project)) == []


def test_what_the_sdk_drops_itself(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """What `before_send` refuses stands in the statistics after a flush."""
    client = make_client(TrackerTransport(tracker, project), before_send=lambda _event, _hint: None)
    client.capture_event({"message": "hello"})
    client.flush(timeout=30)
    assert lost(tracker, project) == {("error", "before_send"): 1}


def test_the_store_is_away_for_a_moment(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """While the store is away events wait, and nothing is lost or counted twice."""
    record, calls = tracker.store.record, []

    def away_at_first(*args: Any, **kwargs: Any) -> Sequence[Recorded]:
        calls.append(args)
        if len(calls) <= 2:
            raise StoreUnavailableError("away")
        return record(*args, **kwargs)

    transport = TrackerTransport(tracker, project, retry_delays_s=(0.001, 0.001))
    client = make_client(transport, before_send=lambda event, _hint: event if event.get("level") != "debug" else None)
    client.capture_event({"message": "hello", "level": "debug"})
    with patch.object(tracker.store, "record", away_at_first):
        captured(client)
        client.flush(timeout=30)
    assert transport.is_healthy()
    assert [issue.event_count for issue in tracker.issues(project)] == [1]
    assert lost(tracker, project) == {("error", "before_send"): 1}


def test_the_store_stays_away(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """After the last try the events are dropped and counted, once the store is back."""
    transport = TrackerTransport(tracker, project, retry_delays_s=(0.001,))
    client = make_client(transport)
    with patch.object(tracker.store, "record", side_effect=StoreUnavailableError("away")):
        captured(client)
        client.flush(timeout=30)
        assert not transport.is_healthy()
    assert transport.dropped == 1
    event_id = captured(client)
    client.flush(timeout=30)
    assert transport.is_healthy()
    assert [event.id for event in tracker.events("SHOP-1")] == [event_id]
    assert lost(tracker, project) == {("error", "store_unavailable"): 1}


@pytest.mark.parametrize("fault", [StoreRefusedError("never"), ValueError("a fault of ours")])
def test_one_bad_event_costs_itself_only(
    tracker: Tracker, project: Project, make_client: Clients, fault: Exception
) -> None:
    """An event that the store never takes does not take the rest of its batch along."""
    entered, released = threading.Event(), threading.Event()
    record = tracker.store.record

    def picky(events: Any, **kwargs: Any) -> Sequence[Recorded]:
        entered.set()
        assert released.wait(30)
        if any(event.message == "bad" for event in events):
            raise fault
        return record(events, **kwargs)

    transport = TrackerTransport(tracker, project)
    client = make_client(transport)
    with patch.object(tracker.store, "record", picky):
        captured(client, message="first")
        assert entered.wait(30)
        for message in ("good", "bad", "better"):
            captured(client, message=message)
        released.set()
        client.flush(timeout=30)
    client.flush(timeout=30)
    assert {issue.message for issue in tracker.issues(project)} == {"first", "good", "better"}
    assert lost(tracker, project) == {("error", "internal_sdk_error"): 1}


def test_it_never_raises(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """Whatever goes wrong on the way into the queue, the host sees nothing of it."""
    transport = TrackerTransport(tracker, project)
    client = make_client(transport)
    with patch.object(tracker, "receive", side_effect=RuntimeError):
        captured(client)
    with patch.object(transport, "_receive", side_effect=MemoryError):
        captured(client)
    client.flush(timeout=30)
    assert lost(tracker, project) == {("error", "internal_sdk_error"): 2}


def test_close_records_what_waits(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """Closing the client, as at exit, records what was captured; the transport works again afterwards."""
    transport = TrackerTransport(tracker, project)
    client = make_client(transport)
    captured(client)
    client.close(timeout=30)
    assert [issue.event_count for issue in tracker.issues(project)] == [1]
    captured(make_client(transport))
    transport.close(timeout=30)
    assert [issue.event_count for issue in tracker.issues(project)] == [2]


def test_flush_in_time(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """A flush that takes longer than it may calls back with what waits, and returns."""
    released, entered = threading.Event(), threading.Event()
    record = tracker.store.record

    def slow(*args: Any, **kwargs: Any) -> Sequence[Recorded]:
        entered.set()
        assert released.wait(30)
        return record(*args, **kwargs)

    client = make_client(TrackerTransport(tracker, project))
    waited: list[tuple[int, float]] = []
    with patch.object(tracker.store, "record", slow):
        captured(client)
        assert entered.wait(30)
        client.flush(timeout=0.15, callback=lambda pending, timeout: waited.append((pending, timeout)))
        released.set()
        client.flush(timeout=30)
    assert waited == [(1, 0.15)]


def test_a_deleted_project(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """What is captured for a project that was deleted meanwhile is gone, without an error."""
    client = make_client(TrackerTransport(tracker, project))
    tracker.delete_project(project)
    captured(client)
    client.flush(timeout=30)
    assert list(tracker.projects()) == []


def test_many_threads(tracker: Tracker, project: Project, make_client: Clients) -> None:
    """Threads capture at once; each event is recorded once."""
    client = make_client(TrackerTransport(tracker, project))
    threads = [threading.Thread(target=lambda: [captured(client) for _ in range(25)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client.flush(timeout=60)
    assert [issue.event_count for issue in tracker.issues(project)] == [200]
