"""What an ExportStore must do."""

import orjson
import pytest

from rustrak_core.digested import User
from rustrak_core.errors import StoreUnavailableError
from rustrak_core.issue import IssueId
from rustrak_core.ports import (
    BareEvent,
    BareExportStore,
    IssueKey,
    Member,
    Membership,
    NumberedEvent,
    Place,
    Refiling,
    Selection,
    Store,
)
from rustrak_core.project import Project
from rustrak_core.times import to_micros
from rustrak_storage.factory import open_store
from rustrak_storage.testing.values import NOW, StoreContract, after, create_project, digested, key, record_one

ALL = Selection()
_USER = ("id", "email", "username", "ip_address")
_DETAILS = ("kind", "type", "message", "culprit", "level", "platform")


def read_all(store: Store, selection: Selection = ALL, *, upto: int | None = None, limit: int = 2) -> list[int]:
    """Return the SDK's ids, as integers, of all wanted events, read by pages."""
    return [event.summary.id.int for _number, event in read(store, selection, upto=upto, limit=limit)]


def read(store: Store, selection: Selection = ALL, *, upto: int | None = None, limit: int = 2) -> list[NumberedEvent]:
    """Return all wanted events, read by pages."""
    found: list[NumberedEvent] = []
    last = store.last_event_number() if upto is None else upto
    while page := store.export(selection, after=found[-1].number if found else 0, upto=last, limit=limit):
        assert len(page) <= limit
        found += page
    return found


class BareExportContract(StoreContract):
    """`rustrak_core.ports.BareExportStore`, for stores that are one."""

    def test_bare_events_are_whole_ones(self, store: Store, project: Project) -> None:
        """What is read with little work says the same, in the same pages."""
        assert isinstance(store, BareExportStore)
        user = User(id="1", ip_address="::1")
        ours = [
            digested(project, 1, user=user, tags=(("a", "b"),), release="1", environment="x\x1fy", sdk_client="a/1")
        ]
        store.record([*ours, digested(project, 2, payload=None, hints=(("user-agent", "m"),)), digested(project, 3)])
        gone = record_one(store, digested(project, 4, "gone"))
        store.delete_issue(gone.id, now=NOW)
        bare: list[BareEvent] = []
        last = store.last_event_number()
        while page := store.export_bare(ALL, after=bare[-1].number if bare else 0, upto=last, limit=2):
            bare += page
        for event, (number, whole) in zip(bare, read(store), strict=True):
            details = orjson.loads(event.details)
            given = None if event.user is None else User(**dict(zip(_USER, orjson.loads(event.user), strict=True)))
            assert event.details.startswith(b'{"kind":')
            assert (event.number, event.event_id, event.payload) == (number, whole.summary.id.bytes, whole.payload)
            assert (event.project_id, event.issue_id) == (whole.summary.project_id, whole.summary.issue_id)
            assert (event.mechanism, event.key_value.hex()) == (whole.key.mechanism, whole.key.value)
            assert (event.environment, event.release) == (whole.summary.environment, whole.summary.release)
            assert (event.timestamp, event.received_at) == tuple(
                map(to_micros, (whole.summary.timestamp, whole.summary.received_at))
            )
            assert given == whole.summary.user
            assert {name: details[name] for name in _DETAILS} == {name: getattr(whole, name) for name in _DETAILS}
            assert details.get("tags", {}) == dict(whole.tags)
            assert details.get("sdk_client") == whole.sdk_client
            assert [tuple(pair) for pair in details.get("hints", ())] == list(whole.hints)


class ExportStoreContract(StoreContract):
    """`rustrak_core.ports.ExportStore`."""

    def test_whole_and_in_order(self, store: Store, project: Project) -> None:
        """Events of all projects come whole, by ascending number, in pages of any size."""
        other = create_project(store, "Other")
        assert (store.last_event_number(), read(store), store.memberships(ALL, upto=9)) == (0, [], {})
        store.record([digested(project, 5), digested(other, 3, user=User(id="1"), tags=(("a", "b"),), release="1")])
        store.record([digested(project, 4, "b", payload=None), digested(project, 1)])
        found = read(store)
        assert [numbered.event.summary.id.int for numbered in found] == [5, 3, 4, 1]
        assert [numbered.event for numbered in found] == [
            store.event(numbered.event.summary.id, project_id=numbered.event.summary.project_id) for numbered in found
        ]
        numbers = [numbered.number for numbered in found]
        assert numbers == sorted(set(numbers))
        assert numbers[0] > 0
        assert numbers[-1] <= store.last_event_number()
        assert read_all(store, upto=numbers[1]) == [5, 3]
        assert list(store.export_events([numbers[2], numbers[0], numbers[-1] + 1])) == [found[0], found[2]]

    def test_selection(self, store: Store, project: Project) -> None:
        """Projects and event times choose; the first moment is included and the last is not."""
        other = create_project(store, "Other")
        store.record([digested(project, number, at=number) for number in range(1, 5)] + [digested(other, 9, at=2)])
        mine = Selection(project_ids=(project.id,))
        assert read_all(store, mine) == [1, 2, 3, 4]
        assert read_all(store, Selection(project_ids=())) == []
        timed = Selection(since=after(2), until=after(4))
        assert read_all(store, timed) == [2, 3, 9]
        both = Selection(project_ids=(project.id,), since=after(2), until=after(4))
        assert read_all(store, both) == [2, 3]
        last = store.last_event_number()
        ((issue, membership),) = store.memberships(both, upto=last).items()
        members = store.members(issue, both, upto=last)
        assert membership == Membership.of(member.number for member in members)
        assert [event.summary.id.int for _n, event in store.export_events([m.number for m in members])] == [2, 3]
        assert not store.members(issue, Selection(project_ids=(other.id,)), upto=last)

    def test_memberships(self, store: Store, project: Project) -> None:
        """They tell which events an issue has, so far as numbers go."""
        one = record_one(store, digested(project, 1, "a"))
        two = record_one(store, digested(project, 2, "b"))
        store.record([digested(project, 3, "a")])
        last = store.last_event_number()
        a, b, c = [numbered.number for numbered in read(store)]
        assert store.memberships(ALL, upto=last) == {one.id: Membership.of([a, c]), two.id: Membership.of([b])}
        assert store.memberships(ALL, upto=b) == {one.id: Membership.of([a]), two.id: Membership.of([b])}
        assert store.members(one.id, ALL, upto=last) == [Member(a, key("a")), Member(c, key("a"))]
        assert store.members(one.id, ALL, upto=b) == [Member(a, key("a"))]

    def test_moves_are_seen(self, store: Store, project: Project) -> None:
        """An event that is filed anew is one of its new issue, also where two issues exchange as many."""
        one, two = (record_one(store, digested(project, number, name)) for number, name in ((1, "a"), (2, "b")))
        a, b = [numbered.number for numbered in read(store)]
        before = store.memberships(ALL, upto=b)
        moves = {a: (Place(one.id, key("a")), key("b")), b: (Place(two.id, key("b")), key("a"))}
        store.refile(project.id, Refiling(moves=moves), now=NOW)
        now = store.memberships(ALL, upto=b)
        assert now == {one.id: Membership.of([b]), two.id: Membership.of([a])}
        assert now != before
        assert store.members(two.id, ALL, upto=b) == [Member(a, key("b"))]
        assert [event.summary.issue_id for _number, event in read(store)] == [two.id, one.id]

    def test_filings(self, store: Store, project: Project) -> None:
        """They tell, key by key, which events of an issue are filed by it, so far as numbers, projects and times go."""
        other = create_project(store, "Other")
        one = record_one(store, digested(project, 1, "a", "b"))
        store.record([digested(project, 2, "b", at=5), digested(project, 3, "a", at=6)])
        theirs, gone = record_one(store, digested(other, 4, "a")), record_one(store, digested(project, 5, "gone"))
        store.delete_issue(gone.id, now=NOW)
        last = store.last_event_number()
        a, b, c, d = [numbered.number for numbered in read(store)]
        found = store.filings(ALL, upto=last)
        mine = {key("a"): Membership.of([a, c]), key("b"): Membership.of([b])}
        assert found == {one.id: mine, theirs.id: {key("a"): Membership.of([d])}}
        assert store.filings(ALL, upto=b) == {
            one.id: {key("a"): Membership.of([a]), key("b"): Membership.of([b])},
        }
        assert store.filings(Selection(project_ids=(project.id,)), upto=last) == {one.id: mine}
        late = Selection(project_ids=(project.id,), since=after(6))
        assert store.filings(late, upto=last) == {one.id: {key("a"): Membership.of([c])}}

    def test_refilings(self, store: Store, project: Project) -> None:
        """A project's number is another one each time that its events are filed anew, also within their issue."""
        other = create_project(store, "Other")
        one = record_one(store, digested(project, 1, "a", "b"))
        record_one(store, digested(other, 2, "a"))
        assert store.refilings() == {}
        ((number, _event), *_others) = read(store)
        moves = {number: (Place(one.id, key("a")), key("b"))}
        seen = []
        for _ in range(3):
            refiled = store.refile(project.id, Refiling(moves=moves), now=NOW)
            assert store.filings(ALL, upto=number) == {one.id: {key("b"): Membership.of([number])}}
            seen.append(store.refilings())
            store.revert(project.id, refiled, now=NOW)
            seen.append(store.refilings())
        assert {tuple(each) for each in seen} == {(project.id,)}
        assert len({each[project.id] for each in seen}) == len(seen)
        before = store.refilings()
        store.record([digested(project, 3, "a")])
        assert store.refilings() == before
        store.delete_project(project.id, now=NOW)
        while store.purge():
            pass
        assert store.refilings() == {}

    def test_deleted(self, store: Store, project: Project) -> None:
        """What is deleted is gone at once, before it is purged and after."""
        other = create_project(store, "Other")
        gone = record_one(store, digested(project, 1, "a"))
        kept = record_one(store, digested(project, 2, "b"))
        theirs = record_one(store, digested(other, 3))
        numbers = [numbered.number for numbered in read(store)]
        last = store.last_event_number()
        store.delete_issue(gone.id, now=NOW)
        store.delete_project(other.id, now=NOW)
        for _ in range(2):
            assert read_all(store, limit=1) == [2]
            assert [numbered.number for numbered in store.export_events(numbers)] == [numbers[1]]
            assert store.memberships(ALL, upto=last) == {kept.id: Membership.of([numbers[1]])}
            assert not any(store.members(issue.id, ALL, upto=last) for issue in (gone, theirs))
            while store.purge():
                pass
        assert not store.members(IssueId(2**60), ALL, upto=last)

    def test_issue_keys(self, store: Store, project: Project) -> None:
        """Keys are those that lead to an issue, with the issue whose they were before a merge."""
        other, doomed = create_project(store, "Other"), create_project(store, "Doomed")
        one = record_one(store, digested(project, 1, "a", "b"))
        two = record_one(store, digested(project, 2, "c"))
        gone = record_one(store, digested(project, 3, "gone"))
        theirs = record_one(store, digested(other, 4, "a"))
        lost = record_one(store, digested(doomed, 5, "d"))
        store.delete_issue(gone.id, now=NOW)
        store.delete_project(doomed.id, now=NOW)

        def known(*issues: IssueId) -> dict[IssueId, set[IssueKey]]:
            found = store.issue_keys(issues)
            for keys in found.values():
                assert list(keys) == sorted(keys, key=IssueKey.order)
            return {
                issue: {IssueKey(one.key, None if one.origin == issue else one.origin) for one in keys}
                for issue, keys in found.items()
            }

        own, brought = {IssueKey(key("a")), IssueKey(key("b"))}, IssueKey(key("c"))
        asked = known(one.id, two.id, gone.id, theirs.id, lost.id, IssueId(2**60))
        assert asked == {one.id: own, two.id: {brought}, theirs.id: {IssueKey(key("a"))}}
        assert known() == {}
        store.merge_issues(one.id, [two.id], now=NOW)
        assert known(one.id, two.id) == {one.id: {*own, IssueKey(key("c"), two.id)}}
        store.unmerge_issues(one.id, [two.id])
        assert known(one.id, two.id) == {one.id: own, two.id: {brought}}

    def test_closed(self, store_url: str) -> None:
        """A closed store says so."""
        store = open_store(store_url)
        store.close()
        for call in (
            store.last_event_number,
            lambda: store.export(ALL, upto=1),
            lambda: store.export_events([1]),
            lambda: store.memberships(ALL, upto=1),
            lambda: store.members(IssueId(1), ALL, upto=1),
            lambda: store.filings(ALL, upto=1),
            store.refilings,
            lambda: store.issue_keys([IssueId(1)]),
        ):
            with pytest.raises(StoreUnavailableError):
                call()
