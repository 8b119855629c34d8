"""What an IssueStore must do beside recording: lists, states, deletion."""

from typing import Any
from uuid import UUID

import pytest

from rustrak_core.accepted import Outcome
from rustrak_core.errors import UnknownEventError, UnknownIssueError, UnknownProjectError
from rustrak_core.issue import Issue, IssueId, IssueState, ShortId
from rustrak_core.page import EventQuery, IssueQuery, IssueSort, Keyset
from rustrak_core.ports import Store
from rustrak_core.project import Project, ProjectId
from rustrak_storage.testing.values import NOW, StoreContract, after, digested, issue_ids, record_one


class IssueListContract(StoreContract):
    """`rustrak_core.ports.IssueStore.issues`."""

    def test_newest_first(self, store: Store, project: Project) -> None:
        """Without more, all issues come, the one last seen first."""
        first, second, third = (record_one(store, digested(project, n, str(n), at=-n * n + 3 * n)) for n in range(3))
        assert issue_ids(store, project) == [third.id, second.id, first.id]

    def test_unknown_project(self, store: Store, project: Project) -> None:
        """A project that is not there has no list."""
        with pytest.raises(UnknownProjectError):
            store.issues(IssueQuery(project_id=ProjectId(project.id + 1)))

    @pytest.mark.parametrize("sort", IssueSort)
    @pytest.mark.parametrize("descending", [True, False])
    def test_pages(self, store: Store, project: Project, sort: IssueSort, *, descending: bool) -> None:
        """In every order, pages follow one another without repeating or leaving out, ties by id."""
        numbers = range(11)
        store.record([digested(project, n, str(n), at=n * 7 % 3, late=n * 5 % 4) for n in numbers])
        store.record([digested(project, 100 + n, str(n), at=n * 7 % 3, late=1) for n in numbers if n % 3])
        whole = store.issues(IssueQuery(project_id=project.id)).items
        wanted = sorted(whole, key=lambda issue: (getattr(issue, sort.value), issue.id), reverse=descending)
        found: list[Issue] = []
        last = None
        for _ in range(4):
            query = IssueQuery(project_id=project.id, sort=sort, descending=descending, limit=3, after=last)
            page = store.issues(query)
            found += page.items
            last = page.after
        assert last is None
        assert found == wanted

    @pytest.mark.parametrize("sort", IssueSort)
    def test_made_up_keyset(self, store: Store, project: Project, sort: IssueSort) -> None:
        """Numbers that no row can have give an empty page, or all of it."""
        record_one(store, digested(project, 1))
        for values, count in (((2**70, 2**70), 1), ((-(2**70), -(2**70)), 0)):
            query = IssueQuery(project_id=project.id, sort=sort, after=Keyset(values=values))
            assert len(store.issues(query).items) == count

    def test_page_while_inserting(self, store: Store, project: Project) -> None:
        """Issues that come, or go, between two pages make no other repeat or vanish."""
        issues = [record_one(store, digested(project, n, str(n), at=-n)) for n in range(6)]
        first = store.issues(IssueQuery(project_id=project.id, limit=2))
        record_one(store, digested(project, 50, "newer", at=5))
        between = record_one(store, digested(project, 51, "between", at=-2.5))
        store.delete_issue(issues[1].id, now=NOW)
        store.delete_issue(issues[3].id, now=NOW)
        rest = store.issues(IssueQuery(project_id=project.id, limit=20, after=first.after))
        assert [issue.id for issue in first.items] == [issues[0].id, issues[1].id]
        assert [issue.id for issue in rest.items] == [issues[2].id, between.id, issues[4].id, issues[5].id]

    def test_states(self, store: Store, project: Project) -> None:
        """A list can be of one state."""
        issues = [record_one(store, digested(project, n, str(n), at=-n)) for n in range(4)]
        store.set_issue_state(issues[1].id, IssueState.RESOLVED, now=NOW)
        store.set_issue_state(issues[2].id, IssueState.MUTED, now=NOW)
        assert issue_ids(store, project, state=IssueState.OPEN) == [issues[0].id, issues[3].id]
        assert issue_ids(store, project, state=IssueState.RESOLVED) == [issues[1].id]
        assert issue_ids(store, project, state=IssueState.MUTED) == [issues[2].id]

    def test_facets(self, store: Store, project: Project) -> None:
        """An issue is found by what any of its events has; filters combine."""
        one = record_one(store, digested(project, 1, "1", environment="prod", release="1.0", tags=(("os", "Linux"),)))
        store.record([digested(project, 2, "1", environment="dev", level="fatal", tags=(("os", "Mac"), ("b", "c")))])
        two = record_one(store, digested(project, 3, "2", at=-1, environment="prod", tags=(("b", "c"),)))
        cases: list[tuple[dict[str, Any], list[IssueId]]] = [
            ({"environment": "prod"}, [one.id, two.id]),
            ({"environment": "dev"}, [one.id]),
            ({"environment": "PROD"}, []),
            ({"environment": "prod "}, []),
            ({"release": "1.0"}, [one.id]),
            ({"release": "1"}, []),
            ({"level": "error"}, [one.id, two.id]),
            ({"level": "fatal"}, [one.id]),
            ({"tags": (("os", "Linux"), ("os", "Mac"))}, [one.id]),
            ({"tags": (("b", "c"),)}, [one.id, two.id]),
            ({"tags": (("b", "C"),)}, []),
            ({"tags": (("B", "c"),)}, []),
            ({"environment": "prod", "level": "fatal", "tags": (("b", "c"),), "state": IssueState.OPEN}, [one.id]),
            ({"environment": "prod", "state": IssueState.MUTED}, []),
            ({"environment": "a\0b"}, []),
            ({"environment": "\ud800"}, []),
        ]
        for filters, wanted in cases:
            assert issue_ids(store, project, **filters) == wanted, filters

    def test_frequent_facet(self, store: Store, project: Project) -> None:
        """Filters hold also where more issues have the value than are looked up at once."""
        store.record([digested(project, n, str(n), at=-n, environment="prod" if n % 10 else "dev") for n in range(700)])
        found = issue_ids(store, project, environment="prod", limit=100)
        assert len(found) == 100
        dev = issue_ids(store, project, environment="dev", limit=100)
        assert len(dev) == 70
        assert not set(found) & set(dev)

    def test_values_beyond_the_bound(self, store: Store, project: Project) -> None:
        """Of one key, an issue keeps a thousand values; further ones are counted together and not found."""
        events = [digested(project, n, tags=(("n", str(n)),), environment="prod") for n in range(1100)]
        for start in (0, 400, 800):
            store.record(events[start : start + 400])
        found = [n for n in (0, 399, 999, 1000, 1099) if issue_ids(store, project, tags=(("n", str(n)),))]
        assert found == [0, 399, 999]
        store.record([digested(project, 2000, tags=(("n", "5"), ("other", "x")))])
        assert issue_ids(store, project, tags=(("other", "x"),))
        assert issue_ids(store, project, environment="prod")

    @pytest.mark.parametrize(
        ("word", "found"),
        [
            ("straße", True),
            ("STRASSE", True),
            ("ÄRGER", True),
            ("100%", True),
            ("1%0", False),
            ("a_b", True),
            ("aXb", False),
            ("c:\\dir", True),
            ("/x/", True),
            ("views", True),
            ("KEYERROR", True),
            ("k_yerror", False),
            ("'; --", True),
            ("\0", True),
            ("\ud800", False),
            ("nothing", False),
        ],
    )
    def test_words(self, store: Store, project: Project, word: str, *, found: bool) -> None:
        """A word is found in type, message or culprit, in any case, and stands for itself only."""
        event = digested(
            project, 1, type="KeyError", message="Straße ärger 100% a_b c:\\dir /x/ '; --", culprit="app.views"
        )
        issue = record_one(store, event)
        assert issue_ids(store, project, words=(word,)) == ([issue.id] if found else [])

    def test_all_words(self, store: Store, project: Project) -> None:
        """All words must be there, in the latest event."""
        issue = record_one(store, digested(project, 1, message="alpha beta"))
        assert issue_ids(store, project, words=("BETA", "alpha", "valueerror")) == [issue.id]
        assert issue_ids(store, project, words=("alpha", "gamma")) == []
        store.record([digested(project, 2, message="gamma", at=1)])
        assert issue_ids(store, project, words=("alpha",)) == []
        assert issue_ids(store, project, words=("gamma",)) == [issue.id]


class IssueStoreContract(StoreContract):
    """`rustrak_core.ports.IssueStore`: one issue, its states, its deletion."""

    def test_by_number_and_short_id(self, store: Store, project: Project) -> None:
        """An issue is found by its number and by its short id."""
        issue = record_one(store, digested(project, 1))
        assert store.issue(issue.short_id) == store.issue(issue.id) == issue

    def test_unknown(self, store: Store, project: Project) -> None:
        """What is not there raises, in every call."""
        issue = record_one(store, digested(project, 1))
        unknown: list[IssueId | ShortId] = [
            IssueId(issue.id + 1),
            IssueId(2**53 - 1),
            IssueId(2**64),
            ShortId("MY-APP-2"),
            ShortId("MY-APPS-1"),
            ShortId("X-999999999999999999"),
        ]
        for ref in unknown:
            with pytest.raises(UnknownIssueError):
                store.issue(ref)
            with pytest.raises(UnknownIssueError):
                store.set_issue_state(ref, IssueState.MUTED, now=NOW)
            with pytest.raises(UnknownIssueError):
                store.delete_issue(ref, now=NOW)

    def test_states(self, store: Store, project: Project) -> None:
        """Resolving notes the moment, any other state clears it, and the same state changes nothing."""
        issue = record_one(store, digested(project, 1))
        resolved = store.set_issue_state(issue.short_id, IssueState.RESOLVED, now=after(5))
        assert (resolved.state, resolved.resolved_at) == (IssueState.RESOLVED, after(5))
        assert store.set_issue_state(issue.id, IssueState.RESOLVED, now=after(9)) == resolved
        assert store.issue(issue.id) == resolved
        muted = store.set_issue_state(issue.id, IssueState.MUTED, now=after(10))
        assert (muted.state, muted.resolved_at) == (IssueState.MUTED, None)
        assert store.set_issue_state(issue.id, IssueState.OPEN, now=after(11)) == issue

    def test_delete(self, store: Store, project: Project) -> None:
        """A deleted issue is returned as it was, and gone at once with its events."""
        kept = record_one(store, digested(project, 2, "b"))
        issue = record_one(store, digested(project, 1))
        assert store.delete_issue(issue.short_id, now=after(1)) == issue
        for call in (
            lambda: store.issue(issue.id),
            lambda: store.issue(issue.short_id),
            lambda: store.set_issue_state(issue.id, IssueState.OPEN, now=NOW),
            lambda: store.delete_issue(issue.id, now=NOW),
            lambda: store.events(EventQuery(issue_id=issue.id)),
        ):
            with pytest.raises(UnknownIssueError):
                call()
        with pytest.raises(UnknownEventError):
            store.event(UUID(int=1))
        assert issue_ids(store, project) == [kept.id]
        assert (store.project(project.id).event_count, store.project(project.id).issue_count) == (2, 1)

    @pytest.mark.parametrize("purged", [False, True])
    def test_comes_again(self, store: Store, project: Project, *, purged: bool) -> None:
        """The same error later opens a new issue with a new number, and knows nothing of the old one."""
        issue = record_one(store, digested(project, 1, release="1", environment="prod", tags=(("a", "b"),)))
        store.delete_issue(issue.id, now=NOW)
        while purged and store.purge():
            pass
        again = record_one(store, digested(project, 2, at=5))
        assert again.short_id == "MY-APP-2"
        assert again.id > issue.id
        assert (again.event_count, again.first_seen, again.first_release) == (1, after(5), None)
        assert issue_ids(store, project, environment="prod") == []

    @pytest.mark.parametrize("purged", [False, True])
    def test_its_events_may_come_again(self, store: Store, project: Project, *, purged: bool) -> None:
        """An event of a deleted issue that is sent again is no duplicate of what nobody can see."""
        issue = record_one(store, digested(project, 1))
        store.delete_issue(issue.id, now=NOW)
        while purged and store.purge():
            pass
        (recorded,) = store.record([digested(project, 1, payload=b"again")])
        assert (recorded.outcome, recorded.is_new) == (Outcome.STORED, True)
        while store.purge():
            pass
        assert store.event(UUID(int=1)).payload == b"again"
        (recorded,) = store.record([digested(project, 1)])
        assert recorded.outcome is Outcome.DUPLICATE

    def test_all_its_keys_go(self, store: Store, project: Project) -> None:
        """None of its keys leads anywhere afterwards; other issues keep theirs."""
        issue = record_one(store, digested(project, 1, "a", "b"))
        other = record_one(store, digested(project, 2, "c"))
        store.delete_issue(issue.id, now=NOW)
        recorded = store.record([digested(project, 3, "b"), digested(project, 4, "a"), digested(project, 5, "c")])
        assert [one.is_new for one in recorded] == [True, True, False]
        assert recorded[2].issue_id == other.id
