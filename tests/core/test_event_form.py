"""A payload in its one form, as a reader sees it."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.event import Problems, one_form
from rustrak_core.event.attributes import ALIASES
from rustrak_core.event.csp import event_from_report, report_of
from rustrak_core.event.form import TEXT_RULES
from rustrak_core.event.problems import MAX_PROBLEMS
from rustrak_core.jsontext import clean, dumps


def read(payload: dict[str, Any], **context: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    problems = Problems()
    before = copy.deepcopy(payload)
    form = one_form(payload, problems, **context)
    assert payload == before
    return form, problems.entries


def names(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["name"] for entry in entries]


def test_an_empty_event() -> None:
    """``{}`` is an event: an error of which nothing is known."""
    assert read({}) == ({"level": "error", "type": "default", "user": None}, [])


def test_unknown_attributes_and_lengths_stay() -> None:
    """What we do not know is kept, and nothing is cut."""
    sent = {"my_own": {"a": [1, None]}, "message": "m" * 20_000, "logger": "l" * 300, "extra": {"x": "y" * 50_000}}
    form, errors = read(sent)
    assert errors == []
    assert form["my_own"] == sent["my_own"]
    assert form["message"] == form["logentry"]["formatted"] == "m" * 20_000
    assert (form["logger"], form["extra"]) == (sent["logger"], sent["extra"])


EXCEPTION = {"type": "E", "value": "v", "stacktrace": {"frames": [{"function": "f", "lineno": 1}]}}


@pytest.mark.parametrize(
    "sent",
    [
        {"exception": {"values": [EXCEPTION]}},
        {"exception": [EXCEPTION]},
        {"exception": EXCEPTION},
        {"sentry.interfaces.Exception": {"values": [None, EXCEPTION]}},
        {"exception": None, "sentry.interfaces.Exception": EXCEPTION},
        {"exception": {"type": "E", "value": "v"}, "stacktrace": EXCEPTION["stacktrace"]},
        {"exception": [{"value": "E: v"}], "sentry.interfaces.Stacktrace": EXCEPTION["stacktrace"]},
        {"exception": [{**EXCEPTION, "stacktrace": [{"function": "f", "lineno": 1}]}]},
    ],
)
def test_exceptions_have_one_form(sent: dict[str, Any]) -> None:
    """Whichever way an SDK sends an exception, it reads the same."""
    form, errors = read(sent)
    assert form["exception"] == {"values": [EXCEPTION]}
    assert form["type"] == "error"
    assert "sentry.interfaces.Exception" not in form
    assert "stacktrace" not in form
    assert errors == []


def test_attributes_around_the_values_stay() -> None:
    """What an SDK puts beside the list of exceptions is kept."""
    form, _ = read({"exception": {"mechanism": {"type": "x"}, "values": [EXCEPTION]}})
    assert form["exception"] == {"mechanism": {"type": "x"}, "values": [EXCEPTION]}


def test_a_stacktrace_without_exception_stays() -> None:
    """A message's own stack trace keeps its place."""
    form, _ = read({"message": "m", "stacktrace": {"frames": [None, {"function": "f"}], "registers": {}}})
    assert form["stacktrace"] == {"frames": [None, {"function": "f"}], "registers": {}}


def test_a_wrong_type_costs_its_field_only() -> None:
    """Each field that cannot be read is null and named; all else is there."""
    sent = {
        "platform": 7,
        "environment": 5,
        "transaction": ["x"],
        "release": {"a": 1},
        "extra": "x",
        "sdk": [],
        "user": "kit",
        "request": 4,
        "contexts": [],
        "fingerprint": "x",
        "tags": 3,
        "threads": "x",
        "breadcrumbs": 9,
        "level": "WARNING",
        "exception": [
            {
                "type": "E",
                "value": 7,
                "module": 3,
                "mechanism": "x",
                "stacktrace": {
                    "frames": [
                        {"lineno": -1, "colno": "3", "in_app": "yes", "function": 5, "filename": "f.py", "vars": [1]},
                        "frame",
                    ]
                },
            },
            "not one",
        ],
    }
    form, errors = read(sent)
    values = form["exception"]["values"]
    assert values == [
        {
            "type": "E",
            "value": "7",
            "module": None,
            "mechanism": None,
            "stacktrace": {
                "frames": [
                    {
                        "lineno": None,
                        "colno": None,
                        "in_app": None,
                        "function": None,
                        "filename": "f.py",
                        "vars": {"0": 1},
                    },
                    None,
                ]
            },
        }
    ]
    lost = [
        "platform",
        "environment",
        "transaction",
        "release",
        "extra",
        "sdk",
        "user",
        "request",
        "contexts",
        "fingerprint",
        "tags",
        "threads",
    ]
    lost.append("breadcrumbs")
    assert [form[name] for name in lost] == [None] * len(lost)
    assert form["level"] == "error"
    frame = "exception.values[0].stacktrace.frames[0]"
    assert set(names(errors)) == {
        *lost,
        "level",
        "exception.values[0].module",
        "exception.values[0].mechanism",
        "exception.values[0].stacktrace.frames[1]",
        "exception.values[1]",
        *(f"{frame}.{name}" for name in ("lineno", "colno", "in_app", "function")),
    }
    assert {"type": "invalid_data", "name": "level", "reason": "no level; error instead", "value": "WARNING"} in errors


def test_frames_of_a_wrong_type() -> None:
    """A stack trace that cannot be read is none."""
    form, errors = read({"exception": [{"type": "E", "stacktrace": 7}, {"type": "F", "stacktrace": {"frames": "x"}}]})
    assert [value["stacktrace"] for value in form["exception"]["values"]] == [None, {"frames": []}]
    assert names(errors) == ["exception.values[0].stacktrace", "exception.values[1].stacktrace.frames"]


def test_an_exception_that_says_nothing_is_noted() -> None:
    """An entry without type and value stays, and is named."""
    form, errors = read({"exception": [{"module": "m"}]})
    assert form["exception"]["values"] == [{"module": "m"}]
    assert names(errors) == ["exception.values[0]"]


def test_cyclic_groups_are_only_shown() -> None:
    """Nobody follows parents, so a cycle is as good as a tree."""
    mechanism = {"type": "x", "exception_id": 1, "parent_id": 1, "is_exception_group": True}
    form, errors = read({"exception": [{"type": "E", "mechanism": mechanism}]})
    assert form["exception"]["values"][0]["mechanism"] == mechanism
    assert errors == []


@pytest.mark.parametrize(
    ("sent", "logentry"),
    [
        ({"message": "boom"}, {"formatted": "boom"}),
        ({"logentry": "boom"}, {"formatted": "boom"}),
        ({"logentry": {"message": "a %s", "params": ["b"]}}, {"message": "a %s", "params": ["b"], "formatted": "a b"}),
        ({"message": {"message": "a %s", "params": ["b"]}}, {"message": "a %s", "params": ["b"], "formatted": "a b"}),
        (
            {"sentry.interfaces.Message": {"message": "a %s", "params": ["b"], "formatted": "A B"}, "message": "A B"},
            {"message": "a %s", "params": ["b"], "formatted": "A B"},
        ),
    ],
)
def test_messages_have_one_form(sent: dict[str, Any], logentry: dict[str, Any]) -> None:
    """A message is a ``logentry`` with its text, and ``message`` is that text."""
    form, errors = read(sent)
    assert form["logentry"] == logentry
    assert form["message"] == logentry["formatted"]
    assert form["type"] == "default"
    assert errors == []


def test_parameters_of_a_wrong_type() -> None:
    """Parameters that are neither list nor object are null."""
    form, errors = read({"logentry": {"message": "a %s", "params": "b"}})
    assert form["logentry"] == {"message": "a %s", "params": None, "formatted": "a %s"}
    assert names(errors) == ["logentry.params"]


CRUMBS = [
    {"category": "auth", "message": "login", "level": "info", "timestamp": 1705314600.5, "data": {"a": 1}},
    {"type": "http", "timestamp": "2024-01-15T10:30:00Z", "own": [1]},
]


@pytest.mark.parametrize(
    "sent",
    [
        {"breadcrumbs": {"values": CRUMBS}},
        {"breadcrumbs": CRUMBS},
        {"sentry.interfaces.Breadcrumbs": {"values": [*CRUMBS, None]}},
    ],
)
def test_breadcrumbs_have_one_form(sent: dict[str, Any]) -> None:
    """Breadcrumbs keep their order and all that they say."""
    form, errors = read(sent)
    assert form["breadcrumbs"] == {"values": CRUMBS}
    assert errors == []


def test_more_than_a_hundred_breadcrumbs_stay() -> None:
    """None of them is cut off."""
    form, _ = read({"breadcrumbs": [{"message": str(n)} for n in range(250)]})
    assert [crumb["message"] for crumb in form["breadcrumbs"]["values"]] == [str(n) for n in range(250)]


def test_breadcrumbs_of_wrong_types() -> None:
    """A level that is none is info, a critical one fatal, a time that is none null."""
    crumbs = [{"level": "loud", "timestamp": "then", "message": 7, "data": "x"}, {"level": "critical"}, 5]
    form, errors = read({"breadcrumbs": crumbs})
    assert form["breadcrumbs"]["values"] == [
        {"level": "info", "timestamp": None, "message": "7", "data": None},
        {"level": "fatal"},
    ]
    assert names(errors) == [
        "breadcrumbs.values[2]",
        "breadcrumbs.values[0].timestamp",
        "breadcrumbs.values[0].data",
        "breadcrumbs.values[0].level",
    ]


@pytest.mark.parametrize("tags", [{"n": 42, "b": True, "s": "x"}, [["n", 42], ["b", True], ["s", "x"], ["n", 7], None]])
def test_tags_are_an_object_of_strings(tags: Any) -> None:
    """Numbers and booleans are strings; of keys that pairs repeat, the first one wins."""
    form, errors = read({"tags": tags})
    assert form["tags"] == {"n": "42", "b": "True", "s": "x"}
    assert errors == []


def test_tags_of_wrong_types() -> None:
    """A tag that is no text is null, and named."""
    form, errors = read({"tags": {"o": {}, "none": None}})
    assert form["tags"] == {"o": None, "none": None}
    assert names(errors) == ["tags.o"]
    form, errors = read({"tags": [["a"], ["o", []], {"key": "k", "value": "v"}, [None, "x"]]})
    assert form["tags"] == {"o": None}
    assert names(errors) == ["tags[0]", "tags[2]", "tags[3]", "tags.o"]


def test_users_keep_their_other_attributes() -> None:
    """The four known parts are strings or null; whatever else was sent is kept, uncut."""
    form, errors = read({"user": {"id": 7, "email": "e" * 100, "plan": "pro", "geo": {"city": "X"}}})
    assert form["user"] == {
        "id": "7",
        "email": "e" * 100,
        "username": None,
        "ip_address": None,
        "plan": "pro",
        "geo": {"city": "X"},
    }
    assert errors == []


def test_a_users_address() -> None:
    """``{{auto}}`` is the connection's address; what is none is null."""
    form, errors = read({"user": {"ip_address": "{{auto}}"}}, remote_addr="192.0.2.1")
    assert form["user"]["ip_address"] == "192.0.2.1"
    assert errors == []
    form, errors = read({"user": {"ip_address": "localhost", "id": []}})
    assert form["user"]["ip_address"] is None
    assert names(errors) == ["user.id", "user.ip_address"]
    assert read({"user": {}})[0]["user"] is None


@pytest.mark.parametrize(
    "request_",
    [
        {"query_string": "a=1&b=2", "headers": {"Host": "x", "Accept": "a, b"}, "cookies": "k=v; l=w"},
        {"query_string": [["a", "1"], ["b", 2]], "headers": [["Host", "x"], ["Accept", "a"], ["Accept", "b"]]},
        {"query_string": {"a": 1, "b": ["2"]}, "headers": {"Host": ["x"], "Accept": ["a", "b"]}},
    ],
)
def test_requests_have_one_form(request_: dict[str, Any]) -> None:
    """The query is a string; headers and cookies are objects of strings."""
    sent = {"url": "http://x/y?z", "method": "post", "data": [1], "cookies": {"k": "v", "l": "w"}, **request_}
    for name in ("request", "sentry.interfaces.Http"):
        form, errors = read({name: sent})
        assert form["request"] == {
            "url": "http://x/y?z",
            "method": "POST",
            "data": [1],
            "query_string": "a=1&b=2",
            "headers": {"Host": "x", "Accept": "a, b"},
            "cookies": {"k": "v", "l": "w"},
        }
        assert errors == []


def test_requests_of_wrong_types() -> None:
    """Each part costs itself only."""
    sent = {"url": 7, "method": "x" * 40, "query_string": 7, "headers": "x", "cookies": 7, "env": [1], "data": "d"}
    form, errors = read({"request": sent})
    assert form["request"] == {**dict.fromkeys(sent), "env": {"0": 1}, "data": "d"}
    assert len(errors) == 5


def test_contexts_are_objects() -> None:
    """A context that is no object is null, and named."""
    form, errors = read({"contexts": {"os": {"name": "x"}, "odd": "x", "none": None}})
    assert form["contexts"] == {"os": {"name": "x"}, "odd": None, "none": None}
    assert names(errors) == ["contexts.odd"]


def test_threads_have_one_form() -> None:
    """Threads are a list under ``values``, their stacks read as any."""
    thread = {"id": "7", "crashed": "x", "stacktrace": {"frames": None}}
    form, errors = read({"threads": [thread]})
    assert form["threads"] == {"values": [{"id": "7", "crashed": None, "stacktrace": {"frames": []}}]}
    assert names(errors) == ["threads.values[0].crashed"]


def test_the_sdk_is_known_by_its_credentials() -> None:
    """An event that does not name its SDK has that of the request."""
    assert read({}, sdk_client="raven-go/0.2")[0]["sdk"] == {"name": "raven-go", "version": "0.2"}
    assert read({"sdk": {"name": "own"}}, sdk_client="raven-go/0.2")[0]["sdk"] == {"name": "own"}


def test_fingerprints_modules_and_extra() -> None:
    """Numbers in a fingerprint are strings, a list for ``extra`` is an object, versions of modules are strings."""
    form, errors = read({"fingerprint": ["a", 1, None], "extra": ["x"], "modules": {"m": 2, "n": []}})
    assert form["fingerprint"] == ["a", "1"]
    assert form["extra"] == {"0": "x"}
    assert form["modules"] == {"m": "2", "n": None}
    assert names(errors) == ["fingerprint[2]"]


def test_problems_are_bounded() -> None:
    """A megabyte of rubbish does not answer with a megabyte of complaints."""
    form, errors = read({"breadcrumbs": list(range(1, 5000))})
    assert form["breadcrumbs"] == {"values": []}
    assert len(errors) == MAX_PROBLEMS


REPORT = {
    "document-uri": "https://shop.example/cart?x=1#f",
    "effective-directive": "script-src-elem",
    "violated-directive": "script-src 'self'",
    "blocked-uri": "https://evil.example/x.js",
}


@pytest.mark.parametrize(
    "report",
    [
        {"csp-report": REPORT},
        REPORT,
        {
            "type": "csp-violation",
            "user_agent": "Agent/1",
            "body": {
                "documentURL": REPORT["document-uri"],
                "effectiveDirective": REPORT["effective-directive"],
                "violatedDirective": REPORT["violated-directive"],
                "blockedURL": REPORT["blocked-uri"],
            },
        },
    ],
)
def test_csp_reports_become_events(report: dict[str, Any]) -> None:
    """Both forms of a report read the same."""
    event = event_from_report(report, {"release": "1.0", "environment": "eu", "other": "x"})
    assert event["logentry"] == {"formatted": "Blocked 'script-src-elem' from 'evil.example'"}
    assert event["csp"] == REPORT
    assert event["culprit"] == "https://shop.example/cart"
    assert (event["release"], event["environment"]) == ("1.0", "eu")
    assert event["request"]["url"] == REPORT["document-uri"]
    assert "other" not in event
    made = report_of(event)
    assert made is not None
    assert event_from_report(*made) == event
    assert report_of({**event, "exception": {"values": []}}) is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"effective-directive": "script-src", "blocked-uri": "inline"}, "Blocked inline 'script-src'"),
        ({"violated-directive": "img-src *", "blocked-uri": "data:image"}, "Blocked data 'img-src'"),
        ({"violated-directive": "img-src", "blocked-uri": ""}, "Blocked 'img-src' from 'self'"),
        ({"violated-directive": " ", "blocked-uri": "http://[x"}, "Blocked 'unknown' from 'http://[x'"),
        ({"violated-directive": 7, "blocked-uri": ["x"]}, "Blocked '7' from '[\"x\"]'"),
        ({}, "Blocked 'unknown' from 'self'"),
    ],
)
def test_csp_messages(fields: dict[str, Any], message: str) -> None:
    """The message says what was blocked, whatever the report lacks."""
    event = event_from_report({"csp-report": fields}, {})
    assert event["logentry"]["formatted"] == message
    made = report_of(event)
    assert made is not None
    assert event_from_report(*made) == event


NAMES = sorted(
    {"logentry", "message", "level", "tags", "user", "timestamp", "fingerprint", "extra", "modules", "sdk", "errors"}
    | set(ALIASES)
    | set(ALIASES.values())
    | set(TEXT_RULES)
)
KEYS = st.sampled_from(
    [
        "values",
        "frames",
        "stacktrace",
        "type",
        "value",
        "mechanism",
        "message",
        "params",
        "formatted",
        "level",
        "data",
        "lineno",
        "vars",
        "ip_address",
        "id",
        "env",
        "REMOTE_ADDR",
        "headers",
        "cookies",
        "query_string",
        "timestamp",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5)
VALUES = st.recursive(SCALARS, lambda c: st.lists(c, max_size=4) | st.dictionaries(KEYS, c, max_size=4), max_leaves=12)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_odd_types_everywhere(payload: dict[str, Any]) -> None:
    """Whatever stands where, there is a form, it is JSON, and reading it again changes nothing more."""
    problems = Problems()
    form = one_form(payload, problems)
    cleaned, _ = clean(form)
    json.loads(dumps(cleaned))
    again = one_form(cleaned, Problems())
    assert dumps(again) == dumps(cleaned)
