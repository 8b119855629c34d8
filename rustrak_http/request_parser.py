"""Requests as they are read: waitress' parser, with bodies that are bounded and headers that are remembered."""

from typing import Any

from waitress.parser import HTTPRequestParser
from waitress.utilities import BadRequest

from rustrak_http.express import Sender
from rustrak_http.header_memory import HeaderMemory

HARD_BODY_BYTES = 1 << 30
"""A body that says it is longer than this is not read at all."""

CHUNK_LINE_BYTES = 16 * 1024


class CappedBuffer:
    """A buffer of waitress' that takes up to a number of bytes, and drops the rest."""

    def __init__(self, inner: Any, cap: int) -> None:
        self._inner = inner
        self._room = cap

    def append(self, data: bytes) -> None:
        """Take of *data* what there is room for."""
        if self._room > 0:
            self._inner.append(data if len(data) <= self._room else data[: self._room])
            self._room -= len(data)

    def __len__(self) -> int:
        return len(self._inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class CappedParser(HTTPRequestParser):  # type: ignore[misc]
    """Reads a request; a body is read to its end, but kept only so far that the application sees it is too long."""

    kept_body_bytes = HARD_BODY_BYTES
    seen_at: float | None = None
    seen_bytes = 0
    memory: HeaderMemory
    sender: Sender | None = None

    def parse_header(self, header_plus: bytes) -> None:
        """Read the header, and get ready for the body."""
        self.memory.parse(self, header_plus)
        if self.body_rcv is not None:
            self.body_rcv.buf = CappedBuffer(self.body_rcv.buf, self.kept_body_bytes)

    def received(self, data: bytes) -> int:
        """Take *data*, and return how much of it is of this request."""
        consumed: int = super().received(data)
        body = self.body_rcv
        if self.chunked and body is not None and len(body.control_line) + len(body.trailer) > CHUNK_LINE_BYTES:
            self.error = BadRequest("a chunk's first line, or the trailer, is too long")
            self.completed = True
        return consumed
