"""Request headers that were read before: an SDK sends the same ones each time, but for the length of the body.

Reading them is a third of what waitress costs, and the outcome depends on nothing but their bytes. So the outcome is
kept under those bytes, the line of Content-Length left out, and taken from there when they come again.
"""

import re
from typing import Any

from waitress.buffers import OverflowableBuffer
from waitress.parser import HTTPRequestParser
from waitress.receiver import ChunkedReceiver, FixedStreamReceiver

from rustrak_http.express import Lane, Sender

_HEADERS_MAX = 256
_HEADER_BYTES_MAX = 2048
# A line that continues (RFC 9112, section 5.2) is not a number alone.
_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]{1,10})(?=\r\n(?![ \t]))", re.IGNORECASE)
# What waitress' parser learns from a header, apart from the body's length and where the body goes.
_FACTS = (
    "first_line",
    "request_uri",
    "command",
    "version",
    "proxy_scheme",
    "proxy_netloc",
    "path",
    "query",
    "fragment",
    "url_scheme",
    "connection_close",
    "expect_continue",
    "chunked",
    "sender",
)


class HeaderMemory:
    """What the headers met lately say; used by the one thread that reads requests.

    Args:
        lane: Asked once about each header, whether requests with it may take the express lane.
    """

    def __init__(self, lane: Lane | None = None) -> None:
        self._lane = lane
        self._known: dict[bytes, tuple[dict[str, Any], dict[str, str]]] = {}

    def parse(self, parser: HTTPRequestParser, header_plus: bytes) -> None:
        """Do what waitress' ``parse_header`` does, from memory where these bytes were read before."""
        match = _LENGTH.search(header_plus)
        rest = header_plus if match is None else header_plus[: match.start()] + header_plus[match.end() :]
        length = b"" if match is None else match[1]
        known = self._known.get(rest)
        if known is not None:
            _tell(parser, known, length)
            return
        HTTPRequestParser.parse_header(parser, header_plus)
        parser.sender = self._sender(parser)
        headers = dict(parser.headers)
        if len(rest) <= _HEADER_BYTES_MAX and headers.pop("CONTENT_LENGTH", "") == length.decode():
            if len(self._known) >= _HEADERS_MAX:
                self._known.clear()
            facts = {name: getattr(parser, name) for name in _FACTS if hasattr(parser, name)}
            self._known[rest] = facts, headers

    def _sender(self, parser: HTTPRequestParser) -> Sender | None:
        if self._lane is None or parser.version != "1.1" or parser.connection_close:
            return None
        return self._lane.sender(
            method=parser.command.upper(), path=parser.path, query=parser.query, headers=parser.headers
        )


def _tell(parser: HTTPRequestParser, known: tuple[dict[str, Any], dict[str, str]], length: bytes) -> None:
    facts, headers = known
    parser.__dict__.update(facts)
    parser.headers.update(headers)
    if length:
        parser.headers["CONTENT_LENGTH"] = length.decode()
    if parser.chunked:
        parser.body_rcv = ChunkedReceiver(OverflowableBuffer(parser.adj.inbuf_overflow))
        return
    parser.content_length = int(length or 0)
    if parser.content_length > 0:
        buffer = OverflowableBuffer(parser.adj.inbuf_overflow)
        parser.body_rcv = FixedStreamReceiver(parser.content_length, buffer)
