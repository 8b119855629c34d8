r"""Envelopes: the framing in which SDKs send items, read as a stream and written (SDK.md, section 2).

``Envelope = Headers { "\n" Item } [ "\n" ]`` and ``Item = Headers "\n" Payload``. Binding rules are kept to the
letter. Where specification and code differ, we are lenient as long as that is harmless: a ``\r`` before the newline of
a header line, a byte order mark, blank lines at the end, and an item without a type are let through.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from rustrak_core.errors import MalformedEnvelopeError, MalformedJsonError, TooLargeError
from rustrak_core.jsontext import dumps, loads

HEADER_BYTES = 64 * 1024
ITEMS_MAX = 1000
_LENGTH_MAX = 2**53
_NEWLINE = 0x0A
_BOM = b"\xef\xbb\xbf"


def _without_length(headers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in headers.items() if name != "length"}


def _tuple(items: "Iterable[Item]") -> "tuple[Item, ...]":
    return tuple(items)


@attrs.frozen(kw_only=True)
class Item:
    """One thing in an envelope.

    Attributes:
        headers: As sent, without ``length``, which belongs to the framing: it is the payload's, and always written.
    """

    headers: Mapping[str, Any] = attrs.field(converter=_without_length)
    payload: bytes = attrs.field(default=b"", repr=False)

    @property
    def type(self) -> str:
        """The item's type, as in ``event``; empty where it names none."""
        return item_type(self.headers)


@attrs.frozen(kw_only=True)
class Envelope:
    """What an SDK sends at once: headers, and items in their order."""

    headers: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    items: Sequence[Item] = attrs.field(default=(), converter=_tuple)

    @classmethod
    def parse(cls, data: bytes) -> "Envelope":
        """Return the envelope in *data*, whole.

        Raises:
            MalformedEnvelopeError: the bytes are not one.
        """
        everything = Keep(limit_bytes=len(data))
        reader = EnvelopeReader(lambda _: everything, max_items=len(data), header_bytes=len(data))
        read = [*reader.feed(data), *reader.finish()]
        items = [Item(headers=item.headers, payload=item.payload or b"") for item in read]
        return cls(headers=reader.headers or {}, items=items)

    def serialize(self) -> bytes:
        """Return the envelope's bytes, every item with its length."""
        lines = [dumps(self.headers)]
        for item in self.items:
            lines += [dumps({**item.headers, "length": len(item.payload)}), item.payload]
        return b"\n".join([*lines, b""])


@attrs.frozen(kw_only=True)
class Keep:
    """What is to be done with an item's payload: keep it, up to a limit.

    Attributes:
        refuse_as: Over the limit the whole envelope is refused, the item being called this; None: only the payload is
            dropped.
    """

    limit_bytes: int
    refuse_as: str | None = None


class ReadItem(NamedTuple):
    """An item that has gone by.

    Attributes:
        headers: As sent.
        payload: None where it was not kept.
        length_bytes: How long the payload was, also if it was not kept.
    """

    headers: Mapping[str, Any]
    payload: bytes | None
    length_bytes: int


def item_type(headers: Mapping[str, Any]) -> str:
    """Return the type that an item's headers name, empty where that is no text."""
    type_ = headers.get("type")
    return type_ if isinstance(type_, str) else ""


class EnvelopeReader:
    """Reads an envelope that arrives in pieces; memory goes only to what is kept and to one header line.

    Args:
        keep: Asked about each item once its headers are read; None drops its payload.
        max_items: More are refused.
        header_bytes: A longer header line is refused.

    Attributes:
        headers: The envelope's headers, once they are read.
    """

    def __init__(
        self,
        keep: Callable[[Mapping[str, Any]], Keep | None],
        *,
        max_items: int = ITEMS_MAX,
        header_bytes: int = HEADER_BYTES,
    ) -> None:
        self.headers: Mapping[str, Any] | None = None
        self._decide = keep
        self._max_items = max_items
        self._header_bytes = header_bytes
        self._items = 0
        self._base = 0  # bytes before the present chunk
        self._line = bytearray()  # the beginning of a header line
        self._line_at = 0
        self._blank_at: int | None = None  # a blank line is good only where nothing follows
        # A plain function, since a bound method would make a cycle that only the garbage collector can free.
        self._step: Callable[[EnvelopeReader, bytes, int], int] = EnvelopeReader._read_envelope_headers
        self._done: list[ReadItem] = []
        # The item being read:
        self._item: Mapping[str, Any] = {}
        self._keep: Keep | None = None
        self._left = 0  # of a payload whose length is known
        self._parts: list[bytes] = []
        self._length = 0  # of the payload so far

    def feed(self, chunk: bytes) -> list[ReadItem]:
        """Read on, and return the items that *chunk* completes.

        Raises:
            MalformedEnvelopeError: the framing is broken.
            TooLargeError: a header line or a kept payload is over its limit, or there are too many items.
        """
        at, end = 0, len(chunk)
        while at < end:
            at = self._step(self, chunk, at)
        self._base += end
        return self._taken()

    def finish(self) -> list[ReadItem]:
        """Return the item that the end completes, if any.

        Raises:
            MalformedEnvelopeError: the envelope is cut short, or empty.
            TooLargeError: there are too many items.
        """
        if self._step is EnvelopeReader._read_envelope_headers:
            self._take_envelope_headers(bytes(self._line))
        elif self._step is EnvelopeReader._read_item_headers and self._line.strip():
            self._take_item_headers(bytes(self._line))
        self._line.clear()
        if self._step is EnvelopeReader._read_sized:
            if self._left:
                raise MalformedEnvelopeError("the payload is shorter than its length", offset=self._base)
            self._complete()
        elif self._step is EnvelopeReader._read_unsized:
            self._complete()
        return self._taken()

    def _taken(self) -> list[ReadItem]:
        done, self._done = self._done, []
        return done

    # Steps: each reads from *at* and returns where the next one goes on. There is always a byte to read.

    def _read_envelope_headers(self, chunk: bytes, at: int) -> int:
        line, at = self._read_line(chunk, at)
        if line is not None:
            self._take_envelope_headers(line)
        return at

    def _read_item_headers(self, chunk: bytes, at: int) -> int:
        line, at = self._read_line(chunk, at)
        if line is not None:
            if line.strip():
                self._take_item_headers(line)
            elif self._blank_at is None:
                self._blank_at = self._line_at
        return at

    def _read_sized(self, chunk: bytes, at: int) -> int:
        if self._left:
            end = min(at + self._left, len(chunk))
            self._left -= end - at
            self._take_payload(chunk, at, end)
            if end == len(chunk):
                return end
            at = end
        if chunk[at] != _NEWLINE:
            raise MalformedEnvelopeError(
                "after a payload of the length given must come a newline or the end", offset=self._base + at
            )
        self._complete()
        return at + 1

    def _read_unsized(self, chunk: bytes, at: int) -> int:
        end = chunk.find(b"\n", at)
        if end < 0:
            self._take_payload(chunk, at, len(chunk))
            return len(chunk)
        self._take_payload(chunk, at, end)
        self._complete()
        return end + 1

    def _read_line(self, chunk: bytes, at: int) -> tuple[bytes | None, int]:
        """Return the header line that ends in *chunk*, or None where it does not yet, and where to go on."""
        if not self._line:
            self._line_at = self._base + at
        end = chunk.find(b"\n", at)
        stop = end if end >= 0 else len(chunk)
        if len(self._line) + stop - at > self._header_bytes:
            raise TooLargeError("a header line of the envelope", limit=self._header_bytes)
        if end < 0:
            self._line += chunk[at:]
            return None, stop
        line = chunk[at:end]
        if self._line:
            line = bytes(self._line) + line
            self._line.clear()
        return line, end + 1

    def _take_envelope_headers(self, line: bytes) -> None:
        self.headers = _headers(line.removeprefix(_BOM), "the envelope's headers", 0)
        self._step = EnvelopeReader._read_item_headers

    def _take_item_headers(self, line: bytes) -> None:
        if self._blank_at is not None:
            raise MalformedEnvelopeError("a blank line where an item's headers belong", offset=self._blank_at)
        headers = _headers(line, "an item's headers", self._line_at)
        length = headers.get("length")
        if length is not None and (type(length) is not int or not 0 <= length <= _LENGTH_MAX):
            raise MalformedEnvelopeError("an item's length is not a number of bytes", offset=self._line_at)
        self._items += 1
        if self._items > self._max_items:
            raise TooLargeError("the envelope", limit=self._max_items, unit="items")
        self._item = headers
        self._keep = self._decide(headers)
        self._length = 0
        if length is None:
            self._step = EnvelopeReader._read_unsized
        else:
            self._left = length
            self._step = EnvelopeReader._read_sized

    def _take_payload(self, chunk: bytes, at: int, end: int) -> None:
        self._length += end - at
        keep = self._keep
        if keep is None:
            return
        if self._length <= keep.limit_bytes:
            self._parts.append(chunk[at:end])
        elif keep.refuse_as is not None:
            raise TooLargeError(keep.refuse_as, limit=keep.limit_bytes)
        else:
            self._keep = None
            self._parts.clear()

    def _complete(self) -> None:
        payload = None
        if self._keep is not None:
            payload = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts = []
        self._done.append(ReadItem(self._item, payload, self._length))
        self._step = EnvelopeReader._read_item_headers


def _headers(line: bytes, what: str, offset: int) -> dict[str, Any]:
    try:
        headers = loads(line)
    except MalformedJsonError:
        raise MalformedEnvelopeError(f"{what} are not JSON", offset=offset) from None
    if not isinstance(headers, dict):
        raise MalformedEnvelopeError(f"{what} are not a JSON object", offset=offset)
    return headers
