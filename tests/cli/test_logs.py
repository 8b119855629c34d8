"""Logs of `rustrak serve`: one line a problem, JSON or key=value, and a number where there are many."""

import io
import json
import logging
import os
import shlex
import warnings
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.errors import StoreUnavailableError
from rustrak_http.cli.logs import BURST, FORMATS, JsonLines, QuietHandler, TextLines, log_to_stderr
from rustrak_http.request_id import CURRENT


class Logs:
    """A logger of its own, and the lines it wrote."""

    def __init__(self, formatter: logging.Formatter) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.handler = QuietHandler(self.stream, burst=3, window_s=60, monotonic=lambda: self.now)
        self.handler.setFormatter(formatter)
        self.log = logging.Logger("rustrak.test")  # noqa: LOG001 - one that no other handler hears
        self.log.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    @property
    def facts(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def logs() -> Logs:
    return Logs(JsonLines())


@pytest.fixture
def with_request_id() -> Iterator[None]:
    token = CURRENT.set("proxy-7")
    yield
    CURRENT.reset(token)


def test_a_problem_is_a_line_of_json(logs: Logs) -> None:
    """What the message names are fields; its text stays as it is."""
    logs.log.error("spool_write_failed lane=%s errno=%d reason=%s", "abc", 28, "no space = none")
    (line,) = logs.facts
    assert line["problem"] == "spool_write_failed"
    assert (line["lane"], line["errno"], line["reason"]) == ("abc", "28", "no space = none")
    assert line["message"] == "spool_write_failed lane=abc errno=28 reason=no space = none"
    assert (line["level"], line["logger"], line["pid"]) == ("error", "rustrak.test", os.getpid())
    assert "request_id" not in line


def test_other_libraries_messages_are_lines_too(logs: Logs) -> None:
    """A message of any form is one line; it has no fields."""
    logs.log.warning("Connection pool is full,\ndiscarding: %s", "a=b")
    (line,) = logs.facts
    assert line["message"] == "Connection pool is full,\ndiscarding: a=b"
    assert "problem" not in line


def test_a_fact_does_not_hide_who_wrote(logs: Logs) -> None:
    """A field that is called like one of a line's own does not take its place."""
    logs.log.error("odd level=%s pid=%s", "none", "1")
    (line,) = logs.facts
    assert (line["level"], line["pid"]) == ("error", os.getpid())


def test_key_value() -> None:
    """The same facts as key=value, quoted where they are no plain words; a shell reads them."""
    logs = Logs(TextLines())
    logs.log.error("events_refused reason=%s", 'the disk is "full"')
    (line,) = logs.lines
    facts = dict(part.split("=", 1) for part in shlex.split(line))
    assert facts["problem"] == "events_refused"
    assert facts["reason"] == 'the disk is "full"'
    assert facts["level"] == "error"
    assert "message" not in facts
    logs.log.error("Not ours")
    assert logs.lines[1].endswith('message="Not ours"')


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines()])
@given(text=st.text())
def test_whatever_is_logged_is_one_line(formatter: logging.Formatter, text: str) -> None:
    """No text makes a second line, or drives a terminal."""
    record = logging.LogRecord("rustrak.test", logging.ERROR, "", 0, "odd reason=%s", (text,), None)
    line = formatter.format(record)
    assert len(line.splitlines()) == 1
    assert all(char.isprintable() for char in line)


def test_the_request_is_named(logs: Logs, with_request_id: None) -> None:
    """A line about a request has its id."""
    logs.log.error("events_refused reason=%s", "full")
    assert logs.facts[0]["request_id"] == "proxy-7"


def test_an_exception_tells_where_and_no_secrets(logs: Logs) -> None:
    """Types and places of all causes, texts of our own errors only: those of others may quote a payload."""
    payload = "hunter2"
    try:
        try:
            raise ValueError(payload)  # noqa: TRY301 - a cause is meant
        except ValueError as error:
            raise StoreUnavailableError("the database cannot be reached") from error
    except StoreUnavailableError:
        logs.log.exception("housekeeping_failed")
    (line,) = logs.facts
    told = str(line["exception"])
    assert "StoreUnavailableError: the database cannot be reached" in told
    assert "builtins.ValueError\n" in told
    assert "test_logs.py" in told
    assert payload not in logs.lines[0]


class TestRepeats:
    """Of one problem a few lines, and then a number."""

    def test_a_flood_is_a_few_lines_and_a_number(self, logs: Logs) -> None:
        """The first ones are written; when the time is over, how many more there were, with the last one's facts."""
        for number in range(100):
            logs.log.error("events_refused reason=%d", number)
        assert len(logs.lines) == 3
        logs.handler.tell_repeats()
        assert len(logs.lines) == 3, "the time is not over"
        logs.now = 61
        logs.handler.tell_repeats()
        last = logs.facts[-1]
        assert (len(logs.lines), last["repeated"], last["reason"]) == (4, 97, "99")
        logs.handler.tell_repeats()
        assert len(logs.lines) == 4

    def test_it_begins_anew(self, logs: Logs) -> None:
        """After a window the next ones are written again, the number before them."""
        for _ in range(5):
            logs.log.error("events_refused reason=x")
        logs.now = 61
        logs.log.error("events_refused reason=y")
        assert [line.get("repeated") for line in logs.facts] == [None, None, None, 2, None]

    def test_problems_are_apart(self, logs: Logs) -> None:
        """A flood of one hides no other, nor the same of something else."""
        for _ in range(50):
            logs.log.error("events_refused reason=x")
        logs.log.error("spool_damaged lane=%s", "a")
        for _ in range(50):
            logs.log.error("child_ended child=%s status=%d", "http", 1)
        logs.log.error("child_ended child=%s status=%d", "digest", 1)
        assert len(logs.lines) == 3 + 1 + 3 + 1

    def test_few_are_all_written(self, logs: Logs) -> None:
        """Problems that are seldom are written each time."""
        for minute in range(20):
            logs.now = minute * 61
            logs.log.error("events_refused reason=x")
        assert len(logs.lines) == 20
        assert not any("repeated" in line for line in logs.facts)

    def test_nothing_is_lost_at_the_end(self, logs: Logs) -> None:
        """Who ends says what he left out."""
        for _ in range(10):
            logs.log.error("events_refused reason=x")
        logs.handler.close()
        assert logs.facts[-1]["repeated"] == 7

    def test_it_is_bounded(self, logs: Logs) -> None:
        """However many different problems there are, they are written, and memory is bounded."""
        for number in range(3000):
            logs.log.error("problem lane=%s", str(number))
        assert len(logs.lines) == 3000
        assert len(logs.handler._windows) <= 1000

    def test_a_child_tells_its_own(self, logs: Logs) -> None:
        """What the parent left out is not told by each child too."""
        for _ in range(10):
            logs.log.error("events_refused reason=x")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn where threads run, as pytest's may
            pid = os.fork()
        if pid == 0:
            logs.handler.tell_repeats(all_of_them=True)
            os._exit(len(logs.lines))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3


@pytest.mark.parametrize(("form", "reads"), [("json", json.loads), ("text", shlex.split)])
def test_to_stderr(form: str, reads: Callable[[str], object], capsys: pytest.CaptureFixture[str]) -> None:
    """Both forms go to standard error, for all loggers, warnings and worse."""
    assert form in FORMATS
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = []  # those of other tests may write where nobody listens any more
    try:
        log_to_stderr(form)
        logging.getLogger("someone.else").info("quiet")
        for _ in range(BURST + 5):
            logging.getLogger("someone.else").warning("loud")
    finally:
        for handler in root.handlers[:]:
            root.removeHandler(handler)
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == BURST + 1
    assert all(reads(line) for line in lines)
