"""JSON as SDKs send it and as we answer."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rustrak_core.errors import MalformedJsonError
from rustrak_core.jsontext import (
    MAX_DEPTH,
    Change,
    LongInteger,
    clean,
    clean_text,
    dumps,
    loads,
    loads_lenient,
    path_text,
)

DEEP = 100_000
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


def nested(depth: int, inner: str = "1") -> bytes:
    return ("[" * depth + inner + "]" * depth).encode()


def depth_of(value: Any) -> int:
    depth, level = 0, [value]
    while level := [c for c in level if isinstance(c, dict | list)]:
        depth += 1
        level = [child for c in level for child in (c.values() if isinstance(c, dict) else c)]
    return depth


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (rb'"\ud800"', "\ud800"),
        (b'{"a\\udc00":1}', {"a\udc00": 1}),
        (b"-Infinity", -math.inf),
        (b"1e400", math.inf),
        (b'"\xff\xfe"', "\ufffd\ufffd"),
        (b'"\\u0000"', "\0"),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        ('\ufeff{"a":1}', {"a": 1}),
        ('"\ud800"', "\ud800"),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"a":NaN,"a":2}', {"a": 2}),
    ],
)
def test_reads_what_sdks_send(text: bytes | str, value: Any) -> None:
    """What orjson refuses is read all the same, and of two equal keys the last one wins in both readers."""
    assert loads(text) == value


def test_reads_nan() -> None:
    """NaN is read as what it is."""
    assert math.isnan(loads(b"[NaN]")[0])


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, 2**70, -(2**63), -(2**63) - 1, -(2**70), 10**300])
def test_integers_are_exact(number: int) -> None:
    """Integers over 64 bits do not become floats, read or written."""
    text = b'{"n":%d}' % number
    assert loads(text) == loads_lenient(text) == {"n": number}
    assert dumps({"n": number}) == text


@pytest.mark.parametrize(
    "text", [b"", b"{", b"{]", b"nope", b"1 2", b'"', b"'a'", nested(DEEP), b"9" * 5000, b"[" * DEEP, b"\xff"]
)
def test_refuses_what_nobody_reads(text: bytes) -> None:
    """Whatever cannot be read is our error, and nothing else."""
    with pytest.raises(MalformedJsonError):
        loads(text)


@pytest.mark.parametrize("text", [b"", b"{", b"[" * DEEP, b"]" * DEEP, b'"' + b'\\"' * DEEP, b'[["' * DEEP, b"\xff"])
def test_the_lenient_reader_refuses_what_is_not_json(text: bytes) -> None:
    """The lenient reader is lenient with depth and size, not with what ends too early."""
    with pytest.raises(MalformedJsonError):
        loads_lenient(text)


def test_the_lenient_reader_keeps_what_is_around_a_deep_value() -> None:
    """A value nested beyond every reader becomes text at its depth; its siblings are read."""
    value = loads_lenient(b'{"deep":%s,"after":[1,"]"]}' % nested(DEEP, r'"\u00e9]"'))
    assert value["after"] == [1, "]"]
    assert depth_of(value) == 256
    while not isinstance(value, str):
        value = value["deep"] if isinstance(value, dict) else value[0]
    assert value.encode() == nested(DEEP - 255, r'"\u00e9]"')


@given(
    st.integers(-(10**30), 10**30),
    st.sampled_from(["", " ", "\n\t", "\ufeff"]),
    st.sampled_from(["{}", '{{"a":{}}}', "[1,{}]", '{{"id":"00000000000000000000000000000012","n": {}}}']),
)
def test_integers_beside_digits_in_strings_are_exact(number: int, space: str, around: str) -> None:
    """Wherever an integer of any length stands, it is read as it is."""
    data = (space + around.format(number)).encode()
    expected = json.loads(data.decode("utf-8-sig"))
    assert loads(data) == expected
    assert loads_lenient(data) == expected


def test_digits_in_a_string_are_read_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that happens to be all digits does not make an event slow to read."""
    monkeypatch.setattr(json, "loads", lambda *_a, **_k: pytest.fail("read by the standard library"))
    trace_id = "0" * 31 + "7"
    assert loads_lenient(f'{{"trace_id":"{trace_id}"}}'.encode()) == {"trace_id": trace_id}


def test_long_integers_are_kept_as_written() -> None:
    """An integer of 5,000 digits is neither lost nor changed."""
    digits = "-" + "7" * 5000
    value = loads_lenient(f'{{"n":{digits}}}'.encode())
    assert value == {"n": LongInteger(digits)}
    assert str(value["n"]) == digits
    assert dumps(value) == f'{{"n":{digits}}}'.encode()
    assert dumps(clean(value)[0]) == f'{{"n":{digits}}}'.encode()


def test_writes_integers_that_str_refuses() -> None:
    """An integer of any size is written exactly."""
    assert dumps([10**5000 + 7, -(10**1200)]) == b"[1" + b"0" * 4999 + b"7,-1" + b"0" * 1200 + b"]"


def test_writes_what_json_lacks() -> None:
    """NaN, infinities, lone surrogates and foreign values become what JSON has."""
    now = datetime(2024, 1, 15, tzinfo=UTC)

    class Mute:
        def __str__(self) -> str:
            raise ValueError

    value = {"n": [math.nan, math.inf], "\udc00k": "\ud800!", 5: (now, {7}, Mute(), 2**70)}
    assert loads(dumps(value)) == {
        "n": [None, None],
        "\ufffdk": "\ufffd!",
        "5": [now.isoformat(), "{7}", "<Mute>", 2**70],
    }


@pytest.mark.parametrize("depth", [129, 200, 255, 400, 1000])
def test_writes_what_is_too_deep_as_text(depth: int) -> None:
    """What nests deeper than 128 becomes a string that holds its JSON."""
    value = loads(nested(depth, '"a\\"b",NaN'.replace("NaN", "7")))
    written = orjson.loads(dumps(value))
    assert depth_of(written) == MAX_DEPTH
    for _ in range(MAX_DEPTH):
        written = written[0]
    assert written.encode() == nested(depth - MAX_DEPTH, '"a\\"b",7')


def test_writes_128_levels_as_they_are() -> None:
    """128 levels are not too deep."""
    text = nested(MAX_DEPTH)
    assert dumps(loads(text)) == text


def test_a_value_that_holds_itself_ends() -> None:
    """A host's cyclic value is written without end of time or stack."""
    value: dict[str, Any] = {"a": 1}
    value["self"] = [value, value]
    assert loads(dumps(value)) == {"a": 1, "self": [None, None]}


def test_clean_says_what_it_changed() -> None:
    """Each change is named with its path and a reason."""
    deep = json.loads(nested(127))
    value, changes = clean({"a": [1, math.nan], "k\ud800": {"t": "\udfff"}, "deep": deep, "deeper": [[deep]]})
    assert value["a"] == [1, None]
    assert [c for c in changes if not c.path.startswith("deeper")] == [
        Change("a[1]", "not a finite number"),
        Change("", "lone surrogates replaced"),
        Change("k\ufffd.t", "lone surrogates replaced"),
    ]
    assert [c.reason for c in changes if c.path.startswith("deeper")] == ["nested deeper than 128"]
    assert clean({"a": [1, "\u00e9", 2.5, None, True]}) == ({"a": [1, "\u00e9", 2.5, None, True]}, [])


def test_changes_are_bounded() -> None:
    """A megabyte of NaN does not answer with a megabyte of explanations."""
    assert len(clean([math.nan] * 100_000)[1]) == 1000


def test_paths_in_words() -> None:
    """A path reads as one would write it."""
    assert path_text(["a", 0, "b"]) == "a[0].b"
    assert path_text([]) == ""


def test_clean_text() -> None:
    """Only lone surrogates are replaced."""
    assert clean_text("a\ud800\u00e9\U0001f600") == "a\ufffd\u00e9\U0001f600"


@given(st.binary() | st.text().map(str.encode))
@example(b"[1e999999999999]")
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Any bytes parse, or raise our error; what parsed can be written and read again."""
    for read in (loads, loads_lenient):
        try:
            value = read(data)
        except MalformedJsonError:
            continue
        orjson.loads(dumps(value))


@given(json_values)
def test_what_we_write_we_read_back(value: Any) -> None:
    """Writing and reading lose nothing."""
    assert loads(dumps(value)) == loads_lenient(dumps(value)) == value


@given(
    st.recursive(
        st.floats() | st.text(st.characters()) | st.integers(),
        lambda c: st.lists(c) | st.dictionaries(st.text(st.characters()), c),
    )
)
def test_output_is_always_valid(value: Any) -> None:
    """Whatever goes in, valid JSON in UTF-8 comes out."""
    json.loads(dumps(value).decode(), parse_constant=pytest.fail)
