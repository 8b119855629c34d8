"""A project's rules and its pinned mechanism, as events meet them in a service that embeds the tracker."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import attrs
import pytest

from rustrak_core import grouping
from rustrak_core.accepted import AcceptedEvent
from rustrak_core.ambient import utc_now
from rustrak_core.errors import InvalidInputError, MalformedRulesError, UnknownProjectError
from rustrak_core.jsontext import dumps
from rustrak_core.ports import ProjectGrouping
from rustrak_core.project import Project, ProjectId
from rustrak_core.testing import error
from rustrak_core.tracker import KnownRules, Tracker
from rustrak_core.tracker.mechanisms import Digester
from rustrak_core.tracker.rules import grouping_to_json

OUTAGE = """
[[rule]]
type = ["ConnectionError", "*Timeout*"]
fingerprint = ["network"]
"""
TIMEOUT = error("TimeoutError: took 31 s", at="shop/orders.py:load")
REFUSED = error("ConnectionError: refused", at="shop/stock.py:count")
PINNED = 'mechanism = "message@1"\n'


def accepted(project: Project, event: dict[str, Any], at: datetime | None = None) -> AcceptedEvent:
    return AcceptedEvent(project_id=project.id, event_id=uuid4(), received_at=at or utc_now(), payload=dumps(event))


def test_a_rule_holds_at_once(tracker: Tracker, project: Project) -> None:
    """What this tracker takes in after its rules were set is grouped by them, and says so."""
    assert tracker.ingest_event(TIMEOUT, project).issue_id != tracker.ingest_event(REFUSED, project).issue_id
    kept = tracker.set_rules("shop", OUTAGE)
    assert kept.rules == OUTAGE
    assert tracker.grouping(project) == kept
    one, other = tracker.ingest_event(TIMEOUT, project), tracker.ingest_event(REFUSED, project)
    assert one.issue_id == other.issue_id
    assert one.event_id is not None
    explained = tracker.explain(one.event_id)
    assert explained.decided_by == "rule"
    assert list(explained.rules) == ["rule 1 (line 2): sets the fingerprint"]
    assert tracker.event_json(one.event_id)["grouping"] == explained.to_json()


def test_rules_are_of_one_project(tracker: Tracker, project: Project) -> None:
    """Another project's events are grouped as before."""
    tracker.set_rules(project, OUTAGE)
    other = tracker.create_project("other")
    assert tracker.ingest_event(TIMEOUT, other).issue_id != tracker.ingest_event(REFUSED, other).issue_id


def test_an_event_filed_by_other_rules_says_so(tracker: Tracker, project: Project) -> None:
    """Once rules have changed, what was filed before is explained as it was filed, or is said to be beyond that."""
    before = tracker.ingest_event(TIMEOUT, project).event_id
    assert before is not None
    tracker.set_rules(project, OUTAGE)
    explained = tracker.explain(before)
    assert explained.decided_by == "mechanism"
    assert explained.note.startswith("The project's rules have changed since it was filed. By the project's rules of ")
    assert "would be fingerprint@1:" in explained.note
    by_rule = tracker.ingest_event(TIMEOUT, project).event_id
    assert by_rule is not None
    assert not tracker.explain(by_rule).note
    tracker.set_rules(project, "")
    explained = tracker.explain(by_rule)
    assert explained.key.mechanism == "fingerprint@1"
    assert explained.parts == ()
    assert explained.summary.endswith("no longer gives the key by which it was filed: they have changed since.")
    assert "would be anchor@1:" in explained.note
    assert not tracker.explain(before).note


@pytest.mark.parametrize("text", ["[[rule]]\ntipe = 1", 'mechanism = "anchor@99"', "x", "\ud800", "#" * 65_537])
def test_refused_rules_change_nothing(tracker: Tracker, project: Project, text: str) -> None:
    """What is no rule is refused with its line, and what there was stays."""
    kept = tracker.set_rules(project, OUTAGE)
    with pytest.raises(MalformedRulesError, match=r"^line [12]: "):
        tracker.set_rules(project, text)
    assert tracker.grouping(project) == attrs.evolve(kept, used=tracker.grouping(project).used)


def test_unknown_projects(tracker: Tracker) -> None:
    """What does not exist is told before anything else."""
    for call in (
        tracker.grouping,
        lambda which: tracker.set_rules(which, "x"),
        lambda n: tracker.pin_mechanism(n, "x"),
    ):
        with pytest.raises(UnknownProjectError):
            call(7)


def test_a_pinned_mechanism_keeps_known_errors(tracker: Tracker, project: Project) -> None:
    """A project that goes back to the documented rule finds its issues, and opens new ones by that rule."""
    known = tracker.ingest_event(error("TimeoutError: took 31 s", at="a.py:f"), project)
    kept = tracker.pin_mechanism(project, "message@1")
    assert (kept.rules, kept.used) == (PINNED, ("anchor@1",))
    again = tracker.ingest_event(error("TimeoutError: took 99 s", at="a.py:f"), project)
    assert again.issue_id == known.issue_id  # by the key of the mechanism that came first
    assert again.event_id is not None
    assert tracker.explain(again.event_id).note == (
        "It was filed by a key of anchor@1, by which its issue is known. The project's mechanism now is message@1,"
        " which opens new issues."
    )
    assert tracker.grouping(project).used == ("anchor@1", "message@1")
    new = [tracker.ingest_event(error(f"KeyError: {word}", at="b.py:g"), project) for word in ("x1", "x2", "x1")]
    assert [one.recorded[0].is_new for one in new] == [True, True, False]
    assert new[0].event_id is not None
    assert tracker.explain(new[0].event_id).key.mechanism == "message@1"


def test_the_order_of_first_use_decides(tracker: Tracker, project: Project) -> None:
    """Where two mechanisms know an event by two issues, the one that the project used first wins, also back at it."""
    documented = grouping.Rules(mechanism="message@1")
    one, two = (error(f"KeyError: item {number} is gone", at="b.py:g") for number in (1, 2))
    tracker.pin_mechanism(project, "message@1")
    first, second = tracker.ingest_event(one, project), tracker.ingest_event(two, project)
    assert first.issue_id != second.issue_id
    tracker.pin_mechanism(project, None)
    assert tracker.grouping(project).rules == ""
    again = [
        tracker.ingest_event(event, project) for event in (one, two, error("KeyError: item 3 is gone", at="b.py:g"))
    ]
    assert [each.issue_id for each in again] == [first.issue_id, second.issue_id, first.issue_id]
    assert tracker.grouping(project).used == ("message@1", "anchor@1")

    other = tracker.create_project("other")  # which uses them the other way round
    digester = Digester(tracker.store)
    tracker.ingest_event(error("KeyError: item 9 is gone", at="b.py:g"), other)
    tracker.pin_mechanism(other, "message@1")
    assert [key.mechanism for key in digester.digest(accepted(other, one)).former] == ["anchor@1"]
    tracker.ingest_event(error("KeyError: item 1 is gone", at="c.py:h"), other)
    tracker.pin_mechanism(other, None)
    digested = Digester(tracker.store).digest(accepted(other, one))
    assert digested.former == ()
    assert digested.later == (grouping.GroupingKey(mechanism="message@1", value=grouping.key(one, documented).value),)
    assert tracker.grouping(other).used == ("anchor@1", "message@1")


def test_rules_that_nobody_can_read_lose_no_event(tracker: Tracker, project: Project) -> None:
    """Rules of another version are left out, which is told once for each text, and shown."""
    told: list[tuple[ProjectId, int]] = []
    digester = Digester(tracker.store, unreadable=lambda number, problem: told.append((number, problem.line)))
    tracker.store.set_grouping(project.id, f'{OUTAGE}\n[[rule]]\nfuture = "x"\n', now=utc_now())
    now = utc_now()
    for minutes in range(0, 60, 5):
        digested = digester.digest(accepted(project, TIMEOUT, now + timedelta(minutes=minutes)))
        assert digested.keys == (grouping.GroupingKey(mechanism="anchor@1", value=grouping.key(TIMEOUT).value),)
    assert told == [(project.id, 7)]
    shown = grouping_to_json(tracker.grouping(project))
    assert (shown["mechanism"], shown["pinned"], shown["rules_count"]) == ("anchor@1", None, 0)
    assert shown["problem"].startswith("the rules are not in force, since line 7: `future` is unknown")
    with pytest.raises(MalformedRulesError, match="line 7"):
        tracker.pin_mechanism(project, "message@1")
    event_id = tracker.ingest_event(TIMEOUT, project).event_id
    assert event_id is not None
    assert tracker.explain(event_id).decided_by == "mechanism"
    tracker.set_rules(project, OUTAGE)
    assert grouping_to_json(tracker.grouping(project))["problem"] is None


def test_pins(tracker: Tracker, project: Project) -> None:
    """A mechanism is pinned in the text of the rules, which else stays as it is."""
    tracker.set_rules(project, OUTAGE)
    assert tracker.pin_mechanism(project, "message@1").rules == f"{PINNED}\n{OUTAGE}"
    assert grouping_to_json(tracker.grouping(project))["pinned"] == "message@1"
    before = tracker.pin_mechanism(project, "anchor@1")
    assert tracker.pin_mechanism(project, "anchor@1") == before
    assert before.rules == f'mechanism = "anchor@1"\n\n{OUTAGE}'
    assert tracker.pin_mechanism(project, None).rules == OUTAGE
    with pytest.raises(InvalidInputError, match=r"^mechanism: must be one of message@1, anchor@1, or null"):
        tracker.pin_mechanism(project, "anchor@7")


def test_changes_elsewhere_are_seen_within_two_seconds(tracker: Tracker, project: Project) -> None:
    """Another process's change of rules holds for what is received two seconds later; a project's own clock decides."""
    digester, now = Digester(tracker.store), utc_now()
    assert digester.digest(accepted(project, TIMEOUT, now)).keys[0].mechanism == "anchor@1"
    tracker.set_rules(project, OUTAGE)
    seconds = (0, 1.9, 2, 2.1)
    found = [
        digester.digest(accepted(project, TIMEOUT, now + timedelta(seconds=each))).keys[0].mechanism for each in seconds
    ]
    assert found == ["anchor@1", "anchor@1", "fingerprint@1", "fingerprint@1"]


class Asked:
    """A store that notes what it is asked."""

    def __init__(self, tracker: Tracker) -> None:
        self._store = tracker.store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._store, name)


def test_a_store_is_hardly_asked(tracker: Tracker, project: Project) -> None:
    """A thousand events of a minute ask half a minute's worth of one number, and once for each project."""
    store, now = Asked(tracker), utc_now()
    digester = Digester(store)
    for number in range(1000):
        digester.digest(accepted(project, TIMEOUT, now + timedelta(seconds=number * 0.06)))
    assert 25 < store.calls.count("grouping_changes") <= 31
    assert [name for name in store.calls if name != "grouping_changes"] == ["grouping", "use_mechanism", "mechanisms"]


def test_known_rules_wait_for_nobody(tracker: Tracker, project: Project) -> None:
    """Who may not wait goes by the rules that were known last, also while the store is away."""
    store = Asked(tracker)
    rules, others = KnownRules(store), tracker.create_project("other")

    def mechanism(where: Project) -> str:
        return rules.digest(accepted(where, TIMEOUT)).keys[0].mechanism

    tracker.set_rules(project, OUTAGE)
    assert mechanism(project) == "anchor@1"
    assert store.calls == []
    rules.refresh()
    rules.refresh()
    assert store.calls == ["grouping_changes", "groupings", "grouping_changes"]
    assert (mechanism(project), mechanism(others)) == ("fingerprint@1", "anchor@1")
    tracker.pin_mechanism(others, "message@1")
    rules.refresh()
    assert (mechanism(project), mechanism(others)) == ("fingerprint@1", "message@1")
    tracker.close()
    rules.refresh()
    assert (mechanism(project), mechanism(others)) == ("fingerprint@1", "message@1")


def test_events_of_a_deleted_project(tracker: Tracker, project: Project) -> None:
    """They are digested, and the store says what became of them."""
    digester = Digester(tracker.store)
    tracker.delete_project(project)
    (recorded,) = tracker.store.record([digester.digest(accepted(project, TIMEOUT))])
    assert recorded.outcome == "deleted"


def test_what_is_shown_of_a_project_without_rules(tracker: Tracker, project: Project) -> None:
    """It says which mechanism is in force, and that nothing was set."""
    assert tracker.grouping(project) == ProjectGrouping(project_id=project.id)
    assert grouping_to_json(tracker.grouping(project)) == {
        "project_id": project.id,
        "mechanism": "anchor@1",
        "pinned": None,
        "used": [],
        "rules": "",
        "rules_count": 0,
        "changed_at": None,
        "problem": None,
    }
