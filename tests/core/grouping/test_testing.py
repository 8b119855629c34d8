"""`rustrak_core.testing`: what people test their own grouping with."""

import subprocess
import sys
from pathlib import Path

import pytest

from rustrak_core import grouping
from rustrak_core.errors import MalformedEventError, MalformedJsonError
from rustrak_core.grouping import Rules
from rustrak_core.testing import assert_grouped, assert_separate, error, from_exception, from_recorded, message
from rustrak_core.testing.plugin import GroupingSnapshot

ANCHOR = Rules(mechanism="anchor@1")
pytest_plugins = ["pytester"]


def test_errors_in_one_line() -> None:
    """Type, message, calls and fields stand where an SDK puts them."""
    event = error("ValueError: a: b", at=["app.py:12:main", "-lib.core:get", ":go"], release="2")
    assert event["release"] == "2"
    (exception,) = event["exception"]["values"]
    assert (exception["type"], exception["value"]) == ("ValueError", "a: b")
    assert exception["stacktrace"]["frames"] == [
        {"filename": "app.py", "function": "main", "in_app": True, "lineno": 12},
        {"module": "lib.core", "function": "get", "in_app": False},
        {"function": "go", "in_app": True},
    ]
    caused = error("B: y", caused_by=event)
    assert [each["type"] for each in caused["exception"]["values"]] == ["ValueError", "B"]


def test_live_exceptions() -> None:
    """A live exception is as an SDK sends it: causes first, frames of libraries marked, where it was raised last."""
    with pytest.raises(KeyError) as caught:  # noqa: PT012 - the chain is what this is about
        try:
            int("x")
        except ValueError as e:
            raise KeyError("y") from e
    event = from_exception(caught.value, level="fatal")
    cause, last = event["exception"]["values"]
    assert (cause["type"], last["type"], event["level"]) == ("ValueError", "KeyError", "fatal")
    assert last["stacktrace"]["frames"][-1]["function"] == "test_live_exceptions"
    assert last["stacktrace"]["frames"][-1]["in_app"] is True
    assert cause["mechanism"]["parent_id"] == last["mechanism"]["exception_id"]


def test_live_exceptions_in_a_circle_end() -> None:
    """An exception that is its own context's context is sent once."""
    one, other = ValueError("x"), ValueError("y")
    one.__context__, other.__context__ = other, one
    assert len(from_exception(one)["exception"]["values"]) == 2


def test_recorded_events() -> None:
    """What an SDK sent, as JSON or as an object, with fields of one's own."""
    assert_grouped(
        from_recorded(b'{"message": "x"}'), from_recorded('{"message": "x"}'), from_recorded({"message": "x"})
    )
    assert from_recorded("{}", release="2") == {"release": "2"}
    with pytest.raises(MalformedEventError):
        from_recorded("[]")
    with pytest.raises(MalformedJsonError):
        from_recorded("{")


def test_failures_show_both_explanations_side_by_side() -> None:
    """Who reads a failure sees which part differs, and why."""
    one, other = error("E: x 5", at="a.py:f"), error("E: x 6", at=["a.py:g", "a.py:wrapper"])
    with pytest.raises(AssertionError) as caught:
        assert_grouped(one, one, other, rules=ANCHOR)
    text = str(caught.value)
    assert "events 1 and 3 are not one issue" in text
    assert any(line.startswith("* where: a in f") and line.endswith("| where: a in g") for line in text.splitlines())
    assert any(line.startswith("  message: x <*>") for line in text.splitlines())
    assert "wraps another function" in text
    with pytest.raises(AssertionError, match="events 2 and 3 are one issue"):
        assert_separate(other, one, error("E: x 7", at="a.py:f"), rules=ANCHOR)


@pytest.mark.parametrize("check", [assert_grouped, assert_separate])
def test_one_event_is_no_comparison(check: object) -> None:
    """A test that compares nothing is a mistake, and cannot pass."""
    assert callable(check)
    with pytest.raises(ValueError, match="two events"):
        check(message("x"))


def test_snapshots(grouping_snapshot: GroupingSnapshot) -> None:
    """The keys of events that matter here are in a file for review."""
    events = {"late": error("TimeoutError: took 5 s", at="shop/orders.py:load"), "hello": message("hello %s", "bob")}
    grouping_snapshot.check(events, ANCHOR)


def test_snapshots_show_what_changed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is another fails with both; ``--update-grouping`` accepts it; a lost snapshot is written."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # other people's plugins take seconds to load
    pytester.makepyfile(
        test_it="""
        import os
        from rustrak_core.testing import message

        def test_keys(grouping_snapshot):
            grouping_snapshot.check({"late": message(os.environ["SAID"])})
        """
    )

    def run(said: str, *arguments: str) -> pytest.RunResult:
        monkeypatch.setenv("SAID", said)
        return pytester.runpytest_inprocess("-p", "rustrak_core.testing.plugin", *arguments)

    run("one").assert_outcomes(passed=1)
    assert (pytester.path / "grouping_snapshots" / "test_it.test_keys.json").exists()
    run("one").assert_outcomes(passed=1)
    result = run("two")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*1 keys are not those of test_it.test_keys.json*", "*was *one*", "*is *two*"])
    run("two", "--update-grouping").assert_outcomes(passed=1)
    run("two").assert_outcomes(passed=1)


def test_it_needs_no_database_and_no_server() -> None:
    """Importing what tests need loads neither, so that it takes milliseconds."""
    program = "import sys, rustrak_core.testing, rustrak_core.testing.plugin; print(*sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True)
    assert not {"falcon", "sqlalchemy", "duckdb", "sentry_sdk"} & set(done.stdout.split())


def test_the_plugin_is_found_by_pytest() -> None:
    """Installed, Rustrak names its plugin under pytest's entry point, by its module's name."""
    import tomllib

    root = Path(__file__).parents[3]
    entry_points = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert entry_points == {"rustrak_core.testing.plugin": "rustrak_core.testing.plugin"}


def test_keys_read_as_text() -> None:
    """``str()`` of a key is mechanism and value."""
    key = grouping.key(message("x"), ANCHOR)
    assert str(key) == f"anchor@1:{key.value}"
    assert key == grouping.GroupingKey(mechanism=key.mechanism, value=key.value)
    assert grouping.GroupingKey(mechanism=key.mechanism, value=key.value) == key
    assert len({key, grouping.GroupingKey(mechanism=key.mechanism, value=key.value)}) == 1
    assert key != "anchor@1"
