"""The rules by which single fields become columns (SDK.md, section 10)."""

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.digested import User
from rustrak_core.event.exception import last_exception, type_and_value
from rustrak_core.event.fingerprint import fingerprint_of
from rustrak_core.event.level import level, platform
from rustrak_core.event.message import MESSAGE_MAX, interpolate, read_message
from rustrak_core.event.moments import event_time, moment
from rustrak_core.event.release import environment, release
from rustrak_core.event.scalars import any_text, cut
from rustrak_core.event.tags import MAX_TAGS, environment_tag, tag_pairs
from rustrak_core.event.title import title_of
from rustrak_core.event.user import ip_address, user_of
from rustrak_core.jsontext import LongInteger

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [
        ("abc", 3, "abc"),
        ("abcdef", 5, "ab..."),
        ("a\0b", 9, "a\ufffdb"),
        ("\ud800\u00e9", 9, "\ufffd\u00e9"),
        ("", 5, ""),
    ],
)
def test_columns_hold_cut_and_clean_text(text: str, limit: int, kept: str) -> None:
    """Text is cut to its length, and NUL and lone surrogates are replaced."""
    assert cut(text, limit) == kept


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, None), ("", ""), (True, "True"), (0, "0"), (1.5, "1.5"), ([1], "[1]"), ({"a": None}, '{"a":null}')],
)
def test_any_value_has_a_text(value: Any, text: str | None) -> None:
    """Numbers and booleans read as Python writes them, arrays and objects as JSON."""
    assert any_text(value) == text


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        (1705314600, 0),
        (1705314600.25, 250_000),
        ("2024-01-15T10:30:00Z", 0),
        ("2024-01-15T10:30:00", 0),
        ("2024-01-15T10:30", 0),
        ("2024-01-15T10:30:00.25", 250_000),
        ("2024-01-15T10:30:00.123456789Z", 123_456),
        ("2024-01-15T12:30:00.000001+02:00", 1),
        ("2024-01-15T05:00:00-0530", 0),
    ],
)
def test_times_that_sdks_send(value: Any, micros: int) -> None:
    """Seconds since 1970, and ISO 8601 with a zone or without, up to nanoseconds."""
    assert moment(value) == NOW + timedelta(microseconds=micros)


@pytest.mark.parametrize(
    "value",
    [
        None, True, "", "1705314600", 1705314600000, "2024-01-15 10:30:00", "2024-01-15T10:30:00,5Z", "yesterday",
        "2024-02-31T00:00:00Z", "20240115", "2024-01-15", float("nan"), float("inf"), 10**400, [], {}, LongInteger("1"),
        "0001-01-01T00:00:00+14:00", "9" * 1000,
    ],
)  # fmt: skip
def test_what_is_no_time_counts_as_received(value: Any) -> None:
    """Junk, digits in a string, milliseconds, a comma or a space: the time of receipt stands in."""
    assert moment(value) is None
    assert event_time(value, NOW) == NOW


def test_a_time_ahead_of_its_receipt_counts_as_received() -> None:
    """60 seconds ahead are a clock that is off; more are a mistake. An old time stays old."""
    assert event_time(NOW.timestamp() + 60, NOW) == NOW + timedelta(seconds=60)
    assert event_time(NOW.timestamp() + 61, NOW) == NOW
    assert event_time(0, NOW) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("fatal", "fatal"), ("error", "error"), ("warning", "warning"), ("info", "info"), ("debug", "debug"),
        ("log", "info"), ("critical", "fatal"), (10, "debug"), (20, "info"), (30, "warning"), (40, "error"),
        (50, "fatal"), ("warn", None), ("WARNING", None), ("20", None), (25, None), (True, None), (20.0, None),
        ([], None), ({}, None), ("trace", None),
    ],
)  # fmt: skip
def test_levels(value: Any, read: str | None) -> None:
    """Five words, two aliases and raven's numbers; anything else is none."""
    assert level(value) == read


def test_platforms() -> None:
    """A platform that nobody knows is ``other``."""
    assert platform("python") == "python"
    assert platform("cobol") == platform(None) == platform([]) == platform(7) == "other"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("1.0.0", "1.0.0"), (" app@1 ", "app@1"), (7, "7"), ("x" * 200, "x" * 200), ("x" * 201, None), ("", None),
        (" ", None), (".", None), ("..", None), ("latest", None), ("a/b", None), ("a\\b", None), ("a\nb", None),
        ("a\tb", None), (None, None), ([], None), ("a\0b", "a\ufffdb"),
    ],
)  # fmt: skip
def test_releases(value: Any, kept: str | None) -> None:
    """What is no release is dropped, so is one that is too long."""
    assert release(value) == kept


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("production", "production"), (" eu ", "eu"), ("x" * 64, "x" * 64), ("x" * 65, None),
        ("None", None), ("", None),
        ("a/b", None), ("a\nb", None), (7, None), (None, None), ({}, None),
    ],
)  # fmt: skip
def test_environments(value: Any, kept: str | None) -> None:
    """What is no environment is dropped."""
    assert environment(value) == kept


def test_tags_of_an_object() -> None:
    """Tags are strings, sorted; unfit and reserved ones are left out, and the server's name is one."""
    tags = {
        "z": "last", "number": 42, "half": 1.5, "yes": True, "two words": "x", "none": None, "empty": "", "object": {},
        "newline": "a\nb", "k" * 201: "x", "\u00fcmlaut": "x", "long": "v" * 300, "environment": "e", "release": "r",
        "dist": "d", "user": "u",
    }  # fmt: skip
    assert tag_pairs({"tags": tags, "server_name": "web-1", "site": "eu"}) == (
        ("half", "1.5"),
        ("long", "v" * 197 + "..."),
        ("number", "42"),
        ("server_name", "web-1"),
        ("site", "eu"),
        ("two-words", "x"),
        ("yes", "True"),
        ("z", "last"),
    )


def test_tags_of_pairs() -> None:
    """Of a key that comes twice the first one wins; what is no pair costs itself only."""
    pairs = [["a", 1], ["a", 2], [3, "three"], None, ["alone"], {"key": "k", "value": "v"}, [None, "x"], ["b", [1]], 7]
    assert tag_pairs({"tags": pairs}) == (("3", "three"), ("a", "1"))


@pytest.mark.parametrize("tags", [None, "a", 7, [], {}, [[]], [[[], {}]]])
def test_what_are_no_tags(tags: Any) -> None:
    """Tags of a wrong type are none."""
    assert tag_pairs({"tags": tags}) == ()
    assert environment_tag({"tags": tags}) is None


def test_tags_are_bounded() -> None:
    """Ten thousand tags do not become ten thousand columns."""
    assert len(tag_pairs({"tags": {f"t{n}": "x" for n in range(10_000)}})) == MAX_TAGS


@pytest.mark.parametrize("tags", [{"environment": "eu"}, [["a", 1], ["environment", "eu"]]])
def test_the_environment_tag_stands_in(tags: Any) -> None:
    """An environment may come as a tag."""
    assert environment_tag({"tags": tags}) == "eu"


@pytest.mark.parametrize(
    ("user", "read"),
    [
        ({"id": 42, "email": "a@b.c"}, User(id="42", email="a@b.c")),
        ({"username": "kit", "plan": "pro"}, User(username="kit")),
        ({"ip_address": "{{auto}}"}, User(ip_address="203.0.113.9")),
        ({"ip_address": "2001:DB8::1"}, User(ip_address="2001:db8::1")),
        ({"id": "1", "ip_address": "not one"}, User(id="1")),
        ({"id": "1", "ip_address": 16909060}, User(id="1")),
        ({"id": [], "email": {}, "username": True}, User(username="True")),
        ({"email": "x" * 80}, User(email="x" * 72 + "...")),
        ({"plan": "pro"}, None),
        ({}, None), (None, None), ([], None), ("kit", None), (7, None),
    ],
)  # fmt: skip
def test_users(user: Any, read: User | None) -> None:
    """A user is what tells one from another; parts of a wrong type cost themselves only."""
    assert user_of({"user": user}, "203.0.113.9") == read
    assert user_of({"sentry.interfaces.User": user}, "203.0.113.9") == read


@given(
    st.ip_addresses().map(str)
    | st.from_regex(r"\A *[0-9]{1,3}(\.[0-9]{1,3}){2,4} *\Z")
    | st.from_regex(r"\A\d{1,3}(\.\d{1,3}){3}\n?\Z")
)
def test_addresses_are_what_the_standard_library_takes(text: str) -> None:
    """However it is read, an address is one where `ipaddress` says so, and in its form."""
    try:
        read = str(ipaddress.ip_address(text.strip()))
    except ValueError:
        read = None
    assert ip_address(text, None) == read


def test_a_users_address_may_come_with_the_request() -> None:
    """Without an address of its own, a user has the one that the web server reported."""
    request = {"env": {"REMOTE_ADDR": "192.0.2.1"}}
    assert user_of({"user": {"id": 1}, "request": request}, None) == User(id="1", ip_address="192.0.2.1")
    assert user_of({"user": {"id": 1, "ip_address": "::1"}, "request": request}, None) == User(id="1", ip_address="::1")
    assert user_of({"request": request}, "192.0.2.2") is None


@pytest.mark.parametrize(
    ("template", "params", "text"),
    [
        ("order %s of %s failed", [4711, "alice"], "order 4711 of alice failed"),
        ("%(n)d items for %(who)r", {"n": 3, "who": "bob"}, "3 items for bob"),
        ("{} and {}", ["a", "b"], "a and b"),
        ("{1} before {0}", ["a", "b"], "b before a"),
        ("hello {name}", {"name": "kit"}, "hello kit"),
        ("%5.2f%% of %s", [1.5, "x"], "1.5% of x"),
        ("%s and %s", ["one"], "one and %s"),
        ("%(gone)s", {"here": 1}, "%(gone)s"),
        ("100% of users", ["x"], "100% of users"),
        ("%s", [{"a": [1]}], '{"a":[1]}'),
        ("%s", [], "%s"),
        ("%s", None, "%s"),
        ("%s", "x", "%s"),
        ("%s", [None], "None"),
        ("{9999999}", ["x"], "{9999999}"),
    ],
)
def test_parameters_are_filled_in(template: str, params: Any, text: str) -> None:
    """Templates of Python, JavaScript and others, as far as parameters reach."""
    assert interpolate(template, params) == text


def test_filling_in_is_bounded() -> None:
    """A template of a thousand placeholders and one long parameter does not become a gigabyte."""
    assert len(interpolate("%(x)s" * 100_000, {"x": "y" * 500_000})) == MESSAGE_MAX
    assert len(interpolate("%999999999d", [1])) == 1


@pytest.mark.parametrize(
    ("payload", "formatted", "constant"),
    [
        ({"message": "boom"}, "boom", "boom"),
        ({"message": {"message": "a %s", "params": ["b"]}}, "a b", "a %s"),
        ({"message": {"formatted": "a b"}}, "a b", "a b"),
        ({"logentry": "boom"}, "boom", "boom"),
        ({"logentry": {"message": "a %s", "params": ["b"], "formatted": "A B"}, "message": "c"}, "A B", "a %s"),
        ({"logentry": {}, "message": "c"}, "c", "c"),
        ({"logentry": None, "message": "c"}, "c", "c"),
        ({"sentry.interfaces.Message": {"message": "a %s", "params": ["'b'"], "formatted": None}}, "a 'b'", "a %s"),
        ({"message": 7}, "7", "7"),
        ({"message": False}, "False", "False"),
        ({"message": ["a"]}, '["a"]', '["a"]'),
    ],
)
def test_messages(payload: dict[str, Any], formatted: str, constant: str) -> None:
    """A message is found wherever SDKs put it, and what is constant about it is known."""
    message = read_message(payload)
    assert message is not None
    assert (message.formatted, message.constant) == (formatted, constant)


@pytest.mark.parametrize("payload", [{}, {"message": ""}, {"message": None}, {"logentry": {"params": [1]}}])
def test_no_message(payload: dict[str, Any]) -> None:
    """An empty message counts as absent."""
    assert read_message(payload) is None


@pytest.mark.parametrize(
    "container",
    [
        {"values": [{"type": "Cause"}, {"type": "E", "value": "v"}]},
        [{"type": "Cause"}, {"type": "E", "value": "v"}],
        {"type": "E", "value": "v"},
        {"values": [{"type": "E", "value": "v"}, None, {}, {"type": "", "value": ""}, 7, "x", {"module": "m"}]},
    ],
)
@pytest.mark.parametrize("name", ["exception", "sentry.interfaces.Exception"])
def test_the_last_exception_names_the_event(container: Any, name: str) -> None:
    """In each form the last exception that says something is the title."""
    exception = last_exception({name: container})
    assert exception is not None
    assert type_and_value(exception) == ("E", "v")


@pytest.mark.parametrize(
    "container", [None, {}, [], {"values": None}, {"values": []}, {"values": {}}, {"values": 7}, "x", 7, [None], [[]]]
)
def test_no_exception(container: Any) -> None:
    """What holds no exception is none."""
    assert last_exception({"exception": container}) is None


@pytest.mark.parametrize(
    ("entry", "read"),
    [
        ({"value": "ValueError: boom"}, ("ValueError", "boom")),
        ({"value": "boom: it is"}, ("boom", "it is")),
        ({"value": "http://x/y"}, (None, "http://x/y")),
        ({"value": "no colon"}, (None, "no colon")),
        ({"type": "E", "value": "ValueError: boom"}, ("E", "ValueError: boom")),
        ({"type": "E", "value": {"code": 7}}, ("E", '{"code":7}')),
        ({"type": "E", "value": 0}, ("E", "0")),
        ({"type": "E", "value": None}, ("E", None)),
        ({"type": 404, "value": "v"}, ("404", "v")),
        ({"type": [], "value": "v"}, (None, "v")),
    ],
)
def test_type_and_value(entry: dict[str, Any], read: tuple[str | None, str | None]) -> None:
    """A value of any type is text; a type may hide in it."""
    assert type_and_value(entry) == read


def test_titles() -> None:
    """Never empty: the exception's type, else Message or CSP; an untyped exception is an Error or a message."""
    assert title_of({}).type == "Message"
    assert title_of({}, "csp").type == "CSP"
    assert title_of({"exception": [{"value": "v"}]}).type == "Error"
    sent_with_a_stack = title_of({"message": "hello", "exception": [{"value": "hello", "stacktrace": {}}]})
    assert (sent_with_a_stack.type, sent_with_a_stack.message) == ("Message", "hello")
    both = title_of({"message": "hello", "exception": [{"type": "E" * 300, "value": "v" * 9000}]})
    assert (len(both.type), len(both.message)) == (256, 8192)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (["a", 1, True, 1.5, None, {}, []], ("a", "1", "True", "1.5")),
        ([], ()), (None, ()), ("a", ()), ({}, ()), (7, ()), ([None], ()),
    ],
)  # fmt: skip
def test_fingerprints(sent: Any, read: tuple[str, ...]) -> None:
    """A list of strings, numbers and booleans; nothing else is a fingerprint."""
    assert fingerprint_of({"fingerprint": sent}) == read
