"""Headers from memory say what reading them says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented

from rustrak_http.header_memory import HeaderMemory

ADJUSTMENTS = Adjustments(listen="127.0.0.1:1")
LINES = [
    b"Host: a",
    b"Content-Length: 5",
    b"content-length: 7",
    b"Content-Length: 12345678901",
    b"Content-Length: x",
    b" 6",
    b"\t7",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip",
    b"X-Sentry-Auth: Sentry sentry_key=k",
    b"Connection: close",
    b"Connection: keep-alive",
    b"Expect: 100-continue",
    b"Under_score: 1",
    b"Content_Length: 9",
    b"no colon",
    b"X: a\rb",
]
STARTS = [
    b"POST /api/1/envelope/?a=b HTTP/1.1",
    b"GET / HTTP/1.0",
    b"GET http://h/p#f HTTP/1.1",
    b"nonsense",
    b"post / HTTP/1.1",
]


def outcome(parse: Any, header: bytes) -> Any:
    parser = HTTPRequestParser(ADJUSTMENTS)
    try:
        parse(parser, header)
    except (ParsingError, TransferEncodingNotImplemented) as error:
        return type(error), str(error)
    facts = {name: value for name, value in vars(parser).items() if name not in {"adj", "body_rcv", "sender"}}
    facts |= {"chunked": parser.chunked, "length": parser.content_length, "close": parser.connection_close}
    receiver = parser.body_rcv
    facts.pop("content_length", None)
    return facts, type(receiver), getattr(receiver, "remain", None)


@given(
    st.lists(st.tuples(st.sampled_from(STARTS), st.lists(st.sampled_from(LINES), max_size=5)), min_size=1, max_size=4)
)
def test_memory_changes_nothing(requests: list[tuple[bytes, list[bytes]]]) -> None:
    """Whatever came before, and when it comes again, a header reads as it does without a memory."""
    memory = HeaderMemory()
    headers = [b"\r\n".join([start, *lines]) + b"\r\n\r\n" for start, lines in requests]
    for header in [*headers, *headers]:
        expected = outcome(HTTPRequestParser.parse_header, header)
        defaults = {"connection_close": False, "chunked": False, "expect_continue": False}
        found = outcome(memory.parse, header)
        if isinstance(expected[0], dict):
            expected = (defaults | expected[0], *expected[1:])
            found = (defaults | found[0], *found[1:])
        assert found == expected


@pytest.mark.parametrize("length", [b"1", b"20"])
def test_another_length_is_another_length(length: bytes) -> None:
    """The same headers with a body of another size are read from memory, with their own size."""
    memory = HeaderMemory()
    parser = HTTPRequestParser(ADJUSTMENTS)
    for size in (b"5", length):
        parser = HTTPRequestParser(ADJUSTMENTS)
        memory.parse(parser, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %s\r\nX: y\r\n\r\n" % size)
    assert (parser.content_length, parser.headers["CONTENT_LENGTH"]) == (int(length), length.decode())
    assert len(memory._known) == 1


def test_memory_is_bounded() -> None:
    """However many different headers come, few are kept, and none that is long."""
    memory = HeaderMemory()
    for number in range(1000):
        memory.parse(HTTPRequestParser(ADJUSTMENTS), b"GET /%d HTTP/1.1\r\n\r\n" % number)
    memory.parse(HTTPRequestParser(ADJUSTMENTS), b"GET / HTTP/1.1\r\nX: %s\r\n\r\n" % (b"x" * 5000))
    assert len(memory._known) <= 256
    assert all(len(key) < 5000 for key in memory._known)
