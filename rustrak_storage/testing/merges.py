"""What a MergeStore must do: merge issues so that nothing is lost, and take them apart as if they never had been."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs
import pytest

from rustrak_core.accepted import Outcome
from rustrak_core.digested import Digested
from rustrak_core.errors import InvalidInputError, UnknownEventError, UnknownIssueError
from rustrak_core.issue import MERGED_MAX, Issue, IssueId, IssueState, ShortId
from rustrak_core.page import EventQuery, IssueQuery
from rustrak_core.ports import Store
from rustrak_core.project import Project
from rustrak_storage.testing.values import (
    NOW,
    StoreContract,
    after,
    create_project,
    digested,
    issue_ids,
    record_one,
    user,
)


def event_ids(store: Store, issue: Issue | IssueId) -> set[int]:
    """Return the numbers of the events that an issue lists."""
    number = issue.id if isinstance(issue, Issue) else issue
    return {event.id.int for event in store.events(EventQuery(issue_id=number, limit=100)).items}


def alike(issue: Issue) -> dict[str, Any]:
    """Return what of an issue does not depend on the project that it is in, nor on its number."""
    return {
        name: value
        for name, value in attrs.asdict(issue).items()
        if name not in {"id", "project_id", "short_id", "merged"}
    }


def names(issue: Issue) -> list[str]:
    """Return the short ids of what was merged into an issue."""
    return [merged.short_id for merged in issue.merged]


def events_of(project: Project, base: int, at: float = 0) -> list[Digested]:
    """Return eight events, in turns of two issues, that differ in all that an issue shows."""
    return [
        digested(
            project,
            base + n,
            "ab"[n % 2],
            at=at + n,
            late=5 * (n == 6),
            type=f"T{n}",
            message=f"message {n} {at}",
            level="fatal" if n == 5 else "error",
            release=str(base % 1000 + n) if n in {1, 2, 5} else None,
            environment="both" if n > 5 else f"e{n % 2}",
            user=user(n // 2 + at) if n != 4 else None,
            tags=(("shelf", str(n)),),
        )
        for n in range(8)
    ]


class MergeContract(StoreContract):
    """`rustrak_core.ports.MergeStore`: merging, and what follows."""

    @pytest.fixture
    def three(self, store: Store, project: Project) -> list[Issue]:
        """Three issues with an event each, by the keys a, b and c."""
        return [record_one(store, digested(project, n, text, at=n)) for n, text in enumerate("abc", 1)]

    def test_all_events_together(self, store: Store, project: Project) -> None:
        """Counts, users, times, title, releases and facets become those of all events; the short id stays."""
        tags = (("shelf", "1"),)
        one = record_one(store, digested(project, 1, "a", at=5, user=user(1), release="1.1", environment="dev"))
        store.record([digested(project, 2, "a", at=6, user=user(2), tags=tags)])
        events = [
            digested(project, 3, "b", at=7, late=7, user=user(2), release="1.0", environment="prod", type="Early"),
            digested(project, 4, "b", at=9, user=user(3), release="1.2", type="Late", message="m", level="fatal"),
        ]
        two = store.issue(store.record(events)[0].issue_id or IssueId(0))
        merged = store.merge_issues(one.id, [two.id], now=after(10))
        assert merged == store.issue(one.id)
        assert (merged.id, merged.short_id, merged.state) == (one.id, "MY-APP-1", IssueState.OPEN)
        assert (merged.event_count, merged.user_count) == (4, 3)
        assert (merged.first_seen, merged.last_seen) == (after(0), after(9))
        assert (merged.type, merged.message, merged.level) == ("Late", "m", "fatal")
        assert (merged.first_release, merged.last_release) == ("1.0", "1.2")
        assert [(each.id, each.short_id, each.merged_at) for each in merged.merged] == [(two.id, "MY-APP-2", after(10))]
        assert event_ids(store, one) == {1, 2, 3, 4}
        for filters in (
            {},
            {"environment": "dev"},
            {"environment": "prod", "level": "fatal"},
            {"tags": tags},
            {"words": ("late",)},
        ):
            assert issue_ids(store, project, **filters) == [one.id]
        assert store.event(UUID(int=4)).summary.issue_id == one.id
        assert (store.project(project.id).event_count, store.project(project.id).issue_count) == (4, 1)

    def test_an_older_one_changes_no_title(self, store: Store, project: Project) -> None:
        """The latest event decides what is shown, also where it is the target's."""
        old = record_one(store, digested(project, 1, "a", at=1, type="Old", release="1"))
        new = record_one(store, digested(project, 2, "b", at=2, type="New"))
        merged = store.merge_issues(new.id, [old.id], now=NOW)
        assert (merged.type, merged.first_seen, merged.last_seen) == ("New", after(1), after(2))
        assert (merged.first_release, merged.last_release) == ("1", "1")

    def test_future_events_follow(self, store: Store, project: Project, three: list[Issue]) -> None:
        """Events of the keys of what was merged are the target's; one that is stored is a duplicate there."""
        store.merge_issues(three[0].id, [three[1].id], now=NOW)
        recorded = store.record([digested(project, 10, "b", at=9), digested(project, 2, "b"), digested(project, 11)])
        assert [one.issue_id for one in recorded] == [three[0].id] * 3
        assert [one.outcome for one in recorded] == [Outcome.STORED, Outcome.DUPLICATE, Outcome.STORED]
        assert not any(one.is_new for one in recorded)
        assert store.issue(three[0].id).event_count == 4
        assert record_one(store, digested(project, 12, "d")).short_id == "MY-APP-4"

    def test_every_name_answers(self, store: Store, project: Project, three: list[Issue]) -> None:
        """The number and the short id of what was merged stand for the target."""
        merged = store.merge_issues(three[0].short_id, [three[1].short_id, three[2].id], now=NOW)
        assert names(merged) == ["MY-APP-3", "MY-APP-2"]
        assert issue_ids(store, project) == [three[0].id]
        assert store.issues(IssueQuery(project_id=project.id)).items == [merged]
        for ref in (three[1].id, three[1].short_id, three[2].short_id):
            assert store.issue(ref) == merged
            assert store.set_issue_state(ref, IssueState.MUTED, now=NOW).id == merged.id
            assert store.set_issue_state(ref, IssueState.OPEN, now=NOW) == merged
        assert event_ids(store, three[2]) == {1, 2, 3}

    def test_pages_of_events(self, store: Store, project: Project) -> None:
        """The events of all of them are one list, in one order."""
        one, two = (record_one(store, digested(project, n, str(n), at=n)) for n in range(2))
        store.record([digested(project, n, str(n % 2), at=n) for n in range(2, 20)])
        store.merge_issues(two.id, [one.id], now=NOW)
        first = store.events(EventQuery(issue_id=one.id, limit=7))
        second = store.events(EventQuery(issue_id=two.id, limit=100, after=first.after))
        assert [event.id.int for event in [*first.items, *second.items]] == list(range(19, -1, -1))

    def test_again_changes_nothing(self, store: Store, three: list[Issue]) -> None:
        """What leads to the target already, or is named twice, is merged once."""
        merged = store.merge_issues(three[0].id, [three[1].id, three[1].short_id], now=after(1))
        assert merged.event_count == 2
        assert store.merge_issues(three[0].id, [three[1].id], now=after(2)) == merged
        assert store.merge_issues(three[1].id, [three[1].id], now=after(2)) == merged

    def test_a_merged_one_stands_for_its_target(self, store: Store, project: Project, three: list[Issue]) -> None:
        """Merging into, or merging, what was merged is about the issue that answers for it."""
        store.merge_issues(three[0].id, [three[1].id], now=after(1))
        merged = store.merge_issues(three[1].id, [three[2].id], now=after(2))
        assert (merged.id, names(merged)) == (three[0].id, ["MY-APP-3", "MY-APP-2"])
        other = record_one(store, digested(project, 4, "d"))
        merged = store.merge_issues(other.id, [three[2].id], now=after(3))
        assert (merged.id, merged.event_count) == (other.id, 4)
        assert names(merged) == ["MY-APP-1", "MY-APP-3", "MY-APP-2"]

    @pytest.mark.parametrize("purged", [False, True])
    def test_deleting_the_target(self, store: Store, project: Project, three: list[Issue], *, purged: bool) -> None:
        """All that was merged into it goes with it; the same errors open new issues with new numbers."""
        store.merge_issues(three[1].id, [three[0].id], now=NOW)
        before = store.merge_issues(three[2].id, [three[1].id], now=NOW)
        assert store.delete_issue(three[2].id, now=NOW) == before
        while purged and store.purge():
            pass
        for issue in three:
            for ref in (issue.id, issue.short_id):
                with pytest.raises(UnknownIssueError):
                    store.issue(ref)
            with pytest.raises(UnknownIssueError):
                store.merge_issues(issue.id, [three[0].id], now=NOW)
            with pytest.raises(UnknownEventError):
                store.event(UUID(int=issue.event_count))
        assert store.project(project.id).issue_count == 0
        again = [record_one(store, digested(project, n, text)).short_id for n, text in enumerate("abc", 10)]
        assert again == ["MY-APP-4", "MY-APP-5", "MY-APP-6"]
        while store.purge():
            pass
        assert len(issue_ids(store, project)) == 3

    def test_a_merged_one_is_not_deleted_by_itself(self, store: Store, three: list[Issue]) -> None:
        """Deleting by the name of what was merged is refused, for it would delete the other."""
        merged = store.merge_issues(three[0].id, [three[1].id], now=NOW)
        for ref in (three[1].id, three[1].short_id):
            with pytest.raises(InvalidInputError, match="merged into MY-APP-1"):
                store.delete_issue(ref, now=NOW)
        assert store.issue(three[0].id) == merged

    def test_deleting_the_project(self, store: Store, project: Project, three: list[Issue]) -> None:
        """A project goes with its merged issues, and is purged whole."""
        store.merge_issues(three[1].id, [three[0].id, three[2].id], now=NOW)
        store.delete_project(project.id, now=NOW)
        with pytest.raises(UnknownIssueError):
            store.issue(three[0].id)
        while store.purge():
            pass
        assert store.purge() == 0

    def test_refused(self, store: Store, project: Project, three: list[Issue]) -> None:
        """What cannot be merged is named, and nothing is merged, also where other issues of the call could be."""
        other = record_one(store, digested(create_project(store, "Other"), 9))
        gone = record_one(store, digested(project, 8, "gone"))
        store.delete_issue(gone.id, now=NOW)
        one, two, three_ = (issue.id for issue in three)
        refused: list[tuple[Sequence[IssueId | ShortId], type[Exception], str]] = [
            ([], InvalidInputError, "issue_ids: must name 1 to 100"),
            ([two] * (MERGED_MAX + 1), InvalidInputError, "issue_ids: must name 1 to 100"),
            ([two, one], InvalidInputError, r"issue_ids\[1\]: is the issue itself"),
            ([ShortId("MY-APP-1")], InvalidInputError, r"issue_ids\[0\]: is the issue itself"),
            ([two, three_, other.id], InvalidInputError, r"issue_ids\[2\]: belongs to another project"),
            ([two, gone.id], UnknownIssueError, r"issue_ids\[1\]: no such issue"),
            ([IssueId(2**53 - 1)], UnknownIssueError, r"issue_ids\[0\]: no such issue"),
            ([ShortId("MY-APP-99")], UnknownIssueError, r"issue_ids\[0\]: no such issue"),
        ]
        for sources, error, text in refused:
            with pytest.raises(error, match=text):
                store.merge_issues(one, sources, now=NOW)
        for target in (gone.id, ShortId("NONE-1")):
            with pytest.raises(UnknownIssueError):
                store.merge_issues(target, [two], now=NOW)
        assert [store.issue(issue.id) for issue in three] == three
        assert (store.project(project.id).issue_count, store.issue(other.id)) == (3, other)

    @pytest.mark.parametrize(
        ("target", "source", "state"),
        [
            (IssueState.OPEN, IssueState.RESOLVED, IssueState.OPEN),
            (IssueState.OPEN, IssueState.MUTED, IssueState.OPEN),
            (IssueState.MUTED, IssueState.OPEN, IssueState.MUTED),
            (IssueState.MUTED, IssueState.RESOLVED, IssueState.MUTED),
            (IssueState.RESOLVED, IssueState.OPEN, IssueState.RESOLVED),
            (IssueState.RESOLVED, IssueState.MUTED, IssueState.RESOLVED),
        ],
    )
    def test_the_targets_state_stays(
        self, store: Store, three: list[Issue], target: IssueState, source: IssueState, state: IssueState
    ) -> None:
        """Whatever state the source has, the target keeps its own, and gives the source its own back."""
        store.set_issue_state(three[0].id, target, now=after(10))
        before = store.set_issue_state(three[1].id, source, now=after(10))
        merged = store.merge_issues(three[0].id, [three[1].id], now=after(20))
        assert merged.state is state
        assert store.unmerge_issues(three[0].id, [three[1].id]) == [before]
        assert store.issue(three[0].id).state is target

    def test_merging_shows_a_regression(self, store: Store, project: Project, three: list[Issue]) -> None:
        """A resolved target is reopened by an open source with an event received since, as by the event itself."""
        store.set_issue_state(three[0].id, IssueState.RESOLVED, now=after(10))
        store.record([digested(project, 11, "b", at=10), digested(project, 12, "b", at=13, late=9, release="2")])
        store.record([digested(project, 13, "b", at=12, release="1")])
        merged = store.merge_issues(three[0].id, [three[1].id], now=after(20))
        assert (merged.state, merged.resolved_at) == (IssueState.OPEN, None)
        assert (merged.regressed_at, merged.regressed_in) == (after(12), "1")

    def test_a_silenced_one_shows_none(self, store: Store, project: Project, three: list[Issue]) -> None:
        """What was muted or resolved after its events reopens nothing; the later of two resolutions counts."""
        store.set_issue_state(three[0].id, IssueState.RESOLVED, now=after(10))
        store.record([digested(project, 11, "b", at=12), digested(project, 12, "c", at=12)])
        store.set_issue_state(three[1].id, IssueState.MUTED, now=after(13))
        store.set_issue_state(three[2].id, IssueState.RESOLVED, now=after(15))
        merged = store.merge_issues(three[0].id, [three[1].id, three[2].id], now=after(20))
        assert (merged.state, merged.resolved_at) == (IssueState.RESOLVED, after(15))
        (recorded,) = store.record([digested(project, 13, "b", at=15)])
        assert not recorded.reopened
        (recorded,) = store.record([digested(project, 14, "b", at=16)])
        assert recorded.reopened
