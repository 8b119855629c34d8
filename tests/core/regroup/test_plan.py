"""Which issue each key is to lead to: hand-made cases, and whatever else there can be."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.digested import GroupingKey
from rustrak_core.issue import IssueId
from rustrak_core.page import EventQuery, IssueQuery
from rustrak_core.ports import Refiled, Store
from rustrak_core.project import Project
from rustrak_core.regroup import Flow, History, Plan, make_plan
from rustrak_core.regroup.batches import drop_batches, key_batches, move_batches
from rustrak_storage import open_store
from rustrak_storage.testing import digested
from rustrak_storage.testing.values import NOW, create_project
from rustrak_storage.testing.values import key as key_of


def planned(*flows: tuple[int, str, str | None, int], **owners: int) -> Plan:
    """Return the plan for flows of (issue, key of old, key of new, events)."""
    made = [
        Flow(
            issue_id=IssueId(issue),
            filed=key_of(old),
            key=None if new is None else key_of(new),
            events=events,
            first=at,
        )
        for at, (issue, old, new, events) in enumerate(flows, 1)
    ]
    return make_plan(made, {key_of(name): IssueId(issue) for name, issue in owners.items()})


def targets(plan: Plan, *names: str) -> list[int | None]:
    return [plan.targets[key_of(name)] for name in names]


def test_a_key_leads_where_it_leads() -> None:
    """A key that is known is not taken from its issue, however many events are elsewhere."""
    plan = planned((1, "a", "a", 1), (2, "b", "a", 99), a=1)
    assert targets(plan, "a") == [1]
    assert plan.heirs == {2: key_of("a")}
    assert (plan.moved, plan.rekeyed, plan.opened, plan.learned) == (99, 0, 0, {})


def test_most_events_decide() -> None:
    """A new key leads to the issue with most of its events; of several, the oldest."""
    assert targets(planned((1, "a", "x", 5), (2, "b", "x", 6)), "x") == [2]
    assert targets(planned((2, "b", "x", 5), (1, "a", "x", 5)), "x") == [1]


def test_another_key_claims_more() -> None:
    """Where a key with more events claimed the issue, another one opens a new issue, or takes what is left."""
    plan = planned((1, "a", "x", 4), (1, "a", "y", 6))
    assert targets(plan, "x", "y") == [None, 1]
    assert [split.issue_id for split in plan.splits] == [1]
    assert (plan.moved, plan.rekeyed, plan.opened) == (4, 6, 1)
    assert targets(planned((1, "a", "x", 4), (1, "a", "y", 6), (2, "b", "x", 1)), "x", "y") == [2, 1]
    assert targets(planned((1, "a", "x", 4), (1, "a", "y", 1), y=1), "x", "y") == [None, 1]


def test_dropped_keys() -> None:
    """A key of old whose events would be apart leads nowhere any more; one whose events stay together, on."""
    assert planned((1, "a", "x", 4), (1, "a", "y", 6)).dropped == {key_of("a"): 1}
    assert planned((1, "a", "x", 4), (1, "b", "y", 6)).dropped == {}
    assert planned((1, "a", "x", 4), (1, "a", "a", 6), a=1).dropped == {}


def test_what_was_merged_by_hand() -> None:
    """What somebody merged stays together, however the keys of its parts change; each part may still split."""
    flows = [(1, "a", "x", 6), (1, "b", "y", 4), (1, "b", "z", 3)]
    made = [
        Flow(issue_id=IssueId(issue), filed=key_of(old), key=key_of(new), events=events, first=at)
        for at, (issue, old, new, events) in enumerate(flows, 1)
    ]
    assert targets(make_plan(made, {}, origins={key_of("b"): IssueId(9)}), "x", "y", "z") == [1, 1, None]
    assert targets(make_plan(made, {}), "x", "y", "z") == [1, None, None]


def test_what_stays() -> None:
    """Events whose key cannot be told keep their issue alive."""
    plan = planned((1, "a", "x", 4), (2, "b", "x", 1), (2, "c", None, 1))
    assert plan.heirs == {}
    assert (plan.unread, plan.moved) == (1, 1)


def test_shed_events_go_along() -> None:
    """Events without a payload go with the others of their key, unless these part."""
    store = open_store("memory://")
    project = create_project(store, "My App")
    store.record([digested(project, n, name) for n, name in enumerate(["a", "a", "a", "b", "b", "b", "c"], 1)])
    news = [key_of("x"), None, key_of("x"), key_of("y"), None, key_of("z"), None]
    history = History()
    for event, new in zip(store.scan(project.id), news, strict=True):
        history.add(event, new)
    history.settle()
    found = [(flow.filed, flow.key, flow.events) for flow in history.flows]
    assert [events for _filed, new, events in found if new is None] == [1, 1]
    assert sum(events for _filed, new, events in found if new == key_of("x")) == 3


def test_events_come_in_any_order() -> None:
    """In which order events are read makes no difference, also where of several keys the first one counts."""
    store = open_store("memory://")
    project = create_project(store, "My App")
    store.record([digested(project, n, name) for n, name in enumerate("aabbabcc", 1)])
    events = store.scan(project.id)
    news = dict(zip((event.number for event in events), "xyxyyxzw", strict=True))
    found = []
    for some in (events, events[::-1], [*events[3:], *events[:3]]):
        history = History()
        for event in some:
            history.add(event, key_of(news[event.number]))
        history.settle()
        plan = make_plan(history.flows, {})
        places = {number: history.flows[index] for number, index in history.indexes()}
        assert all(flow.key == key_of(news[number]) for number, flow in places.items())
        assert [flow.first for flow in history.flows] == sorted(flow.first for flow in history.flows)
        found.append((history.flows, plan.targets, plan.heirs, plan.splits, plan.dropped))
    assert found[0] == found[1] == found[2]


NAMES = "abcxyz"
EVENTS = st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from([*NAMES, None])), min_size=1, max_size=40)


@pytest.mark.parametrize("size", [1, 3, 1000])
@given(events=EVENTS, again=EVENTS)
def test_whatever_there_is(
    size: int, events: list[tuple[str, str | None]], again: list[tuple[str, str | None]]
) -> None:
    """Filed anew, events with one key are one issue, those with two are two; taken back, all is as it was."""
    store = open_store("memory://")
    project = create_project(store, "My App")
    store.record([digested(project, number, name) for number, (name, _new) in enumerate(events, 1)])
    before = issues_of(store, project)
    new = dict(enumerate((name for _old, name in events), 1))
    plan, done = file_anew(store, project, new, size)
    check(store, project, new)
    assert sum(one.events for one in done) == plan.moved + plan.rekeyed
    new = dict(enumerate((name for _old, name in again), 1))
    _partly, more = file_anew(store, project, new, size)
    check(store, project, new)
    for refiled in reversed([*done, *more]):
        store.revert(project.id, refiled, now=NOW)
    while store.settle(project.id):
        pass
    assert issues_of(store, project) == before
    assert store.project(project.id).issue_count == len(before)


def file_anew(store: Store, project: Project, new: Mapping[int, str | None], size: int) -> tuple[Plan, list[Refiled]]:
    history = History()
    for event in store.scan(project.id):
        name = new.get(event.event_id.int)
        history.add(event, None if name is None else key_of(name))
    history.settle()
    plan = make_plan(history.flows, store.owners(project.id, history.keys()))
    batches = [*key_batches(plan, size), *move_batches(history, plan, size), *drop_batches(plan.dropped, size)]
    done = [store.refile(project.id, refiling, now=NOW) for refiling in batches]
    while store.settle(project.id):
        pass
    return plan, done


def check(store: Store, project: Project, new: Mapping[int, str | None]) -> None:
    """Check that events are filed by their new keys, in the issues to which these lead, and that counts are right."""
    for event in store.scan(project.id):
        name = new.get(event.event_id.int)
        if name is not None:
            assert event.key == key_of(name)
            assert store.owners(project.id, [event.key]) == {event.key: event.issue_id}
    found = issues_of(store, project)
    assert sum(count for count, _events in found.values()) == store.project(project.id).event_count
    assert all(count == len(events) > 0 for count, events in found.values())
    assert store.project(project.id).issue_count == len(found)


def issues_of(store: Store, project: Project) -> dict[str, tuple[int, list[tuple[int, GroupingKey]]]]:
    """Return issues by their short ids: their counts, and their events with the keys by which these are filed."""
    found = {}
    for issue in store.issues(IssueQuery(project_id=project.id, limit=100)).items:
        events = store.events(EventQuery(issue_id=issue.id, limit=100)).items
        keys = [(event.id.int, store.event(event.id).key) for event in events]
        found[str(issue.short_id)] = issue.event_count, keys
    return found
