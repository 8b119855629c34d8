"""What a MergeStore must do: take merged issues apart as if they never had been merged."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from rustrak_core.errors import InvalidInputError, UnknownIssueError
from rustrak_core.issue import IssueId, IssueState, ShortId
from rustrak_core.ports import Store
from rustrak_core.project import Project
from rustrak_storage.testing.merges import alike, event_ids, events_of, names
from rustrak_storage.testing.values import (
    NOW,
    StoreContract,
    after,
    create_project,
    digested,
    issue_ids,
    key,
    record_one,
    user,
)


class UnmergeContract(StoreContract):
    """`rustrak_core.ports.MergeStore`: taking apart what was merged."""

    def test_as_if_never_merged(self, store: Store, project: Project) -> None:
        """Both come to be what they would be, had they never been merged, with the events recorded meanwhile."""
        twin = create_project(store, "Twin")
        for into, merging in ((project, True), (twin, False)):
            base = 0 if merging else 1000
            store.record(events_of(into, base))
            one, two = (store.event(UUID(int=base + n)).summary.issue_id for n in (0, 1))
            if merging:
                store.merge_issues(one, [two], now=after(50))
            store.record(events_of(into, base + 100, at=100))
            if merging:
                back = store.unmerge_issues(one, [two])
                assert back == [store.issue(two)]
            store.record(events_of(into, base + 200, at=200))
            assert event_ids(store, one) | event_ids(store, two) == {
                base + n + k for n in range(8) for k in (0, 100, 200)
            }
        for n in (0, 1):
            mine, its = (store.issue(store.event(UUID(int=base + n)).summary.issue_id) for base in (0, 1000))
            assert alike(mine) == alike(its)
            assert mine.merged == ()
        for filters in (
            {"environment": "e0"},
            {"environment": "e1"},
            {"environment": "both"},
            {"level": "fatal"},
            {"release": "101"},
            {"tags": (("shelf", "0"),)},
            {"tags": (("shelf", "3"),)},
        ):
            found = [issue_ids(store, into, **filters) for into in (project, twin)]
            assert [store.issue(number).short_id[-2:] for number in found[0]] == [
                store.issue(number).short_id[-2:] for number in found[1]
            ], filters
        assert store.project(project.id).issue_count == store.project(twin.id).issue_count == 2

    def test_events_recorded_since(self, store: Store, project: Project) -> None:
        """Events that came by the source's keys after the merge are its own; its keys lead to it again."""
        one, two = (record_one(store, digested(project, n, text, at=n)) for n, text in enumerate("ab", 1))
        store.merge_issues(one.id, [two.id], now=NOW)
        store.record([digested(project, 10, "b", at=10, user=user(1)), digested(project, 11, "a", at=11)])
        (back,) = store.unmerge_issues(one.id, [two.id])
        assert (back.id, back.short_id, back.event_count, back.user_count) == (two.id, "MY-APP-2", 2, 1)
        assert (event_ids(store, one), event_ids(store, two)) == ({1, 11}, {2, 10})
        assert record_one(store, digested(project, 12, "b")).id == two.id
        assert record_one(store, digested(project, 13, "a")).id == one.id
        assert store.project(project.id).issue_count == 2

    def test_keys_learned_since(self, store: Store, project: Project) -> None:
        """A newer key that an event of the source brought is the source's, and one of the target's the target's."""
        one, two = (record_one(store, digested(project, n, text)) for n, text in enumerate("ab", 1))
        store.merge_issues(one.id, [two.id], now=NOW)
        newer = [
            digested(project, 10, "new of b", former=(key("b"),)),
            digested(project, 11, "new of a", former=(key("a"),)),
            digested(project, 12, "a", "second of a"),
        ]
        store.record(newer)
        store.record([digested(project, 13, "new of b")])
        store.unmerge_issues(one.id, [two.id])
        assert (event_ids(store, one), event_ids(store, two)) == ({1, 11, 12}, {2, 10, 13})
        for text, issue in (("new of b", two), ("new of a", one), ("second of a", one)):
            assert record_one(store, digested(project, sum(text.encode()), text)).id == issue.id

    def test_users_come_again(self, store: Store, project: Project) -> None:
        """A user that left with the source's events is counted when he comes again, whoever remembered him."""
        one, two = (record_one(store, digested(project, n, text)) for n, text in enumerate("ab", 1))
        store.merge_issues(one.id, [two.id], now=NOW)
        store.record([digested(project, 10, "b", user=user(7), environment="prod")])
        store.unmerge_issues(one.id, [two.id])
        assert [store.issue(issue.id).user_count for issue in (one, two)] == [0, 1]
        assert issue_ids(store, project, environment="prod") == [two.id]
        store.record([digested(project, 11, "a", user=user(7), environment="prod")])
        assert [store.issue(issue.id).user_count for issue in (one, two)] == [1, 1]
        assert set(issue_ids(store, project, environment="prod")) == {one.id, two.id}

    def test_chain(self, store: Store, project: Project) -> None:
        """Of A into B and B into C, taking B out leaves A in B, and taking A out leaves B in C."""
        a, b, c = (record_one(store, digested(project, n, text)).id for n, text in enumerate("abc", 1))
        for first, rest in ((a, b), (b, a)):
            store.merge_issues(b, [a], now=after(1))
            store.merge_issues(c, [b], now=after(2))
            assert names(store.issue(c)) == ["MY-APP-2", "MY-APP-1"]
            (back,) = store.unmerge_issues(c, [first])
            assert back.id == first
            assert names(back) == (["MY-APP-1"] if first == b else [])
            assert names(store.issue(c)) == ([] if first == b else ["MY-APP-2"])
            assert back.event_count == (2 if first == b else 1)
            assert store.issue(a).id == (b if first == b else a)
            assert store.unmerge_issues(b, [rest])[0].id == rest
            assert [event_ids(store, issue) for issue in (a, b, c)] == [{1}, {2}, {3}]
            assert [store.issue(issue).merged for issue in (a, b, c)] == [()] * 3

    def test_a_whole_chain_at_once(self, store: Store, project: Project) -> None:
        """All of a chain can come back in one call, in whatever order they are named."""
        a, b, c, d = (record_one(store, digested(project, n, text)).id for n, text in enumerate("abcd", 1))
        for order in ([a, b, c], [c, b, a], [b, a, c, b]):
            for source, target in ((a, b), (b, c), (c, d)):
                store.merge_issues(target, [source], now=NOW)
            back = store.unmerge_issues(d, order)
            assert [issue.id for issue in back] == list(dict.fromkeys(order))
            assert [event_ids(store, issue) for issue in (a, b, c, d)] == [{1}, {2}, {3}, {4}]
            assert store.project(project.id).issue_count == 4

    def test_a_regression_meanwhile(self, store: Store, project: Project) -> None:
        """A source that was resolved is open when it comes back with an event received since, and else resolved."""
        one, two = (record_one(store, digested(project, n, text)) for n, text in enumerate("ab", 1))
        resolved = store.set_issue_state(two.id, IssueState.RESOLVED, now=after(10))
        store.merge_issues(one.id, [two.id], now=after(11))
        assert store.unmerge_issues(one.id, [two.id]) == [resolved]
        store.merge_issues(one.id, [two.id], now=after(11))
        store.record([digested(project, 10, "b", at=12, release="3"), digested(project, 11, "a", at=13)])
        (back,) = store.unmerge_issues(one.id, [two.id])
        assert (back.state, back.resolved_at) == (IssueState.OPEN, None)
        assert (back.regressed_at, back.regressed_in) == (after(12), "3")

    def test_refused(self, store: Store, project: Project) -> None:
        """What is not merged into that issue is named, and nothing comes back."""
        a, b, c = (record_one(store, digested(project, n, text)).id for n, text in enumerate("abc", 1))
        merged = store.merge_issues(a, [b], now=NOW)
        refused: list[tuple[IssueId, Sequence[IssueId | ShortId], type[Exception], str]] = [
            (a, [b, c], InvalidInputError, r"issue_ids\[1\]: is not merged into this issue"),
            (a, [a], InvalidInputError, r"issue_ids\[0\]: is not merged into this issue"),
            (c, [b], InvalidInputError, r"issue_ids\[0\]: is not merged into this issue"),
            (a, [], InvalidInputError, "issue_ids: must name 1 to 100"),
            (a, [ShortId("MY-APP-9")], UnknownIssueError, r"issue_ids\[0\]: no such issue"),
            (IssueId(2**40), [b], UnknownIssueError, "no such issue"),
        ]
        for target, sources, error, text in refused:
            with pytest.raises(error, match=text):
                store.unmerge_issues(target, sources)
        assert store.issue(b) == merged

    def test_values_beyond_the_bound(self, store: Store, project: Project) -> None:
        """Values that there was no room for are counted together, through a merge and its undo."""
        for start, text in ((0, "a"), (2000, "b")):
            store.record([digested(project, start + n, text, tags=(("n", str(start + n)),)) for n in range(700)])
        one, two = (store.event(UUID(int=n)).summary.issue_id for n in (0, 2000))
        assert store.merge_issues(one, [two], now=NOW).event_count == 1400
        assert issue_ids(store, project, tags=(("n", "0"),)) == [one]
        kept = sum(issue_ids(store, project, tags=(("n", str(2000 + n)),)) == [one] for n in range(0, 700, 50))
        assert 0 < kept < 14
        store.unmerge_issues(one, [two])
        for n in (0, 300, 699):
            assert issue_ids(store, project, tags=(("n", str(n)),)) == [one]
            assert issue_ids(store, project, tags=(("n", str(2000 + n)),)) == [two]
        store.record([digested(project, 9000 + n, "a", tags=(("n", str(9000 + n)),)) for n in range(301)])
        assert issue_ids(store, project, tags=(("n", "9299"),)) == [one]
        assert issue_ids(store, project, tags=(("n", "9300"),)) == []
