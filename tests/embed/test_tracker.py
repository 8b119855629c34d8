"""`Tracker`, the front door for embedding."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest

from rustrak_core import DirectIntake, Project, Tracker
from rustrak_core.accepted import Accepted, AcceptedEvent, Outcome
from rustrak_core.envelope import Envelope, Item
from rustrak_core.errors import (
    InvalidInputError,
    MalformedEnvelopeError,
    StoreUnavailableError,
    TooLargeError,
    UnknownEventError,
    UnknownIssueError,
    UnknownProjectError,
)
from rustrak_core.receive import Limits
from rustrak_storage import open_store

EVENT_ID = UUID("550e8400-e29b-41d4-a716-446655440000")
ENVELOPE = b'{"event_id":"550e8400e29b41d4a716446655440000"}\n{"type":"event"}\n{"message":"hello"}\n'


def test_an_envelope_becomes_an_issue(tracker: Tracker, project: Project) -> None:
    """What any SDK wrote is recorded when `ingest` returns."""
    done = tracker.ingest(ENVELOPE, project)
    assert done.event_id == EVENT_ID
    assert [recorded.outcome for recorded in done.recorded] == [Outcome.STORED]
    assert done.recorded[0].is_new
    (issue,) = tracker.issues(project)
    assert (issue.id, issue.message, issue.event_count) == (done.issue_id, "hello", 1)


def test_an_envelope_may_be_a_value(tracker: Tracker, project: Project) -> None:
    """An `Envelope` does as well as its bytes."""
    envelope = Envelope(headers={}, items=(Item(headers={"type": "event"}, payload=b'{"message":"hello"}'),))
    done = tracker.ingest(envelope, project)
    assert done.event_id is not None
    assert tracker.event(done.event_id).message == "hello"


def test_the_same_envelope_twice(tracker: Tracker, project: Project) -> None:
    """An event counts once, however often it is given."""
    first, second = tracker.ingest(ENVELOPE, project), tracker.ingest(ENVELOPE, project)
    assert [recorded.outcome for recorded in second.recorded] == [Outcome.DUPLICATE]
    assert first.issue_id == second.issue_id
    assert next(tracker.issues(project)).event_count == 1


def test_telemetry_is_counted(tracker: Tracker, project: Project) -> None:
    """An envelope without an event leaves a count, and no issue."""
    done = tracker.ingest(b'{}\n{"type":"session"}\n{}\n', project)
    assert (done.event_id, done.issue_id, done.recorded) == (None, None, ())
    today = tracker.clock().date()
    counts = tracker.store.ledger(project.id, since=today, until=today).counts
    assert [(count.category, count.outcome) for count in counts] == [("session", Outcome.DISCARDED)]


def test_refusals_leave_nothing(tracker: Tracker, project: Project) -> None:
    """Broken framing, an event over its limit and an unknown project are errors, and keep nothing."""
    small = Tracker(tracker.store, limits=Limits(event_bytes=10))
    with pytest.raises(MalformedEnvelopeError):
        tracker.ingest(b"rubbish", project)
    with pytest.raises(TooLargeError):
        small.ingest(ENVELOPE, project)
    with pytest.raises(TooLargeError):
        small.ingest_event({"message": "hello"}, project)
    with pytest.raises(UnknownProjectError):
        tracker.ingest(ENVELOPE, "nobody")
    assert list(tracker.issues(project)) == []


def test_an_event_of_an_unknown_number_is_deleted(tracker: Tracker) -> None:
    """A number is not looked up; what is given for a project that is not there comes back as `deleted`."""
    done = tracker.ingest(ENVELOPE, 99)
    assert [recorded.outcome for recorded in done.recorded] == [Outcome.DELETED]
    assert done.issue_id is None


def test_an_event_is_a_mapping(tracker: Tracker, project: Project) -> None:
    """Attributes of an event go in as they are, its own id included; all may be missing."""
    done = tracker.ingest_event({"event_id": EVENT_ID.hex, "message": "hello", "extra": {"big": 2**70}}, project)
    assert done.event_id == EVENT_ID
    assert tracker.event_json(EVENT_ID.hex)["extra"] == {"big": 2**70}
    assert tracker.ingest_event({}, project).event_id is not None


def test_capture_exception(tracker: Tracker, project: Project) -> None:
    """An exception is filed with its type, its stack and what it came from, and with what is said beside it."""
    stock: dict[str, int] = {}

    def buy() -> None:
        try:
            stock["pear"]
        except KeyError as error:
            raise LookupError("no pear") from error

    with pytest.raises(LookupError) as caught:
        buy()
    done = tracker.capture_exception(caught.value, project, tags={"shelf": "north"}, level="warning")
    (issue,) = tracker.issues(project, q="shelf:north", level="warning")
    assert (issue.id, issue.type, issue.message) == (done.issue_id, "LookupError", "no pear")
    values = tracker.event_json(done.event_id or "")["exception"]["values"]
    assert [value["type"] for value in values] == ["KeyError", "LookupError"]
    assert values[-1]["stacktrace"]["frames"][-1]["function"] == "buy"
    assert values[-1]["stacktrace"]["frames"][-1]["filename"].endswith("test_tracker.py")


def test_capture_exception_of_any_exception(tracker: Tracker, project: Project) -> None:
    """One that cannot say what it is, or goes in circles, is filed all the same."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    mute = MuteError()
    mute.__cause__ = mute.__context__ = mute
    done = tracker.capture_exception(mute, project)
    assert tracker.event(done.event_id or "").type.endswith("MuteError")


def test_equal_exceptions_are_one_issue(tracker: Tracker, project: Project) -> None:
    """The same failure twice is one issue with two events."""
    for _ in range(2):
        try:
            int("x")
        except ValueError as error:
            tracker.capture_exception(error, project)
    assert [issue.event_count for issue in tracker.issues(project)] == [2]


def test_lists_walk_all_pages(tracker: Tracker, project: Project) -> None:
    """Issues and events are read to the end, or to the limit."""
    for number in range(105):
        tracker.ingest_event({"message": "same", "fingerprint": [str(number)]}, project)
    for _ in range(102):
        tracker.ingest_event({"message": "same", "fingerprint": ["0"]}, project)
    assert len(list(tracker.issues(project))) == 105
    assert len(list(tracker.issues(project, limit=101))) == 101
    assert len(list(tracker.events("SHOP-1"))) == 103
    assert len(list(tracker.events("SHOP-1", limit=2))) == 2
    assert list(tracker.events("SHOP-1", limit=0)) == []


def test_errors_come_from_the_call(tracker: Tracker) -> None:
    """A list of what is not there fails where it is asked for, not where it is walked."""
    with pytest.raises(UnknownProjectError):
        tracker.issues(99)
    with pytest.raises(UnknownIssueError):
        tracker.events("SHOP-1")
    with pytest.raises(UnknownEventError):
        tracker.event(EVENT_ID)
    with pytest.raises(UnknownEventError):
        tracker.event("no id")


def test_an_issue_is_named_in_three_ways(tracker: Tracker, project: Project) -> None:
    """By itself, by its number, by its short id in any case."""
    issue_id = tracker.ingest(ENVELOPE, project.slug).issue_id
    assert issue_id is not None
    issue = tracker.issue("shop-1")
    assert issue == tracker.issue(issue_id) == tracker.issue(issue)
    assert next(tracker.events(issue)).id == next(tracker.events("SHOP-1")).id == EVENT_ID


def test_states(tracker: Tracker, project: Project) -> None:
    """Resolving, filtering by state, and a regression by the next event."""
    tracker.ingest_event({"message": "hello"}, project)
    assert tracker.set_state("SHOP-1", "resolved").resolved_at is not None
    assert list(tracker.issues(project, state="open")) == []
    assert tracker.ingest_event({"message": "hello"}, project).recorded[0].reopened
    assert [issue.short_id for issue in tracker.issues(project, state="open")] == ["SHOP-1"]
    for wrong in ({"state": "closed"}, {"sort": "title"}):
        with pytest.raises(InvalidInputError):
            tracker.issues(project, **wrong)  # type: ignore[arg-type]


def test_deleting(tracker: Tracker, project: Project) -> None:
    """A deleted issue's error opens a new one; a deleted project is gone."""
    tracker.ingest_event({"message": "hello"}, project)
    assert tracker.delete_issue("SHOP-1").short_id == "SHOP-1"
    tracker.ingest_event({"message": "hello"}, project)
    assert [issue.short_id for issue in tracker.issues(project)] == ["SHOP-2"]
    assert tracker.delete_project("shop").id == project.id
    assert list(tracker.projects()) == []


def test_projects(tracker: Tracker) -> None:
    """Projects are created with a key of their own or a given one, renamed, and found by slug or number."""
    made = tracker.create_project("  My App ", key="A1B2C3D4E5F67890ABCDEF1234567890")
    assert (made.name, made.slug, made.sentry_key) == ("My App", "my-app", "a1b2c3d4-e5f6-7890-abcd-ef1234567890")
    assert tracker.rename_project(made, "Other").slug == "my-app"
    assert tracker.project("my-app") == tracker.project(made.id) == tracker.project(made)
    for name, key in ((" ", None), ("x", "no key"), ("x", made.sentry_key)):
        with pytest.raises(InvalidInputError):
            tracker.create_project(name, key=key)


def test_why_an_event_is_in_its_issue(tracker: Tracker, project: Project) -> None:
    """`explain` says the same as the API's `grouping`, of CSP reports too."""
    tracker.ingest_event({"message": "hello", "fingerprint": ["{{ default }}", "x"], "event_id": EVENT_ID.hex}, project)
    assert tracker.explain(EVENT_ID).to_json() == tracker.event_json(EVENT_ID)["grouping"]


def test_tokens(tracker: Tracker) -> None:
    """A token is returned once, and only its hash is kept."""
    kept, secret = tracker.create_token("reader")
    assert [token.masked for token in tracker.tokens()] == [f"{secret[:4]}...****"]
    assert tracker.delete_token(kept.id) == kept
    assert list(tracker.tokens()) == []


def test_time_and_chance_are_arguments() -> None:
    """With clock, ids and tokens given, nothing is left to chance."""
    now = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    with Tracker(
        open_store("memory://"), clock=lambda: now, new_id=lambda: EVENT_ID, new_token=lambda: "a1" * 20
    ) as tracker:
        project = tracker.create_project("shop")
        assert (project.created_at, project.sentry_key) == (now, str(EVENT_ID))
        assert tracker.ingest_event({}, project).event_id == EVENT_ID
        assert tracker.event(EVENT_ID).summary.received_at == now
        assert tracker.create_token()[1] == "a1" * 20


def test_threads_share_a_tracker(tracker: Tracker, project: Project) -> None:
    """Many threads file the same error: one issue, and each event counted once."""
    before = threading.active_count()
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: tracker.ingest_event({"message": "hello"}, project), range(40)))
    assert sum(one.recorded[0].is_new for one in done) == 1
    assert [issue.event_count for issue in tracker.issues(project)] == [40]
    assert threading.active_count() == before


def test_a_closed_tracker(tracker: Tracker, project: Project) -> None:
    """After `close`, calls fail as those of a store that is away."""
    tracker.close()
    with pytest.raises(StoreUnavailableError):
        tracker.ingest(ENVELOPE, project)


def test_direct_intake_records_within_the_call(tracker: Tracker, project: Project) -> None:
    """What was accepted is in the store when `accept` returns; nothing accepted is nothing done."""
    intake = DirectIntake(tracker.store)
    intake.accept(Accepted())
    event = AcceptedEvent(
        project_id=project.id, event_id=EVENT_ID, received_at=tracker.clock(), payload=b'{"message":"hello"}'
    )
    intake.accept(Accepted(events=(event,)))
    assert tracker.event(EVENT_ID).message == "hello"


def test_merge(tracker: Tracker) -> None:
    """Issues are merged by themselves, their numbers or short ids, and come back."""
    project = tracker.create_project("shop")
    one, two, three = (
        tracker.ingest_event({"message": text}, project).issue_id or 0 for text in ("one", "two", "three")
    )
    merged = tracker.merge("shop-1", [tracker.issue(two), three])
    assert (merged.id, merged.event_count, [each.short_id for each in merged.merged]) == (one, 3, ["SHOP-3", "SHOP-2"])
    assert tracker.issue("SHOP-2") == merged
    assert [issue.id for issue in tracker.unmerge(merged, ["SHOP-2", three])] == [two, three]
