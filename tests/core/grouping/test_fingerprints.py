"""Fingerprints: what SDKs, and rules, say themselves."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rustrak_core import grouping
from rustrak_core.grouping import Rules
from rustrak_core.testing import Event, assert_grouped, assert_separate, error

ANCHOR = Rules(mechanism="anchor@1")
EVENT = error(
    "KeyError: 'pear'",
    at=["shop/views.py:buy", "shop.orders:load", "-lib/a.py:get"],
    level="fatal",
    logger="shop.log",
    transaction="/buy",
    tags={"region": "eu", "a.b": "c"},
)


def filled(*fingerprint: Any) -> list[str]:
    """Return what parts of a fingerprint stand for."""
    return [part.value for part in grouping.key({**EVENT, "fingerprint": [*fingerprint]}, ANCHOR).explanation.parts]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("type", "KeyError"),
        ("value", "'pear'"),
        ("transaction", "/buy"),
        ("module", "shop.orders"),
        ("function", "load"),
        ("level", "fatal"),
        ("logger", "shop.log"),
        ("tags.region", "eu"),
        ("tags.a.b", "c"),
        ("tags.none", ""),
    ],
)
@pytest.mark.parametrize("spaces", ["{{ %s }}", "{{%s}}", " {{\t%s  }} "])
def test_variables_stand_for_what_the_event_says(variable: str, value: str, spaces: str) -> None:
    """Each variable is filled in, spaces or not; what an event does not say is empty."""
    assert filled(spaces % variable) == [value]


@pytest.mark.parametrize(
    "text", ["{{ other }}", "{{ tags. }}", "{ type }", "x {{ type }}", "{{ type }} {{ value }}", "{{"]
)
def test_what_is_no_variable_stands_for_itself(text: str) -> None:
    """A text that only looks like a variable is a text."""
    assert filled(text) == [text]


def test_the_default_is_the_mechanism_s() -> None:
    """``{{ default }}`` stands for the parts that would have decided, and alone it is no fingerprint at all."""
    alone = grouping.key({**EVENT, "fingerprint": ["{{ default }}"]}, ANCHOR)
    assert (alone, alone.explanation.decided_by) == (grouping.key(EVENT, ANCHOR), "mechanism")
    within = grouping.key({**EVENT, "fingerprint": ["eu", "{{ default }}"]}, ANCHOR)
    assert within.mechanism == "fingerprint@1:anchor@1"
    assert [part.value for part in within.explanation.parts] == ["eu", "KeyError", "<*>", "shop.orders in load"]


@pytest.mark.parametrize(("sent", "parts"), [([1, "a"], ["1", "a"]), ([True, None, {}, [], 1.5], ["True", "1.5"])])
def test_odd_values(sent: list[Any], parts: list[str]) -> None:
    """SDK.md, section 10: "ints/bools/floats -> string, null/object/list dropped"."""
    assert filled(*sent) == parts


@pytest.mark.parametrize("sent", ["text", None, [], [None, {}], 5, {"a": 1}])
def test_what_is_no_fingerprint_leaves_the_default(sent: Any) -> None:
    """SDK.md, section 10: "string -> null; [] = default"."""
    assert_grouped(EVENT, {**EVENT, "fingerprint": sent}, rules=ANCHOR)


def test_a_fingerprint_decides_alone() -> None:
    """Events with one fingerprint are one issue, however they differ, by whatever mechanism."""
    assert_grouped({"message": "x", "fingerprint": ["f"]}, {**EVENT, "fingerprint": ["f"]}, rules=ANCHOR)
    event: Event = {**EVENT, "fingerprint": ["f"]}
    assert grouping.key(event, ANCHOR) == grouping.key(event, Rules(mechanism="message@1"))


TEXTS = st.text(max_size=4)


@given(st.lists(TEXTS, min_size=1, max_size=4), st.lists(TEXTS, min_size=1, max_size=4))
@example(["ab", "c"], ["a", "bc"])
@example(["a", ""], ["a"])
@example(["1:a"], ["1", "a"])
def test_parts_never_run_together(one: list[str], other: list[str]) -> None:
    """Fingerprints are equal exactly where all their parts are."""
    events = ({"fingerprint": one}, {"fingerprint": other})
    (assert_grouped if one == other else assert_separate)(*events, rules=ANCHOR)
