"""Payloads read in part: rows say the same as of the whole payload, and what is no JSON is never taken for some."""

from typing import Any
from unittest import mock

import duckdb
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.event.attributes import ALIASES
from rustrak_core.ports import BareEvent
from rustrak_storage.duck import rows
from rustrak_storage.duck.rows import event_line
from rustrak_storage.duck.sent import read_sent
from tests.dataset.facts import made_payload

ATTRIBUTES = ("exception", "stacktrace", "request", "contexts")
NAMES = [*ATTRIBUTES, *(ALIASES[name] for name in ATTRIBUTES), "transaction", "server_name", "sdk", "extra"]
PARTS = "values frames stacktrace type value module filename abs_path function lineno in_app url trace trace_id name"
KEYS = st.sampled_from([*PARTS.split(), "version", "other"])
INTEGERS = st.integers(-(2**63), 2**64 - 1)  # orjson makes floats of others, where a part is read as it was sent
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SCALARS = st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS
VALUES = st.recursive(SCALARS, lambda c: st.lists(c, max_size=3) | st.dictionaries(KEYS, c, max_size=4), max_leaves=12)
FRAMES = st.lists(st.none() | st.dictionaries(KEYS, SCALARS | VALUES, max_size=4), max_size=3)
STACKS = st.fixed_dictionaries({"frames": FRAMES | VALUES}) | FRAMES | VALUES
ENTRIES = st.lists(
    st.fixed_dictionaries({"type": SCALARS, "value": SCALARS, "stacktrace": STACKS}) | VALUES, max_size=3
)
EXCEPTIONS = st.fixed_dictionaries({"values": ENTRIES}) | ENTRIES | VALUES
PAYLOADS = st.fixed_dictionaries(
    {}, optional={name: EXCEPTIONS if "xception" in name else STACKS if "tack" in name else VALUES for name in NAMES}
)


def bare(payload: bytes) -> BareEvent:
    """Return an event with that payload."""
    details = b'{"kind":"event","type":"E","message":"","culprit":"","level":"error","platform":"x"}'
    return BareEvent(1, 1, bytes(16), 1, 0, 0, "anchor@1", bytes(16), None, None, None, details, payload)


def whole(event: BareEvent) -> bytes:
    """Return the line of *event*, made from all that it holds."""
    with mock.patch("rustrak_storage.duck.rows.read_sent", side_effect=ValueError):
        return event_line(event, "shop")


@given(PAYLOADS)
def test_rows_are_the_same(payload: dict[str, Any]) -> None:
    """Whatever stands where, in the forms of today and of old."""
    event = bare(orjson.dumps(payload))
    assert event_line(event, "shop") == whole(event)


def test_only_some_of_it_is_read() -> None:
    """Payloads as SDKs send them are read in part: what no row has is left out."""
    payload = made_payload(3)
    found = read_sent(orjson.dumps({**payload, "extra": {"a": 1}, "é": "ü"}))
    assert found["transaction"] == payload["transaction"]
    assert set(found) < set(payload)
    (entry,) = found["exception"]["values"]
    assert set(entry) == {"type", "value", "stacktrace"}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"extra":"\xff"}',
        b'{"\xff":1}',
        b'{"extra":"\xed\xa0\x80"}',
        b'{"extra":"\\ud800"}',
        b'{"extra":NaN}',
        b'{"extra":[1,]}',
        b"[]",
        b"",
        b'{"extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_json(payload: bytes) -> None:
    """Also in parts that are passed over."""
    with pytest.raises(ValueError, match=r".*"):
        read_sent(payload)


def test_stacks_that_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are written out once for all that send the same, and what is kept for that is bounded."""
    known: dict[bytes, bytes] = {}
    monkeypatch.setattr(rows, "_stacks", known)
    monkeypatch.setattr(rows, "_STACKS", 3)
    for number in (*range(8), *range(8)):
        for size in (1, 9000):  # the longer ones are written out each time
            frames = [{"module": "m" * size, "lineno": number, "vars": {"n": number}}]
            event = bare(orjson.dumps({"stacktrace": frames}))
            assert f'"lineno":{number},'.encode() in event_line(event, "shop").partition(b'"frames"')[2]
            assert len(known) <= 3
            assert all(len(key) < 9000 for key in known)
    assert known


def test_numbers_of_any_size() -> None:
    """Those that no float holds stay as they were sent, for DuckDB reads them."""
    payload = b'{"extra":{"most":1e999,"many":123456789012345678901234567890}}'
    assert event_line(bare(payload), "shop").endswith(b"\x1f" + payload + b"\n")
    query = "SELECT j->>'$.extra.most', j->>'$.extra.many' FROM (SELECT ? AS j)"
    assert duckdb.execute(query, [payload.decode()]).fetchall() == [("1e999", "123456789012345678901234567890")]


@given(st.data())
def test_damage_is_seen(data: st.DataObject) -> None:
    """A payload of which a byte is another one is taken only where it is JSON to orjson and DuckDB too."""
    payload = bytearray(orjson.dumps({"request": {"url": "/é"}, "extra": {"a": [1, True, None, "x\n\u2028"]}}))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_sent(bytes(payload))
    except ValueError:
        return
    orjson.loads(payload)
    ((is_valid,),) = duckdb.execute("SELECT json_valid(?)", [payload.decode()]).fetchall()
    assert is_valid
