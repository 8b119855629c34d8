"""`rustrak explain` and `rustrak diff`: why events are, or are not, one issue."""

import json
from typing import Any
from uuid import UUID, uuid4

import attrs
import pytest

from rustrak_core import grouping
from rustrak_core.accepted import AcceptedEvent
from rustrak_core.ambient import utc_now
from rustrak_core.digest import digest
from rustrak_core.tracker import Tracker
from rustrak_http.cli.diff import Side, differences, verdict
from rustrak_http.cli.output import print_text, print_wrapped
from tests.cli.conftest import Rustrak

DOCUMENTED = grouping.Rules(mechanism="message@1")
FRAMES = {"frames": [{"function": "pay", "module": "shop"}]}
CHAIN = [{"type": "ValueError", "value": "no card"}, {"type": "PaymentError", "value": "cannot pay\ncard 1234"}]
EVENT: dict[str, Any] = {
    "event_id": "550e8400e29b41d4a716446655440000",
    "platform": "python",
    "transaction": "/checkout",
    "exception": {"values": [CHAIN[0], {**CHAIN[1], "stacktrace": FRAMES}]},
}


@pytest.fixture
def shop(rustrak: Rustrak) -> Rustrak:
    """Two projects, shop and till, without events."""
    rustrak("project", "create", "shop")
    rustrak("project", "create", "till")
    return rustrak


def file(rustrak: Rustrak, *events: dict[str, Any], project: str = "shop") -> list[str]:
    """File *events* by the documented rule, as earlier versions did, and return their ids."""
    filed: list[str] = []
    with rustrak.tracker() as tracker:
        for event in events:
            accepted = AcceptedEvent(
                project_id=tracker.project(project).id,
                event_id=UUID(event.get("event_id") or uuid4().hex),
                received_at=utc_now(),
                payload=json.dumps(event).encode(),
            )
            keys = grouping.keys(grouping.Subject.of(event, accepted.kind), DOCUMENTED)
            tracker.store.record([attrs.evolve(digest(accepted), keys=keys)])
            filed.append(str(accepted.event_id))
    return filed


def other(number: int = 1, **changes: Any) -> dict[str, Any]:
    """Return EVENT with an id of its own and other attributes."""
    return {**EVENT, "event_id": f"{number:032x}", **changes}


def rows(out: str) -> list[str]:
    """Return lines with single spaces."""
    return [" ".join(line.split()) for line in out.splitlines()]


def test_what_made_the_key_and_what_was_ignored(shop: Rustrak) -> None:
    """Parts stand with where they were taken from, the rest with the reason, in words."""
    file(shop, EVENT)
    out = shop("explain", "550e8400-e29b-41d4-a716-446655440000").out
    assert out.startswith("SHOP-1  event 550e8400-e29b-41d4-a716-446655440000\n  PaymentError: cannot pay\n\n")
    assert "so the mechanism message@1 decides. Events with the same type" in out
    for row in (
        "type PaymentError the last exception's `type`",
        "message cannot pay the first line of the last exception's `value`",
        "transaction /checkout the event's `transaction`",
        "exception ValueError is not the last exception of the chain, which decides",
        "the rest of the message comes after its first line",
        "the stack trace is not looked at by this rule",
    ):
        assert row in rows(out)
    assert f"Grouping key: message@1:{shop.json('explain', EVENT['event_id'])['key']}\n" in out


def test_the_fingerprint_that_decides(shop: Rustrak) -> None:
    """A fingerprint is named as what decided, and that the rule has no say."""
    file(shop, {**EVENT, "fingerprint": ["payment", "{{ transaction }}"]})
    out = shop("explain", "SHOP-1").out
    assert "The event came with a fingerprint" in out
    assert "Neither" not in out
    assert "fingerprint payment the event's `fingerprint`" in rows(out)
    assert "{{ transaction }} /checkout the event's `fingerprint`, filled in" in rows(out)
    assert "what anchor@1 would take is left out, as the fingerprint has no {{ default }}" in rows(out)


def test_a_fingerprint_that_leaves_it_to_the_rule(shop: Rustrak) -> None:
    """Only `{{ default }}` changes nothing, which is said."""
    file(shop, {**EVENT, "fingerprint": ["{{ default }}"]})
    out = shop("explain", "SHOP-1").out
    assert "mechanism message@1" in out
    assert "the event's `fingerprint` says only {{ default }}, which stands for the rule itself" in rows(out)


def test_a_message_with_a_template(shop: Rustrak) -> None:
    """The template is what counts, and its values are named as ignored; an absent transaction is shown as empty."""
    file(shop, {"logentry": {"message": "order %s failed", "params": [7], "formatted": "order 7 failed"}})
    out = shop("explain", "SHOP-1").out
    assert "message order %s failed the first line of the message's template" in rows(out)
    assert "the values in the message differ from event to event; the template is the same" in rows(out)
    assert "transaction (empty) the event's `transaction`" in rows(out)


def test_many_exceptions_are_counted(shop: Rustrak) -> None:
    """Of a long chain the nearest ten are named, and how many more there were."""
    values = [{"type": f"E{number}", "value": "x"} for number in range(15)]
    file(shop, {"exception": {"values": values}})
    out = shop("explain", "SHOP-1").out
    assert "exception E13 " in out
    assert "exception E4 " in out
    assert "exception E3 " not in out
    assert any(row.startswith("4 more exceptions") for row in rows(out))


def test_json_is_the_apis_grouping(shop: Rustrak) -> None:
    """`--json` prints what GET /api/events/{id} answers under `grouping`."""
    (event_id,) = file(shop, EVENT)
    assert shop.json("explain", event_id) == shop.json("event", event_id)["grouping"]


def test_the_project_chooses(shop: Rustrak) -> None:
    """Where two projects hold an id, --project chooses; a short id stands for the event of its own project."""
    file(shop, EVENT)
    file(shop, {**EVENT, "transaction": "/till"}, project="till")
    assert shop.json("explain", EVENT["event_id"], "--project", "shop")["parts"][2]["value"] == "/checkout"
    assert shop.json("explain", EVENT["event_id"], "--project", "till")["parts"][2]["value"] == "/till"
    assert shop.json("explain", "SHOP-1")["parts"][2]["value"] == "/checkout"
    assert shop.json("event", "SHOP-1")["transaction"] == "/checkout"


def test_unknown(shop: Rustrak) -> None:
    """What does not exist is said in one line, and missing arguments are a wrong command line."""
    file(shop, EVENT)
    assert "no such event" in shop.fails("explain", "0" * 31 + "1")
    assert "rustrak issues" in shop.fails("diff", "SHOP-1", "SHOP-9")
    assert "rustrak project list" in shop.fails("explain", "SHOP-1", "--project", "shopp")
    assert "EVENT" in shop.fails("explain", code=2)
    assert "'B'" in shop.fails("diff", "SHOP-1", code=2)


def test_an_event_does_not_drive_the_terminal(shop: Rustrak) -> None:
    """Control characters of an event are spelled out, wherever they stand."""
    evil = "a\x1b[2J\x07\x9b\u202e"
    values = [{"type": evil, "value": "x"}, {"type": evil, "value": evil}]
    file(shop, other(1, exception={"values": values}, transaction=evil), other(2, fingerprint=[evil]))
    for out in (shop("explain", "SHOP-1").out, shop("diff", "SHOP-1", "SHOP-2").out):
        assert "a\\x1b[2J" in out
        assert not set(out) & set("\x1b\x07\x9b\u202e")


def test_long_texts_are_bounded(shop: Rustrak) -> None:
    """A value of thousands of characters shows its beginning, and all of it with --json."""
    file(shop, {"message": "x" * 5000})
    assert shop("explain", "SHOP-1").out.count("x") < 1000
    assert len(shop.json("explain", "SHOP-1")["parts"][1]["value"]) == 5000


def test_together(shop: Rustrak) -> None:
    """Two events of one key are told to be together, with a way to tell them apart."""
    one, two = file(shop, EVENT, other(level="fatal"))
    out = shop("diff", one, two).out
    assert out.startswith("Together: both are in SHOP-1, since their grouping keys are the same.\n")
    assert '["{{ default }}", "what tells them apart"]' in out
    assert not any(line.lstrip().startswith("*") for line in out.splitlines())
    assert shop.json("diff", one, two)["differences"] == []


def test_apart(shop: Rustrak) -> None:
    """What differs is named and marked; what is the same is not."""
    one, two = file(
        shop, EVENT, other(transaction="/basket", exception={"values": [{**CHAIN[1], "type": "CardError"}]})
    )
    out = shop("diff", one, two).out
    assert out.startswith(
        "Apart: they are in SHOP-1 and SHOP-2, since their grouping keys differ in the type and the transaction.\n"
    )
    assert "* type PaymentError CardError" in rows(out)
    assert "* transaction /checkout /basket" in rows(out)
    assert "message cannot pay cannot pay" in rows(out)
    assert f"event {one} {two}" in rows(out)
    answer = shop.json("diff", one, two)
    assert (answer["together"], answer["differences"]) == (False, ["type", "transaction"])
    assert answer["summary"] == out.partition("\n")[0]
    assert [each["short_id"] for each in answer["events"]] == ["SHOP-1", "SHOP-2"]
    assert answer["events"][1]["grouping"] == shop.json("explain", two)


def test_a_fingerprint_on_one_side(shop: Rustrak) -> None:
    """Where other things decided, that is the reason; a part that one key lacks is named so."""
    one, two = file(shop, EVENT, other(fingerprint=["x", "y"]))
    out = shop("diff", one, two).out
    assert "A's by the mechanism message@1, B's by the fingerprint that came with the event" in out
    assert "* fingerprint (no such part) x" in rows(out)
    assert "* fingerprint 2 (no such part) y" in rows(out)


def test_two_fingerprints(shop: Rustrak) -> None:
    """Two fingerprints differ in the parts that are not the same."""
    one, two = file(shop, other(1, fingerprint=["x", "y"]), other(2, fingerprint=["x", "z"]))
    assert "since their grouping keys differ in the fingerprint 2." in shop("diff", one, two).out


def test_two_projects(shop: Rustrak) -> None:
    """Events of two projects are apart, whatever their keys are."""
    (one,), (two, three) = file(shop, EVENT), file(shop, other(1), other(2, transaction="/"), project="till")
    said = shop.json("diff", one, two)
    assert not said["together"]
    assert said["summary"].endswith("an issue belongs to one. Besides, their keys are the same.")
    assert shop.json("diff", one, three)["summary"].endswith("their grouping keys differ in the transaction.")
    assert "fingerprint, as" not in shop("diff", one, two).out


def test_an_event_and_itself(shop: Rustrak) -> None:
    """The same event twice is said to be that."""
    (one,) = file(shop, EVENT)
    assert shop("diff", one, UUID(one).hex).out.startswith("Together: both are the same event, which is in SHOP-1.\n\n")


def test_long_values_are_shown_where_they_differ(shop: Rustrak) -> None:
    """Of long messages that differ late, the place where they do is shown."""
    one, two = file(shop, {"message": "x" * 4000 + "pear"}, {"message": "x" * 4000 + "apple"})
    out = shop("diff", one, two).out
    assert "pear" in out.partition("* message")[2]
    assert "apple" in out.partition("* message")[2]


def side(event: int, issue: int, key: str, *, parts: bool = True, by: str = "mechanism") -> Side:
    """Return an event of project 1, with a grouping as the API has it."""
    told = [{"name": "message", "value": key, "source": ""}] if parts else []
    grouping = {
        "mechanism": "message@1",
        "key": key,
        "parts": told,
        "decided_by": by,
        "ignored": [],
        "rules": [],
        "note": None,
    }
    return Side({"id": event, "issue_id": issue, "project_id": 1, "grouping": grouping}, f"SHOP-{issue}")


def test_an_issue_of_two_keys() -> None:
    """Events of two keys can be one issue, which has both."""
    said = verdict(side(1, 1, "a"), side(2, 1, "b"))
    assert said.startswith("Together: both are in SHOP-1, although their grouping keys differ in the message")


def test_issues_of_one_key() -> None:
    """Events of one key can be apart, since filed ones do not move."""
    assert "although their keys are the same" in verdict(side(1, 1, "a"), side(2, 2, "a"))


def test_a_key_that_cannot_be_told() -> None:
    """Where the payload is gone, so are the reasons."""
    one, two = side(1, 1, "a", parts=False, by=""), side(2, 2, "b")
    assert "cannot be told" in verdict(one, two)
    assert differences(one, two) == ["message"]


def test_payloads_that_were_shed(shop: Rustrak, monkeypatch: pytest.MonkeyPatch) -> None:
    """An explanation without parts is printed as such."""
    file(shop, EVENT)
    gone = {"mechanism": "message@1", "key": "0" * 32, "summary": "It was shed.", "decided_by": ""}
    with shop.tracker() as tracker:
        event = tracker.event_json(EVENT["event_id"])
    event["grouping"] = {**gone, "parts": [], "ignored": [], "rules": [], "note": None}
    monkeypatch.setattr(Tracker, "event_json", lambda *_, **__: event)
    assert shop("explain", "SHOP-1").out.endswith(f"\n\nIt was shed.\nGrouping key: message@1:{'0' * 32}\n")
    assert "decided by cannot be told cannot be told" in rows(shop("diff", "SHOP-1", "SHOP-1").out)


def test_in_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Long cells and sentences go on in the next line, within the terminal's width; nothing is lost."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_wrapped(("part", "value"), [("message", "a word " * 20), ("type", "T" * 60)])
    print_text("some more words " * 10)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 40
    assert out.count("T") == 60
    assert out.split().count("word") == 20
    assert out.split().count("words") == 10
