"""What an EventStore must do."""

from uuid import UUID

import pytest

from rustrak_core.digested import EventSummary, StoredEvent, User
from rustrak_core.errors import UnknownEventError, UnknownIssueError
from rustrak_core.issue import IssueId
from rustrak_core.page import EventQuery, Keyset
from rustrak_core.ports import Store
from rustrak_core.project import Project, ProjectId
from rustrak_storage.testing.values import NOW, StoreContract, after, create_project, digested, key, record_one


class EventStoreContract(StoreContract):
    """`rustrak_core.ports.EventStore`."""

    @pytest.mark.parametrize("payload", [b'{"a": "b"}', b"\n{}\n", b"", b"\x00\xff" * 9000, None])
    def test_whole(self, store: Store, project: Project, payload: bytes | None) -> None:
        """An event comes back with all that was recorded of it, whatever its payload, and also where that was shed."""
        event = digested(
            project,
            7,
            late=1,
            kind="csp",
            environment="prod",
            release="1.0",
            user=User(id="1", username="grüße", ip_address="::1"),
            tags=(("a", "b"), ("ü", "\U0001f98a")),
            remote_addr="10.0.0.1",
            sdk_client="sentry.python/2.75.0",
            hints=(("release", "x"),),
            payload=payload,
        )
        issue = record_one(store, event)
        assert store.event(event.event_id) == StoredEvent(
            summary=EventSummary(
                id=event.event_id,
                project_id=project.id,
                issue_id=issue.id,
                timestamp=after(-1),
                received_at=NOW,
                environment="prod",
                release="1.0",
                user=event.user,
            ),
            key=key("a"),
            kind="csp",
            type=event.type,
            message=event.message,
            culprit=event.culprit,
            level=event.level,
            platform=event.platform,
            tags=event.tags,
            remote_addr="10.0.0.1",
            sdk_client="sentry.python/2.75.0",
            hints=event.hints,
            payload=payload,
        )

    def test_least(self, store: Store, project: Project) -> None:
        """What an event has not is None, or empty."""
        record_one(store, digested(project, 1))
        found = store.event(UUID(int=1))
        assert (found.summary.environment, found.summary.release, found.summary.user) == (None, None, None)
        assert (found.tags, found.hints, found.remote_addr, found.sdk_client) == ((), (), None, None)

    def test_list(self, store: Store, project: Project) -> None:
        """Events of an issue come newest first, by event time, then receipt, then id."""
        events = [
            digested(project, 1, at=5),
            digested(project, 2, at=9, late=4),
            digested(project, 3, at=9, late=4),
            digested(project, 4, at=7, late=7),
            digested(project, 2**128 - 1, at=5),
        ]
        issue = record_one(store, events[0])
        store.record(events[1:])
        record_one(store, digested(project, 9, "b", at=6))
        found = store.events(EventQuery(issue_id=issue.id)).items
        assert [row.id.int for row in found] == [3, 2, 2**128 - 1, 1, 4]
        assert [row.timestamp for row in found] == [after(5)] * 4 + [after(0)]
        assert {row.issue_id for row in found} == {issue.id}

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_pages(self, store: Store, project: Project, limit: int) -> None:
        """Pages follow one another, ties included."""
        store.record([digested(project, n + 1, at=n % 3, late=n % 2) for n in range(7)])
        (issue,) = {row.issue_id for row in [store.event(UUID(int=1)).summary]}
        whole = store.events(EventQuery(issue_id=issue)).items
        found: list[EventSummary] = []
        last = None
        for _ in range(8):
            page = store.events(EventQuery(issue_id=issue, limit=limit, after=last))
            found += page.items
            last = page.after
            if last is None:
                break
        assert last is None
        assert found == list(whole)
        assert len(found) == 7

    def test_page_while_inserting(self, store: Store, project: Project) -> None:
        """Events that come between two pages make no other repeat or vanish."""
        issue = record_one(store, digested(project, 1, at=1))
        store.record([digested(project, n, at=n) for n in range(2, 6)])
        first = store.events(EventQuery(issue_id=issue.id, limit=2))
        store.record([digested(project, 50, at=50), digested(project, 60, at=2.5)])
        rest = store.events(EventQuery(issue_id=issue.id, limit=9, after=first.after))
        assert [row.id.int for row in [*first.items, *rest.items]] == [5, 4, 3, 60, 2, 1]

    def test_unknown(self, store: Store, project: Project) -> None:
        """What is not there raises."""
        issue = record_one(store, digested(project, 1))
        with pytest.raises(UnknownEventError):
            store.event(UUID(int=2))
        with pytest.raises(UnknownEventError):
            store.event(UUID(int=1), project_id=ProjectId(project.id + 1))
        for number in (issue.id + 1, 2**64):
            with pytest.raises(UnknownIssueError):
                store.events(EventQuery(issue_id=IssueId(number)))
            with pytest.raises(UnknownEventError):
                store.event(UUID(int=1), project_id=ProjectId(number + 99))

    def test_made_up_keyset(self, store: Store, project: Project) -> None:
        """Numbers that no row can have give an empty page, or all of it."""
        issue = record_one(store, digested(project, 1))
        for values, count in (((2**70, 0, 0), 1), ((-(2**70), -1, -1), 0), ((0, 2**200, -5), 0)):
            page = store.events(EventQuery(issue_id=issue.id, after=Keyset(values=values)))
            assert len(page.items) == count

    def test_one_id_in_two_projects(self, store: Store, project: Project) -> None:
        """Where two projects hold an id, the newest answers, and the project may be chosen."""
        other = create_project(store, "Other")
        store.record([digested(project, 1, at=5, payload=b"one"), digested(other, 1, at=3, payload=b"two")])
        assert store.event(UUID(int=1)).payload == b"one"
        assert store.event(UUID(int=1), project_id=project.id).payload == b"one"
        assert store.event(UUID(int=1), project_id=other.id).payload == b"two"
        store.delete_project(project.id, now=NOW)
        assert store.event(UUID(int=1)).payload == b"two"

    def test_odd_times(self, store: Store, project: Project) -> None:
        """Times keep their microseconds, also long ago."""
        old = NOW.replace(year=1, microsecond=1)
        before = NOW.replace(year=1969, microsecond=999_999)
        issue = record_one(store, digested(project, 1, timestamp=before))
        store.record([digested(project, 2, timestamp=old)])
        found = store.events(EventQuery(issue_id=issue.id)).items
        assert [row.timestamp for row in found] == [before, old]
        assert store.issue(issue.id).first_seen == old
        first = store.events(EventQuery(issue_id=issue.id, limit=1))
        assert [row.id.int for row in store.events(EventQuery(issue_id=issue.id, after=first.after)).items] == [2]
