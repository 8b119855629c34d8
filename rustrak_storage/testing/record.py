"""What ``record`` must do."""

from functools import partial
from uuid import UUID

import pytest

from rustrak_core.accepted import Count, Outcome
from rustrak_core.digested import User
from rustrak_core.errors import StalePositionError, UnknownEventError
from rustrak_core.issue import IssueState
from rustrak_core.page import EventQuery, IssueQuery
from rustrak_core.ports import Store
from rustrak_core.project import Project, ProjectId
from rustrak_storage.testing.values import (
    LANE,
    NOW,
    StoreContract,
    after,
    at,
    create_project,
    digested,
    issue_ids,
    key,
    record_one,
    step,
    user,
)


class RecordContract(StoreContract):
    """`rustrak_core.ports.IssueStore.record`."""

    def test_opens_an_issue(self, store: Store, project: Project) -> None:
        """The first event of a key opens an issue, and is told so."""
        (recorded,) = store.record([digested(project, 1, late=3, release="1.0")])
        assert (recorded.outcome, recorded.is_new, recorded.reopened) == (Outcome.STORED, True, False)
        assert recorded.issue_id is not None
        issue = store.issue(recorded.issue_id)
        assert (issue.project_id, issue.short_id, issue.state) == (project.id, "MY-APP-1", IssueState.OPEN)
        assert (issue.type, issue.message, issue.culprit) == ("ValueError", "a value is wrong", "app.views in handle")
        assert (issue.level, issue.platform, issue.event_count, issue.user_count) == ("error", "python", 1, 0)
        assert issue.first_seen == issue.last_seen == after(-3)
        assert (issue.first_release, issue.last_release) == ("1.0", "1.0")
        assert (issue.resolved_at, issue.regressed_at, issue.regressed_in) == (None, None, None)

    def test_joins_by_key(self, store: Store, project: Project) -> None:
        """Events of one key are one issue, in a batch and among batches."""
        first = store.record([digested(project, 1), digested(project, 2), digested(project, 3, "b")])
        second = store.record([digested(project, 4), digested(project, 5, "b"), digested(project, 6, "c")])
        assert [one.is_new for one in [*first, *second]] == [True, False, True, False, False, True]
        ids = [one.issue_id for one in [*first, *second]]
        assert ids[0] == ids[1] == ids[3]
        assert ids[2] == ids[4]
        assert len(set(ids)) == 3
        assert store.project(project.id).event_count == 6
        assert store.project(project.id).issue_count == 3

    def test_without_payloads(self, store: Store, project: Project) -> None:
        """An event whose payload was shed is like any other but for that, and counted as ``shed``."""
        events = [
            digested(project, 1, payload=None, environment="production", tags=(("a", "b"),), user=user(1)),
            digested(project, 2),
            digested(project, 3, payload=None),
            digested(project, 3),
        ]
        first, *others = store.record(events)
        assert (first.outcome, first.is_new) == (Outcome.SHED, True)
        assert [one.outcome for one in others] == [Outcome.STORED, Outcome.SHED, Outcome.DUPLICATE]
        assert [one.outcome for one in store.record([digested(project, 1), digested(project, 4, payload=None)])] == [
            Outcome.DUPLICATE,
            Outcome.SHED,
        ]
        shown = store.event(UUID(int=1))
        assert (shown.payload, shown.tags, shown.summary.user) == (None, (("a", "b"),), user(1))
        assert (shown.type, shown.message, shown.key) == ("ValueError", "a value is wrong", key("a"))
        assert store.event(UUID(int=2)).payload == b'{"number": 2}'
        assert store.event(UUID(int=3)).payload is None
        assert first.issue_id is not None
        assert store.issue(first.issue_id).event_count == 4
        assert len(store.events(EventQuery(issue_id=first.issue_id)).items) == 4
        day = NOW.date()
        counts = store.ledger(project.id, since=day, until=day).counts
        assert [(one.outcome, one.reason, one.quantity) for one in counts] == [
            (Outcome.DUPLICATE, "", 2),
            (Outcome.SHED, "repeat", 3),
            (Outcome.STORED, "", 1),
        ]

    def test_mechanisms_are_apart(self, store: Store, project: Project) -> None:
        """The same digits by another mechanism are another key."""
        one, two = key("a", "message@1"), key("a", "stack@1")
        recorded = store.record([digested(project, 1, keys=(one,)), digested(project, 2, keys=(two,))])
        assert recorded[0].issue_id != recorded[1].issue_id

    def test_many_keys(self, store: Store, project: Project) -> None:
        """The first key that is known names the issue, and the others then lead to it too."""
        first = record_one(store, digested(project, 1, "a"))
        assert record_one(store, digested(project, 2, "b", "a", "c")).id == first.id
        assert record_one(store, digested(project, 3, "c")).id == first.id
        assert store.event(UUID(int=2)).key == key("a")
        other = record_one(store, digested(project, 4, "d"))
        assert record_one(store, digested(project, 5, "d", "a")).id == other.id
        assert record_one(store, digested(project, 6, "a")).id == first.id

    def test_former_keys_are_asked_first(self, store: Store, project: Project) -> None:
        """A key of old leads to its issue, the new key then does too; but it leads to none that it did not lead to."""
        old, new = partial(key, mechanism="message@1"), partial(key, mechanism="anchor@1")
        first = record_one(store, digested(project, 1, keys=(old("a"),)))
        assert record_one(store, digested(project, 2, keys=(new("A"),), former=(old("a"),))).id == first.id
        assert store.event(UUID(int=2)).key == old("a")
        assert record_one(store, digested(project, 3, keys=(new("A"),), former=(old("b"),))).id == first.id
        other = record_one(store, digested(project, 4, keys=(new("C"),), former=(old("c"),)))
        assert other.id != first.id
        third = record_one(store, digested(project, 5, keys=(new("D"),), former=(old("c"),)))
        assert third.id not in {first.id, other.id}
        assert record_one(store, digested(project, 6, keys=(new("D"),), former=(old("a"),))).id == first.id

    def test_later_keys_are_asked_last(self, store: Store, project: Project) -> None:
        """A key of a mechanism that came later is asked where the own one is not known; it leads to no new issue."""
        own, after_it = partial(key, mechanism="anchor@1"), partial(key, mechanism="message@1")
        first = record_one(store, digested(project, 1, keys=(after_it("a"),)))
        assert record_one(store, digested(project, 2, keys=(own("A"),), later=(after_it("a"),))).id == first.id
        assert store.event(UUID(int=2)).key == after_it("a")
        assert record_one(store, digested(project, 3, keys=(own("A"),), later=(after_it("b"),))).id == first.id
        assert store.event(UUID(int=3)).key == own("A")
        other = record_one(store, digested(project, 4, keys=(own("B"),), later=(after_it("b"),)))
        assert other.id != first.id
        assert record_one(store, digested(project, 5, keys=(own("B"),), later=(after_it("a"),))).id == other.id
        third = record_one(store, digested(project, 6, keys=(own("C"),), later=(after_it("b"),)))
        assert third.id not in {first.id, other.id}

    def test_mechanisms_in_use(self, store: Store, project: Project) -> None:
        """A project's mechanisms are those of its keys, until their issues are gone."""
        other = create_project(store, "Other")
        assert list(store.mechanisms(project.id)) == []
        made = store.record(
            [
                digested(project, 1, keys=(key("a", "message@1"),)),
                digested(project, 2, keys=(key("b", "anchor@1"), key("c", "fingerprint@1:anchor@1"))),
                digested(project, 3, keys=(key("d", "anchor@1"),)),
                digested(other, 1, keys=(key("a", "stack@1"),)),
            ]
        )
        assert list(store.mechanisms(project.id)) == ["anchor@1", "fingerprint@1:anchor@1", "message@1"]
        assert list(store.mechanisms(other.id)) == ["stack@1"]
        assert made[0].issue_id is not None
        store.delete_issue(made[0].issue_id, now=NOW)
        assert list(store.mechanisms(project.id)) == ["anchor@1", "fingerprint@1:anchor@1"]
        assert list(store.mechanisms(ProjectId(2**60))) == []

    def test_keys_of_projects_are_apart(self, store: Store, project: Project) -> None:
        """A key leads to an issue of its own project only; one batch may be of several."""
        other = create_project(store, "Other")
        one, two = store.record([digested(project, 1), digested(other, 1)])
        assert one.issue_id != two.issue_id
        assert (one.outcome, two.outcome) == (Outcome.STORED, Outcome.STORED)
        assert issue_ids(store, project) == [one.issue_id]
        assert issue_ids(store, other) == [two.issue_id]

    def test_duplicates_change_nothing(self, store: Store, project: Project) -> None:
        """An event id that the project holds is a duplicate, whatever else the event says."""
        issue = record_one(store, digested(project, 1, user=user(1)))
        changed = digested(project, 1, "b", at=9, user=user(2), type="Other", release="2", payload=b"{}")
        for _ in range(2):
            (again,) = store.record([changed])
            assert (again.outcome, again.issue_id, again.is_new) == (Outcome.DUPLICATE, issue.id, False)
        assert store.issue(issue.id) == issue
        assert store.event(UUID(int=1)).payload == b'{"number": 1}'
        assert (store.project(project.id).event_count, store.project(project.id).issue_count) == (1, 1)

    def test_duplicates_within_a_batch(self, store: Store, project: Project) -> None:
        """The first of a batch is stored, and the others are its duplicates."""
        recorded = store.record([digested(project, 1), digested(project, 1, "b"), digested(project, 2, "b")])
        assert [one.outcome for one in recorded] == [Outcome.STORED, Outcome.DUPLICATE, Outcome.STORED]
        assert recorded[1].issue_id == recorded[0].issue_id
        assert recorded[2].is_new

    def test_short_ids_have_no_gaps(self, store: Store, project: Project) -> None:
        """Numbers count up per project, whatever else happens meanwhile."""
        other = create_project(store, "Other")
        store.record([digested(project, 1, "a"), digested(other, 1, "a"), digested(project, 1, "x")])
        store.record([digested(project, 2, "b"), digested(other, 2, "b"), digested(project, 3, "c")])
        for name, owner, count in (("MY-APP", project, 3), ("OTHER", other, 2)):
            issues = store.issues(IssueQuery(project_id=owner.id)).items
            assert sorted(issue.short_id for issue in issues) == [f"{name}-{n}" for n in range(1, count + 1)]

    def test_columns_follow_the_latest_event(self, store: Store, project: Project) -> None:
        """Late events move first seen back and nothing else; the latest by time decides what is shown."""
        store.record([digested(project, 1, at=10, type="New", message="new", level="fatal", culprit="n")])
        late = digested(project, 2, at=20, late=100, type="Old", message="old", level="info", culprit="o")
        issue = record_one(store, late)
        assert (issue.type, issue.message, issue.level, issue.culprit) == ("New", "new", "fatal", "n")
        assert (issue.first_seen, issue.last_seen, issue.event_count) == (after(-80), after(10), 2)
        issue = record_one(store, digested(project, 3, at=11, type="Newer", platform="node"))
        assert (issue.type, issue.platform) == ("Newer", "node")
        assert (issue.first_seen, issue.last_seen, issue.event_count) == (after(-80), after(11), 3)

    @pytest.mark.parametrize("together", [False, True])
    def test_ties(self, store: Store, project: Project, *, together: bool) -> None:
        """Of events of one time the one received last is the latest, then the one whose id is higher."""
        events = [
            digested(project, 5, at=2, late=2, type="middle"),
            digested(project, 9, at=2, late=2, type="latest"),
            digested(project, 7, at=2, late=2, type="before"),
            digested(project, 99, at=1, late=1, type="received before"),
        ]
        for batch in [events] if together else [[event] for event in events]:
            store.record(batch)
        (issue,) = store.issues(IssueQuery(project_id=project.id)).items
        assert issue.type == "latest"

    def test_releases(self, store: Store, project: Project) -> None:
        """First and last release go by event time, events without one aside."""
        events = [
            digested(project, 1, at=10, release="b"),
            digested(project, 2, at=20),
            digested(project, 3, at=15, release="c"),
            digested(project, 4, at=30, late=25, release="a"),
            digested(project, 5, at=31, late=31),
        ]
        store.record(events[:2])
        store.record(events[2:])
        (issue,) = store.issues(IssueQuery(project_id=project.id)).items
        assert (issue.first_release, issue.last_release) == ("a", "c")

    def test_users_are_distinct(self, store: Store, project: Project) -> None:
        """Users are counted once an issue, by id, else email, username, address."""
        users = [
            User(id="1"),
            User(id="1", email="other@example.com"),
            User(email="1"),
            User(username="1"),
            User(ip_address="1"),
            User(ip_address="1", username="1"),
            User(),
            None,
        ]
        store.record([digested(project, number, user=one) for number, one in enumerate(users[:4])])
        issue = record_one(store, digested(project, 50, user=users[0]))
        assert issue.user_count == 3
        store.record([digested(project, number, user=one) for number, one in enumerate(users, 100)])
        assert store.issue(issue.id).user_count == 4
        assert record_one(store, digested(project, 51, "b", user=users[0])).user_count == 1

    def test_regression(self, store: Store, project: Project) -> None:
        """An event received after its issue was resolved reopens it, once; one received before does not."""
        issue = record_one(store, digested(project, 1))
        store.set_issue_state(issue.id, IssueState.RESOLVED, now=after(10))
        (before,) = store.record([digested(project, 2, at=9)])
        assert not before.reopened
        assert store.issue(issue.id).state is IssueState.RESOLVED
        late = digested(project, 3, at=11, late=100, release="2.0")
        recorded = store.record([digested(project, 4, at=10), late, digested(project, 5, at=12, release="3.0")])
        assert [one.reopened for one in recorded] == [False, True, False]
        reopened = store.issue(issue.id)
        assert (reopened.state, reopened.resolved_at) == (IssueState.OPEN, None)
        assert (reopened.regressed_at, reopened.regressed_in) == (after(11), "2.0")

    def test_muted_stays_muted(self, store: Store, project: Project) -> None:
        """A muted issue counts on in silence."""
        issue = record_one(store, digested(project, 1))
        store.set_issue_state(issue.id, IssueState.MUTED, now=after(1))
        (recorded,) = store.record([digested(project, 2, at=2)])
        assert not recorded.reopened
        assert store.issue(issue.id).state is IssueState.MUTED
        assert store.issue(issue.id).event_count == 2

    def test_large_batch(self, store: Store, project: Project) -> None:
        """A batch may hold more events, issues and values than any statement takes."""
        first = [digested(project, n, f"k{n % 700}", user=user(n), release=f"r{n}") for n in range(1300)]
        assert sum(one.is_new for one in store.record(first)) == 700
        more = [digested(project, n, f"k{n % 700}", user=user(n)) for n in range(600, 1900)]
        recorded = store.record(more)
        assert [one.outcome for one in recorded] == [Outcome.DUPLICATE] * 700 + [Outcome.STORED] * 600
        assert store.project(project.id).event_count == 1900
        assert store.project(project.id).issue_count == 700
        issues = store.issues(IssueQuery(project_id=project.id, limit=100)).items
        assert {issue.event_count for issue in issues} <= {2, 3}

    def test_nothing(self, store: Store) -> None:
        """An empty batch is fine."""
        assert list(store.record([])) == []

    def test_texts_are_cut_and_cleaned(self, store: Store, project: Project) -> None:
        """Texts that slipped through are cut and cleaned, not refused: an event is never lost for them."""
        bad = "\0\ud800é" * 3000
        tags = (("k\0", "v\udfff"), ("long", "\U0001f98a" * 500))
        event = digested(
            project,
            1,
            type=bad,
            message=bad,
            culprit=bad,
            platform=bad,
            environment=bad,
            release=bad,
            tags=tags,
            user=User(id=bad),
            remote_addr=bad,
            sdk_client=bad,
            hints=(("release", "\ud800"),),
        )
        issue = record_one(store, event)
        assert "\0" not in issue.message
        assert issue.message.encode()
        assert len(issue.type) <= 256
        assert issue_ids(store, project, tags=(("k", "v\N{REPLACEMENT CHARACTER}"),)) == [issue.id]
        assert store.event(UUID(int=1)).summary.id == UUID(int=1)
        assert store.events(EventQuery(issue_id=issue.id)).items

    @pytest.mark.parametrize("payload", [b"", b"\0\xff\xfe", b"{}" * 700_000, bytes(range(256)) * 50])
    def test_payloads_are_kept_to_the_byte(self, store: Store, project: Project, payload: bytes) -> None:
        """A payload comes back as sent, whatever it is."""
        store.record([digested(project, 1, payload=payload)])
        assert store.event(UUID(int=1)).payload == payload

    def test_position(self, store: Store, project: Project) -> None:
        """A lane's position moves with its batch."""
        assert store.position(LANE) is None
        store.record([digested(project, 1)], advance=step(0))
        assert store.position(LANE) == at(1)
        store.record([], advance=step(1))
        assert store.position(LANE) == at(2)
        assert store.position("f" * 32) is None

    def test_stale_position(self, store: Store, project: Project) -> None:
        """A batch that was recorded already, or does not follow, is refused and leaves nothing."""
        store.record([digested(project, 1)], advance=step(0))
        store.record([digested(project, 2)], advance=step(1))
        count = Count(project_id=project.id, day=NOW.date(), category="error", outcome=Outcome.INVALID)
        before = store.ledger(project.id, since=NOW.date(), until=NOW.date())
        for stale in (step(0), step(1), step(3)):
            with pytest.raises(StalePositionError):
                store.record([digested(project, 3, "new")], counts=[count], advance=stale)
        with pytest.raises(UnknownEventError):
            store.event(UUID(int=3))
        assert store.ledger(project.id, since=NOW.date(), until=NOW.date()) == before
        assert store.position(LANE) == at(2)
        assert store.project(project.id).issue_count == 1
        assert record_one(store, digested(project, 4, "new")).short_id == "MY-APP-2"
