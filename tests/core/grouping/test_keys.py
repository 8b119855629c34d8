"""Which events are one issue."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rustrak_core import grouping
from rustrak_core.grouping import GroupingKey, Part, Rules, Subject
from rustrak_core.grouping.parts import hash_parts

ERROR = {"exception": {"values": [{"type": "KeyError", "value": "'pear'\nmore"}]}, "transaction": "/buy"}


DOCUMENTED = Rules(mechanism="message@1")


def key(payload: dict[str, Any], rules: Rules = DOCUMENTED, *, kind: str = "event") -> GroupingKey:
    return grouping.key(payload, rules, kind=kind)


def named(payload: dict[str, Any]) -> list[tuple[str, str]]:
    return [(part.name, part.value) for part in grouping.explain(payload, rules=DOCUMENTED).parts]


def test_a_released_mechanism_never_changes() -> None:
    """Keys are stored: these values must stay what they are for all time."""
    assert key(ERROR) == GroupingKey(mechanism="message@1", value="81a26e1fcf66af4d7e59975079e7a569")
    assert key({}) == GroupingKey(mechanism="message@1", value="06753f6c9a9af4890861e4dbe08a0544")
    assert key({**ERROR, "fingerprint": ["{{ default }}", "x"]}) == GroupingKey(
        mechanism="fingerprint@1:message@1", value="729361eea8d01f8d060fb6aa3115e289"
    )
    assert key({**ERROR, "fingerprint": ["x", 1]}) == GroupingKey(
        mechanism="fingerprint@1", value="68dd065d5692e1889a091a41238a2f45"
    )


def test_the_documented_rule() -> None:
    """Type, first line of the value, and transaction decide."""
    assert named(ERROR) == [("type", "KeyError"), ("message", "'pear'"), ("transaction", "/buy")]


@pytest.mark.parametrize(
    "same",
    [
        {"level": "fatal", "tags": {"a": "b"}, "release": "2", "timestamp": 1},
        {"exception": [{"type": "KeyError", "value": "'pear'\nother lines"}]},
        {"exception": [{"type": "Cause", "value": "x"}, {"type": "KeyError", "value": "'pear'  \r\n"}]},
        {"exception": {"type": "KeyError", "value": "'pear'", "stacktrace": {"frames": [{"function": "f"}]}}},
        {"fingerprint": []},
        {"fingerprint": None},
        {"fingerprint": "not a list"},
        {"fingerprint": ["{{ default }}"]},
        {"fingerprint": ["{{default}}"]},
        {"fingerprint": [None, {}]},
    ],
)
def test_what_makes_no_difference(same: dict[str, Any]) -> None:
    """Other attributes, later lines and earlier exceptions do not split an issue."""
    assert key({**ERROR, **same}) == key(ERROR)


@pytest.mark.parametrize(
    "other",
    [
        {"exception": [{"type": "IndexError", "value": "'pear'"}]},
        {"exception": [{"type": "KeyError", "value": "'apple'"}]},
        {"transaction": "/sell"},
        {"transaction": None},
        {"fingerprint": ["x"]},
        {"fingerprint": ["{{ default }}", "x"]},
        {"fingerprint": ["{{ type }}"]},
    ],
)
def test_what_makes_a_difference(other: dict[str, Any]) -> None:
    """Another type, first line, transaction or fingerprint is another issue."""
    assert key({**ERROR, **other}) != key(ERROR)


def test_messages_group_by_their_template() -> None:
    """What a logger fills in does not split an issue; without a template the text decides."""
    one = {"logentry": {"message": "order %s failed", "params": [1]}}
    two = {"logentry": {"message": "order %s failed", "params": [2], "formatted": "order 2 failed"}}
    assert key(one) == key(two)
    assert named(one) == [("type", "Message"), ("message", "order %s failed"), ("transaction", "")]
    assert key({"message": "order 1 failed"}) != key({"message": "order 2 failed"})


def test_kinds_do_not_mix() -> None:
    """A CSP report is not the message that reads the same."""
    assert key({"message": "x"}, kind="csp") != key({"message": "x"})


@pytest.mark.parametrize("spaces", ["{{ %s }}", "{{%s}}", " {{  %s}} "])
def test_variables_in_fingerprints(spaces: str) -> None:
    """Variables stand for the event's own parts; spaces in them are optional."""
    event = {**ERROR, "fingerprint": [spaces % "type", spaces % "value", spaces % "transaction", "own", 7, True]}
    assert named(event) == [
        ("{{ type }}", "KeyError"),
        ("{{ value }}", "'pear'\nmore"),
        ("{{ transaction }}", "/buy"),
        ("fingerprint", "own"),
        ("fingerprint", "7"),
        ("fingerprint", "True"),
    ]
    assert key(event).mechanism == "fingerprint@1"


def test_the_default_within_a_fingerprint() -> None:
    """``{{ default }}`` stands for what would have decided without a fingerprint."""
    event = {**ERROR, "fingerprint": ["eu", "{{ default }}"]}
    assert named(event) == [("fingerprint", "eu"), *named(ERROR)]
    assert key(event) != key({**event, "transaction": "/sell"})


def test_a_fingerprint_alone_decides() -> None:
    """Events with one fingerprint are one issue, however they differ."""
    assert key({**ERROR, "fingerprint": ["x"]}) == key({"message": "m", "fingerprint": ["x"]})


def test_explanations() -> None:
    """An explanation holds the key, its parts with their sources, and a sentence."""
    explained = grouping.explain(ERROR, key(ERROR)).to_json()
    assert explained["mechanism"] == "message@1"
    assert explained["key"] == key(ERROR).value
    assert "same type" in explained["summary"]
    assert explained["parts"][0] == {"name": "type", "value": "KeyError", "source": "the last exception's `type`"}
    assert "fingerprint" in grouping.explain({"fingerprint": ["x"]}).summary


@pytest.mark.parametrize(
    ("filed", "summary"),
    [
        (GroupingKey(mechanism="message@99", value="0" * 32), "does not know the mechanism"),
        (GroupingKey(mechanism="fingerprint@1:message@99", value="0" * 32), "does not know the mechanism"),
        (GroupingKey(mechanism="message@1", value="0" * 32), "no longer gives the key"),
        (GroupingKey(mechanism="fingerprint@1", value="0" * 32), "no longer gives the key"),
    ],
)
def test_explanations_own_up(filed: GroupingKey, summary: str) -> None:
    """A key that cannot be worked out again is shown without made-up reasons."""
    explained = grouping.explain(ERROR, filed)
    assert summary in explained.summary
    assert (explained.key, explained.parts) == (filed, ())


def test_rules_name_a_mechanism_that_exists() -> None:
    """A mechanism is chosen by name; one that does not exist is refused."""
    assert grouping.key(ERROR).mechanism == "anchor@1"
    assert grouping.key(ERROR, Rules(mechanism="anchor@1")) == grouping.key(ERROR)
    with pytest.raises(ValueError, match="message@0"):
        Rules(mechanism="message@0")


def test_mechanisms_keep_their_promises() -> None:
    """Each mechanism is registered by its own name, which fits its column, and has parts for any event."""
    for name, mechanism in grouping.MECHANISMS.items():
        assert mechanism.name == name
        assert len(f"fingerprint@1:{name}") <= 64
        assert mechanism.summary.endswith(".")
        assert mechanism.parts(Subject.of({}))


TEXTS = st.text(st.characters(), max_size=3)
PARTS = st.lists(st.tuples(TEXTS, TEXTS), max_size=3)


def _parts(pairs: Sequence[tuple[str, str]], source: str) -> list[Part]:
    return [Part(name, value, source) for name, value in pairs]


@given(PARTS, PARTS)
@example([("a", "b:c")], [("a:b", "c")])
@example([("1:a", "")], [("", "1:a")])
@example([("a", ""), ("b", "")], [("a", "b"), ("", "")])
def test_equal_parts_are_equal_keys(one: list[tuple[str, str]], two: list[tuple[str, str]]) -> None:
    """Keys are equal exactly where names and values are, wherever they came from."""
    assert (hash_parts("m@1", _parts(one, "here")) == hash_parts("m@1", _parts(two, "there"))) == (one == two)
    assert hash_parts("m@1", _parts(one, "")) != hash_parts("m@2", _parts(one, ""))


@given(
    st.dictionaries(
        st.sampled_from(["exception", "message", "logentry", "fingerprint", "transaction"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(st.characters()),
            lambda c: st.lists(c) | st.dictionaries(st.sampled_from(["values", "type", "value", "message"]), c),
        ),
    )
)
def test_any_payload_has_a_key(payload: dict[str, Any]) -> None:
    """Whatever a payload holds, it has one key, the same each time, and an explanation that agrees."""
    found = key(payload)
    assert found == key(payload)
    assert len(found.value) == 32
    assert grouping.explain(payload, found).parts
