"""Request ids: each answer bears one, and lines in the log about the request name it."""

import logging
import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_http.request_id import CURRENT, HEADER, request_id
from tests.http.conftest import Api


def test_each_answer_bears_one(api: Api) -> None:
    """Whatever the answer is; no two requests have the same."""
    paths = [
        "/health",
        "/health/ready",
        "/openapi.json",
        "/nothing",
        "/api/projects",
        "/api/nothing",
        "/api/1/envelope/",
    ]
    answers = [api.get(path) for path in paths] + [api.get("/api/projects", token=None)]
    ids = [answer.headers[HEADER] for answer in answers]
    assert len(set(ids)) == len(answers)
    assert all(each.isascii() and len(each) <= 64 for each in ids)


def test_a_proxys_is_taken(api: Api) -> None:
    """The id that somebody in front gave a request is its id here too, if it is sane."""
    assert api.get("/health", headers={HEADER: "abc-1.2_3"}).headers[HEADER] == "abc-1.2_3"
    for odd in ("", "a b", "x" * 65, "a\x7f", "é", 'a"b'):
        assert api.get("/health", headers={HEADER: odd}).headers[HEADER] != odd


@given(st.text())
def test_what_is_sent_cannot_break_a_header(sent: str) -> None:
    """Whatever is sent, the id is one that stands in a header and in a line of a log."""
    known_as = request_id(sent)
    assert known_as
    assert all(char.isascii() and (char.isalnum() or char in "._-") for char in known_as)


def test_a_forked_process_makes_others() -> None:
    """Parent and child do not make the same ids."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn where threads run, as pytest's may
        pid = os.fork()
    if pid == 0:
        os.write(writer, request_id(None).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    theirs = os.read(reader, 100).decode()
    os.close(reader)
    os.close(writer)
    assert theirs.partition("-")[0] != request_id(None).partition("-")[0]


def test_a_problem_in_the_log_names_it(
    make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While a request is worked on, its id is known to what formats log lines, and not longer."""
    api = make_api()
    seen: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(CURRENT.get())

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(api.store, "projects", broken)
    handler = Listening()
    logging.getLogger("rustrak").addHandler(handler)
    try:
        answer = api.get("/api/projects", headers={HEADER: "mine-1"})
    finally:
        logging.getLogger("rustrak").removeHandler(handler)
    assert answer.status_code == 500
    assert seen == ["mine-1"]
    assert CURRENT.get() == ""
