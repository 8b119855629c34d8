"""What a HistoryStore must do."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from rustrak_core.digested import Digested
from rustrak_core.errors import UnknownIssueError, UnknownProjectError
from rustrak_core.issue import Issue, IssueId, IssueState
from rustrak_core.page import EventQuery, IssueQuery, IssueSort
from rustrak_core.ports import FiledEvent, Place, Refiled, Refiling, Store
from rustrak_core.project import Project, ProjectId
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


def all_events(store: Store, project: Project, limit: int = 3) -> list[FiledEvent]:
    """Return the events of a project, read by pages."""
    found: list[FiledEvent] = []
    while page := store.scan(project.id, after=found[-1].number if found else 0, limit=limit):
        found += page
    return found


def moving(store: Store, project: Project, **keys: Sequence[int]) -> Refiling:
    """Return what files events anew: for a key made of a name, those with the ids that are given."""
    wanted = {number: key(name) for name, numbers in keys.items() for number in numbers}
    moves = {
        event.number: (Place(event.issue_id, event.key), wanted[event.event_id.int])
        for event in all_events(store, project)
        if event.event_id.int in wanted
    }
    return Refiling(moves=moves)


def settle(store: Store, project: Project) -> None:
    """Settle all issues of a project."""
    while store.settle(project.id):
        pass


def seen(store: Store, project: Project) -> list[tuple[Issue, list[int]]]:
    """Return all that is seen of a project: its issues, with the ids of their events."""
    query = IssueQuery(project_id=project.id, sort=IssueSort.EVENT_COUNT, limit=100)
    return [
        (issue, [event.id.int for event in store.events(EventQuery(issue_id=issue.id, limit=100)).items])
        for issue in store.issues(query).items
    ]


def different(project: Project, number: int, *keys: str) -> Digested:
    """Return an event that differs from others in all that issues say of their events."""
    return digested(
        project,
        number,
        *keys,
        at=number,
        type=f"Error{number}",
        message=f"message {number}",
        culprit=f"culprit {number}",
        level=("error", "fatal")[number % 2],
        platform=f"p{number}",
        release=f"r{number}" if number % 3 else None,
        environment=f"e{number % 2}",
        user=user(number // 2),
        tags=(("n", str(number)), ("all", "same")),
    )


class HistoryStoreContract(StoreContract):
    """`rustrak_core.ports.HistoryStore`."""

    def test_scan(self, store: Store, project: Project) -> None:
        """Events of live issues come by their numbers, each with what working out its keys needs."""
        other = create_project(store, "Other")
        first = record_one(store, digested(project, 9, kind="csp", hints=(("a", "b"),)))
        store.record([digested(other, 1), digested(project, 2, "b"), digested(project, 3), digested(other, 4)])
        gone = record_one(store, digested(project, 5, "gone"))
        store.record([digested(project, 6, payload=None), digested(project, 7, "b")])
        store.delete_issue(gone.id, now=NOW)
        found = all_events(store, project, 2)
        assert [event.event_id.int for event in found] == [9, 2, 3, 6, 7]
        assert [event.key for event in found] == [key("a"), key("b"), key("a"), key("a"), key("b")]
        assert [event.payload for event in found][2:4] == [b'{"number": 3}', None]
        assert (found[0].issue_id, found[0].kind, found[0].hints) == (first.id, "csp", (("a", "b"),))
        numbers = [event.number for event in found]
        assert numbers == sorted(set(numbers))
        assert list(store.scan(project.id, after=numbers[-1])) == []
        assert all_events(store, project, 100) == found

    def test_owners(self, store: Store, project: Project) -> None:
        """A key leads to a live issue of its project, or nowhere."""
        issue = record_one(store, digested(project, 1, "a", "b"))
        other = create_project(store, "Other")
        store.record([digested(other, 1, "c")])
        gone = record_one(store, digested(project, 2, "gone"))
        store.delete_issue(gone.id, now=NOW)
        asked = [key("a"), key("b"), key("c"), key("gone"), key("a", "anchor@1")]
        assert store.owners(project.id, asked) == {key("a"): issue.id, key("b"): issue.id}
        assert store.owners(project.id, []) == {}

    def test_unknown_project(self, store: Store, project: Project) -> None:
        """Of a project that is not there, or no longer, nothing can be filed anew."""
        store.delete_project(project.id, now=NOW)
        for number in (project.id, ProjectId(project.id + 1), ProjectId(2**70)):
            calls: Sequence[Callable[[ProjectId], object]] = (
                store.scan,
                lambda n: store.refile(n, Refiling(), now=NOW),
                lambda n: store.revert(n, Refiled(), now=NOW),
                store.settle,
            )
            for call in calls:
                with pytest.raises(UnknownProjectError):
                    call(number)

    def test_keys(self, store: Store, project: Project) -> None:
        """Keys are attached where they lead nowhere, never taken from an issue but where that is asked for."""
        one = record_one(store, digested(project, 1, "a"))
        two = record_one(store, digested(project, 2, "b", "c"))
        targets = {key("n"): one.id, key("b"): one.id, key("m"): IssueId(two.id + 99)}
        done = store.refile(
            project.id, Refiling(targets=targets, dropped={key("c"): two.id, key("a"): two.id}), now=NOW
        )
        assert (done.learned, done.dropped, done.events) == ({key("n"): one.id}, {key("c"): two.id}, 0)
        asked = [key(name) for name in "nabcm"]
        assert store.owners(project.id, asked) == {key("n"): one.id, key("a"): one.id, key("b"): two.id}
        assert record_one(store, digested(project, 3, "n")).id == one.id
        assert record_one(store, digested(project, 4, "c")).id not in {one.id, two.id}

    def test_merge(self, store: Store, project: Project) -> None:
        """Events come to the issue that their key leads to; one that is left without any goes, its keys to its heir."""
        one = record_one(store, different(project, 1, "a"))
        two = record_one(store, different(project, 2, "b", "b2"))
        store.record([different(project, 3, "b"), different(project, 4, "a")])
        refiling = moving(store, project, a=[2, 3])
        done = store.refile(
            project.id, Refiling(moves=refiling.moves, heirs={two.id: key("a"), one.id: key("a")}), now=NOW
        )
        assert (done.events, done.retired, done.opened) == (2, {two.id: one.id}, ())
        assert done.handed == {key("b"): two.id, key("b2"): two.id}
        assert issue_ids(store, project) == [one.id]
        assert store.issue(one.id).event_count == 4
        assert store.project(project.id).issue_count == 1
        assert record_one(store, different(project, 5, "b2")).id == one.id
        settle(store, project)
        merged = store.issue(one.id)
        assert (merged.event_count, merged.user_count) == (5, 3)
        assert (merged.type, merged.first_seen, merged.last_seen) == ("Error5", after(1), after(5))
        assert store.event(UUID(int=2)).summary.issue_id == one.id
        assert store.event(UUID(int=2)).key == key("a")
        assert store.issue(two.short_id) == store.issue(two.id) == merged
        assert [one.short_id for one in merged.merged] == [two.short_id]
        assert store.origins(project.id) == {key("b"): two.id, key("b2"): two.id}

    def test_merged_by_hand(self, store: Store, project: Project) -> None:
        """What somebody merged into an issue that goes leads to the heir, and back again."""
        one, two, three = (record_one(store, different(project, n, "abc"[n - 1])) for n in (1, 2, 3))
        store.merge_issues(two.id, [three.id], now=NOW)
        before, keys = seen(store, project), [key("b"), key("c")]
        assert store.origins(project.id) == {key("c"): three.id}
        plan = moving(store, project, a=[2, 3])
        done = store.refile(project.id, Refiling(moves=plan.moves, heirs={two.id: key("a")}), now=NOW)
        settle(store, project)
        assert [store.issue(number).id for number in (two.id, three.id)] == [one.id] * 2
        assert set(store.owners(project.id, keys).values()) == {one.id}
        assert store.revert(project.id, done, now=NOW) == 2
        settle(store, project)
        assert seen(store, project) == before
        assert store.origins(project.id) == {key("c"): three.id}
        assert set(store.owners(project.id, keys).values()) == {two.id}
        (back,) = store.unmerge_issues(two.id, [three.id])
        assert (back.id, back.event_count) == (three.id, 1)

    def test_split(self, store: Store, project: Project) -> None:
        """A key that leads nowhere opens an issue, with the next short id and the state of where events came from."""
        one = record_one(store, different(project, 1, "a"))
        store.record([different(project, n, "a") for n in range(2, 8)])
        store.set_issue_state(one.id, IssueState.MUTED, now=NOW)
        done = store.refile(project.id, moving(store, project, new=[2, 5], newer=[3], a=[4]), now=NOW)
        assert len(done.opened) == 2
        assert done.events == 3
        assert done.learned == {key("new"): done.opened[0], key("newer"): done.opened[1]}
        settle(store, project)
        new, newer = (store.issue(number) for number in done.opened)
        assert [int(issue.short_id.rpartition("-")[2]) for issue in (new, newer)] == [2, 3]
        assert {issue.state for issue in (new, newer)} == {IssueState.MUTED}
        assert (new.event_count, new.user_count, new.type, new.platform) == (2, 2, "Error5", "p5")
        assert (new.first_seen, new.last_seen, new.first_release) == (after(2), after(5), "r2")
        assert (newer.event_count, newer.first_release, newer.last_release) == (1, None, None)
        old = store.issue(one.id)
        assert (old.event_count, old.user_count, old.first_release, old.last_release) == (4, 3, "r1", "r7")
        assert issue_ids(store, project, tags=(("n", "5"),)) == [new.id]
        assert issue_ids(store, project, level="fatal", environment="e1", release="r7") == [old.id]
        assert issue_ids(store, project, words=("error5",)) == [new.id]
        assert store.project(project.id).issue_count == 3
        assert store.project(project.id).event_count == 7
        assert int(record_one(store, different(project, 9, "z")).short_id.rpartition("-")[2]) == 4

    def test_another_key_within_an_issue(self, store: Store, project: Project) -> None:
        """An event that stays in its issue is filed by its new key."""
        one = record_one(store, digested(project, 1, "a"))
        refiling = moving(store, project, b=[1])
        done = store.refile(project.id, Refiling(moves=refiling.moves, targets={key("b"): one.id}), now=NOW)
        assert list(done.moved) == [(Place(one.id, key("a")), Place(one.id, key("b")))]
        assert store.event(UUID(int=1)).key == key("b")
        assert not store.settle(project.id)
        assert not store.refile(project.id, moving(store, project, b=[1]), now=NOW)

    def test_what_has_changed(self, store: Store, project: Project) -> None:
        """An event that is elsewhere by now, or gone, is left alone, and so is another project's."""
        other = create_project(store, "Other")
        store.record([digested(project, n, "a" if n < 4 else "b") for n in range(1, 6)])
        store.record([digested(other, 9)])
        refiling = moving(store, project, n=[1, 4, 5])
        foreign = moving(store, other, n=[9])
        store.refile(project.id, moving(store, project, m=[1]), now=NOW)
        store.delete_issue(store.event(UUID(int=4)).summary.issue_id, now=NOW)
        done = store.refile(project.id, Refiling(moves={**refiling.moves, **foreign.moves}), now=NOW)
        assert not done
        assert store.event(UUID(int=1)).key == key("m")
        assert store.project(project.id).issue_count == 2

    def test_confirm(self, store: Store, project: Project) -> None:
        """What is done is told before it is; where that fails, nothing is done."""
        record_one(store, digested(project, 1, "a"))
        before = seen(store, project)
        told: list[Refiled] = []

        def refuse(refiled: Refiled) -> None:
            told.append(refiled)
            raise OSError

        with pytest.raises(OSError):
            store.refile(project.id, moving(store, project, n=[1]), now=NOW, confirm=refuse)
        assert told[0].events == 1
        assert seen(store, project) == before
        assert store.project(project.id).issue_count == 1
        assert store.owners(project.id, [key("n")]) == {}
        done = store.refile(project.id, moving(store, project, n=[1]), now=NOW, confirm=told.append)
        assert told[1] == done
        assert not store.refile(project.id, Refiling(), now=NOW, confirm=refuse)

    def test_revert(self, store: Store, project: Project) -> None:
        """All that was done can be taken back, and then all is as it was, but for numbers that are not used again."""
        store.record([different(project, n, "abc"[n % 3]) for n in range(30)])
        for number, state in zip(issue_ids(store, project), (IssueState.MUTED, IssueState.RESOLVED), strict=False):
            store.set_issue_state(number, state, now=after(99))
        before, keys = seen(store, project), [key(name) for name in ("a", "b", "c", "x", "y")]
        owners = store.owners(project.id, keys)
        done = []
        for numbers in (range(10), range(10, 20), range(20, 30)):
            plan = moving(store, project, a=[n for n in numbers if n % 3 == 1], x=[n for n in numbers if n % 6 == 2])
            heirs = {owners[key("b")]: key("a"), owners[key("c")]: key("x")}
            refiling = Refiling(
                moves=plan.moves,
                heirs=heirs,
                targets={key("y"): owners[key("a")]},
                dropped={key("c"): owners[key("c")]},
            )
            done.append(store.refile(project.id, refiling, now=NOW))
        assert done[2].retired == {owners[key("b")]: owners[key("a")]}
        settle(store, project)
        assert [len(events) for _issue, events in seen(store, project)] == [20, 5, 5]
        assert sum(store.revert(project.id, one, now=NOW) for one in reversed(done)) == 15
        settle(store, project)
        assert seen(store, project) == before
        assert store.owners(project.id, keys) == owners
        assert store.project(project.id).issue_count == 3
        assert [store.revert(project.id, one, now=NOW) for one in reversed(done)] == [0, 0, 0]
        settle(store, project)
        assert seen(store, project) == before
        while store.purge():
            pass
        assert seen(store, project) == before
        assert issue_ids(store, project, tags=(("n", "2"),)) == [owners[key("c")]]

    def test_revert_after_more_events(self, store: Store, project: Project) -> None:
        """Events that were recorded since stay where they are, and so does the issue that was opened for them."""
        one = record_one(store, different(project, 1, "a"))
        store.record([different(project, 2, "a")])
        done = store.refile(project.id, moving(store, project, n=[2]), now=NOW)
        settle(store, project)
        new = record_one(store, different(project, 3, "n"))
        assert new.id == done.opened[0]
        assert store.revert(project.id, done, now=NOW) == 1
        settle(store, project)
        assert {issue.id: events for issue, events in seen(store, project)} == {one.id: [2, 1], new.id: [3]}
        assert store.issue(new.id).user_count == 1
        assert record_one(store, different(project, 4, "n")).id == new.id

    def test_revert_after_a_deletion(self, store: Store, project: Project) -> None:
        """What was deleted since does not come back, nor an issue without any event."""
        one = record_one(store, digested(project, 1, "a"))
        two = record_one(store, digested(project, 2, "b"))
        three = record_one(store, digested(project, 3, "c"))
        store.record([digested(project, 4, "c")])
        plan = moving(store, project, a=[2, 3])
        done = store.refile(project.id, Refiling(moves=plan.moves, heirs={two.id: key("a")}), now=NOW)
        settle(store, project)
        store.delete_issue(one.id, now=NOW)
        assert store.revert(project.id, done, now=NOW) == 0
        settle(store, project)
        assert seen(store, project) == [(store.issue(three.id), [4])]
        with pytest.raises(UnknownIssueError):
            store.issue(two.id)
        assert store.project(project.id).issue_count == 1

    def test_values_that_are_not_kept(self, store: Store, project: Project) -> None:
        """Of a key with too many values the first are kept, also when an issue is settled."""
        record_one(store, digested(project, 1, "b"))
        for start in range(2, 1202, 400):
            store.record([digested(project, n, tags=(("n", str(n)),)) for n in range(start, start + 400)])
        whole = store.event(UUID(int=2)).summary.issue_id
        plan = moving(store, project, b=[5])
        done = store.refile(project.id, plan, now=NOW)
        settle(store, project)
        assert issue_ids(store, project, tags=(("n", "1002"),)) == [whole]
        assert issue_ids(store, project, tags=(("n", "1003"),)) == []
        store.revert(project.id, done, now=NOW)
        settle(store, project)
        assert issue_ids(store, project, tags=(("n", "1001"),)) == [whole]
        assert issue_ids(store, project, tags=(("n", "1002"),)) == []
        assert issue_ids(store, project, tags=(("n", "5"),)) == [whole]

    def test_users_after_settling(self, store: Store, project: Project) -> None:
        """A store that recorded a user knows that the user left the issue with his events, and may come back."""
        one = record_one(store, different(project, 1, "a"))
        store.record([different(project, 2, "a")])
        new = store.refile(project.id, moving(store, project, n=[2]), now=NOW).opened[0]
        settle(store, project)
        store.record([different(project, 3, "a"), different(project, 4, "n")])
        assert [store.issue(number).user_count for number in (one.id, new)] == [2, 2]
        assert sorted(issue_ids(store, project, tags=(("all", "same"),))) == sorted([one.id, new])

    def test_while_recording(self, store: Store, project: Project) -> None:
        """Events that are recorded meanwhile are counted, and none is lost."""
        one = record_one(store, different(project, 1, "a"))
        store.record([different(project, n, "a") for n in range(2, 42)])

        def refile(number: int) -> None:
            store.refile(project.id, moving(store, project, n=range(number, number + 10)), now=NOW)
            store.settle(project.id)

        with ThreadPoolExecutor(4) as pool:
            recording = pool.map(lambda n: store.record([different(project, n, "an"[n % 2])]), range(100, 140))
            list(pool.map(refile, (2, 12, 22, 32)))
            list(recording)
        settle(store, project)
        counts = {issue.id: (issue.event_count, len(events)) for issue, events in seen(store, project)}
        assert sorted(counts.values()) == [(21, 21), (60, 60)]
        assert store.issue(one.id).user_count == 21
        assert store.project(project.id).event_count == 81
