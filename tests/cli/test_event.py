"""`rustrak event`: stack traces as Python prints them."""

import re
import traceback
from typing import Any

import pytest
import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.tracker import Tracker
from rustrak_http.cli.stacktrace import LINKS, UNKNOWN, stack_lines
from rustrak_storage import open_store
from tests.cli.conftest import Rustrak


def fail(error: Exception, cause: Exception | None = None) -> Exception:
    """Raise *error*, and return it with its stack."""
    try:
        raise error from cause  # noqa: TRY301 - as below
    except Exception as raised:  # noqa: BLE001 - it is what the tests are about
        return raised


def plain() -> Exception:
    return fail(KeyError("pear"))


def of_a_module() -> Exception:
    return fail(re.error("bad\npattern"))


def without_text() -> Exception:
    return fail(AssertionError())


def with_cause() -> Exception:
    return fail(ValueError("outer"), fail(OSError("inner")))


def with_context() -> Exception:
    try:
        try:
            raise KeyError("first")  # noqa: TRY301 - as above
        except KeyError:
            raise ValueError("second")  # noqa: B904 - the context is meant
    except ValueError as error:
        return error


def group() -> Exception:
    inner = ExceptionGroup("inner", [fail(ValueError("a\nb")), ExceptionGroup("deep", [ValueError("4")])])
    members = [fail(TypeError("x"), fail(OSError("cause"))), inner, fail(ExceptionGroup("mid", [KeyError(5)]))]
    return fail(ExceptionGroup("outer", [*members, ValueError("last")]), with_context())


SCENES = [plain, of_a_module, without_text, with_cause, with_context, group]


def as_python_prints(error: BaseException) -> list[str]:
    """Return the lines of Python's own traceback, without the marks below the code, which no SDK sends."""
    lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    return [line.rstrip() for line in lines if not re.fullmatch(r"[ |]*[~^]+", line)]


def captured(error: BaseException) -> dict[str, Any]:
    """Return the event that the real SDK makes of *error*, filed and read back."""
    sent: list[dict[str, Any]] = []

    def keep(event: Any, _hint: Any) -> None:
        sent.append(event)

    client = sentry_sdk.Client("http://a1b2c3d4e5f67890abcdef1234567890@127.0.0.1:9/1", before_send=keep)
    event, hint = sentry_sdk.utils.event_from_exception(error, client_options=client.options)
    client.capture_event(event, hint)
    client.close(timeout=0)
    return sent[0]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_as_python_prints_it(scene: Any, rustrak: Rustrak) -> None:
    """What sentry-sdk captured is printed as Python prints it: chains, groups and modules included."""
    error = scene()
    rustrak("project", "create", "shop")
    with rustrak.tracker() as tracker:
        done = tracker.ingest_event(captured(error), "shop")
    lines = rustrak("event", done.event_id).out.rstrip("\n").split("\n")
    expected = as_python_prints(error)
    if scene in {with_cause, with_context}:  # without a group, sentry-sdk does not say which it was
        expected = [UNKNOWN if line in LINKS.values() else line for line in expected]
    assert [line.rstrip() for line in lines[lines.index("") + 1 :]] == expected


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_capture_exception_tells_the_same(scene: Any) -> None:
    """What `Tracker.capture_exception` files is printed as Python prints it, but for the code."""
    error = scene()
    with Tracker(open_store("memory://")) as tracker:
        project = tracker.create_project("shop")
        event = tracker.event_json(tracker.capture_exception(error, project).event_id or "")
    expected = as_python_prints(error)
    for at in reversed([at for at, line in enumerate(expected) if ' File "' in line]):
        del expected[at + 1]  # the line of code
    assert [line.rstrip() for line in stack_lines(event)] == expected


def test_what_stands_above_the_stack(rustrak: Rustrak) -> None:
    """Issue, id, time, level, release, environment, user, tags and request come before the stack."""
    rustrak("project", "create", "shop")
    event = {
        "event_id": "550e8400e29b41d4a716446655440000",
        "timestamp": "2024-01-15T14:30:00Z",
        "platform": "python",
        "level": "warning",
        "release": "shop@2.1",
        "environment": "production",
        "server_name": "web-1",
        "message": "stock is low",
        "user": {"id": "7", "email": "a@example.com"},
        "tags": {"shelf": "north", "aisle": "3"},
        "request": {"method": "GET", "url": "https://shop.example.com/buy"},
    }
    with rustrak.tracker() as tracker:
        tracker.ingest_event(event, "shop")
    out = rustrak("event", "550e8400-e29b-41d4-a716-446655440000").out
    assert out.startswith("SHOP-1  event 550e8400-e29b-41d4-a716-446655440000\n")
    for line in (
        "level        warning",
        "environment  production",
        "release      shop@2.1",
        "request      GET https://shop.example.com/buy",
    ):
        assert f"  {line}\n" in out
    assert "id=7, email=a@example.com" in out
    assert "shelf=north" in out
    assert out.endswith("\n\nstock is low\n")


def test_other_languages(rustrak: Rustrak) -> None:
    """A stack of another language is told by file:line:column and function, with the code, the latest call last."""
    frames = [
        {"filename": "app:///main.js", "function": "main", "lineno": 3, "colno": 7, "context_line": "  buy(pear)"},
        {"filename": "app:///buy.js", "lineno": 12},
    ]
    value = {"type": "TypeError", "value": "pear is null", "stacktrace": {"frames": frames}}
    rustrak("project", "create", "shop")
    with rustrak.tracker() as tracker:
        done = tracker.ingest_event({"platform": "javascript", "exception": {"values": [value]}}, "shop")
    assert rustrak("event", done.event_id).out.partition("\n\n")[2] == (
        "Stack trace (most recent call last):\n"
        "  app:///main.js:3:7 in main\n"
        "    buy(pear)\n"
        "  app:///buy.js:12 in <unknown>\n"
        "TypeError: pear is null\n"
    )


def test_a_message_with_the_stack_of_its_thread() -> None:
    """A message that came with threads shows the stack of the one that was current."""
    threads = [
        {"id": 1, "stacktrace": {"frames": [{"filename": "idle.py", "lineno": 1, "function": "wait"}]}},
        {
            "id": 2,
            "current": True,
            "stacktrace": {"frames": [{"filename": "busy.py", "lineno": 2, "function": "work"}]},
        },
    ]
    lines = stack_lines({"platform": "python", "message": "look", "threads": {"values": threads}})
    assert list(lines) == ["Traceback (most recent call last):", '  File "busy.py", line 2, in work', "look"]


def test_json_is_the_apis_event(rustrak: Rustrak) -> None:
    """`--json` prints what GET /api/events/{id} answers."""
    rustrak("project", "create", "shop")
    with rustrak.tracker() as tracker:
        done = tracker.ingest_event({"message": "hello", "extra": {"big": 2**70}}, "shop")
        assert done.event_id is not None
        expected = tracker.event_json(done.event_id)
    assert rustrak.json("event", done.event_id) == expected
    assert expected["extra"]["big"] == 2**70


def test_the_newest_event_of_an_issue(rustrak: Rustrak) -> None:
    """A short id, in any case, shows the issue's newest event."""
    rustrak("project", "create", "shop")
    with rustrak.tracker() as tracker:
        tracker.ingest_event({"message": "hello", "timestamp": "2024-01-15T14:30:00Z"}, "shop")
        newest = tracker.ingest_event({"message": "hello"}, "shop")
    assert rustrak.json("event", "shop-1")["id"] == str(newest.event_id)


def test_the_project_chooses(rustrak: Rustrak) -> None:
    """Where two projects hold an id, the newest is shown, and --project chooses."""
    event = {"event_id": "550e8400e29b41d4a716446655440000", "message": "hello"}
    for name in ("one", "two"):
        rustrak("project", "create", name)
        with rustrak.tracker() as tracker:
            tracker.ingest_event(event, name)
    assert rustrak.json("event", event["event_id"])["project_id"] == 2
    assert rustrak.json("event", event["event_id"], "--project", "one")["project_id"] == 1


def test_unknown(rustrak: Rustrak) -> None:
    """What does not exist is said in one line."""
    rustrak("project", "create", "shop")
    assert "no such event" in rustrak.fails("event", "550e8400e29b41d4a716446655440000")
    assert "rustrak issues" in rustrak.fails("event", "SHOP-1")
    assert "no such" in rustrak.fails("event", "rubbish!")


def test_an_event_does_not_drive_the_terminal(rustrak: Rustrak) -> None:
    """Control characters of an event are spelled out, in its stack as in its tags."""
    value = {"type": "E\x1b[2J", "value": "a\x07b\nc\u202e", "stacktrace": {"frames": [{"filename": "\x9b1m"}]}}
    rustrak("project", "create", "shop")
    with rustrak.tracker() as tracker:
        event = {"exception": {"values": [value]}, "tags": {"a": "\x1b]0;x\x07"}, "platform": "python"}
        done = tracker.ingest_event(event, "shop")
    out = rustrak("event", done.event_id).out
    assert not set(out) & set("\x1b\x07\x9b\u202e")
    assert "a\\x07b\nc\\u202e" in out


ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 4) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
MECHANISM = st.fixed_dictionaries(
    {},
    optional={
        "exception_id": st.integers(0, 4) | ODD,
        "parent_id": st.integers(0, 4) | ODD,
        "source": st.sampled_from(["__cause__", "__context__", "exceptions[0]"]) | ODD,
        "is_exception_group": st.booleans() | ODD,
    },
)
STACK = st.fixed_dictionaries({}, optional={"frames": st.lists(ODD, max_size=3) | ODD})
VALUE = st.fixed_dictionaries(
    {}, optional={"type": ODD, "value": ODD, "mechanism": MECHANISM | ODD, "stacktrace": STACK}
)
EVENT = st.fixed_dictionaries(
    {"platform": st.sampled_from(["python", "javascript"]) | ODD},
    optional={
        "exception": st.fixed_dictionaries({"values": st.lists(VALUE | ODD, max_size=6)}) | ODD,
        "threads": ODD,
        "message": ODD,
        "logentry": ODD,
        "stacktrace": STACK | ODD,
    },
)


@given(EVENT)
def test_any_event_can_be_printed(event: dict[str, Any]) -> None:
    """Whatever is where, circles included, printing ends, and tells each exception once."""
    lines = list(stack_lines(event))
    assert lines
    assert all(isinstance(line, str) for line in lines)


def test_many_exceptions_do_not_end_in_recursion() -> None:
    """A chain of thousands is printed as one."""
    values = [
        {"type": f"E{number}", "mechanism": {"exception_id": 4999 - number, "parent_id": 4998 - number}}
        for number in range(5000)
    ]
    lines = list(stack_lines({"platform": "python", "exception": {"values": values}}))
    assert sum(line.startswith("E") for line in lines) == 5000
    assert lines[-1] == "E4999"
