"""Going through the records of one segment, past whatever in it is damaged or torn."""

import os
import zlib
from collections.abc import Iterator

import attrs

from rustrak_storage.spool.record import RECORD_HEAD_BYTES, RecordHead, parse_head
from rustrak_storage.spool.salvage import mended_head

_CHUNK = 1024 * 1024
_EMPTY = memoryview(b"")


@attrs.frozen
class Found:
    """A stretch of a segment: a record, or what cannot be read as one.

    Attributes:
        start, stop: Offsets in the segment, in bytes.
        head: None where there is none that can be believed.
        body: Empty where bodies were not asked for.
        is_whole: The head is there, and the body has its checksum, or was not asked for.
    """

    start: int
    stop: int
    head: RecordHead | None = None
    body: memoryview = _EMPTY
    is_whole: bool = False


class Window:
    """A segment's bytes up to *end*, read ahead by *read_ahead* bytes at a time."""

    def __init__(self, fd: int, end: int, *, read_ahead: int) -> None:
        self.end = end
        self._fd = fd
        self._read_ahead = read_ahead
        self._start = 0
        self._data = memoryview(b"")

    def get(self, offset: int, length: int) -> memoryview:
        """Return *length* bytes at *offset*; fewer where the file ends."""
        if offset < self._start or offset + length > self._start + len(self._data):
            want = min(max(length, self._read_ahead), self.end - offset)
            self._data, self._start = memoryview(os.pread(self._fd, max(want, 0), offset)), offset
        at = offset - self._start
        return self._data[at : at + length]


def scan(window: Window, mark: bytes, offset: int, *, bodies: bool = True) -> Iterator[Found]:
    """Yield what lies between *offset* and the end of *window*; a torn end is left out.

    Torn is a last record that is cut short, and zeros, which a power cut leaves where data had not arrived. Neither was
    ever acknowledged. A head of which one bit has flipped is read as it was: the body has a checksum of its own.
    """
    while offset + RECORD_HEAD_BYTES <= window.end:
        start = window.get(offset, RECORD_HEAD_BYTES)
        head = parse_head(start, mark=mark) or mended_head(start, mark=mark)
        if head is None:
            stop = _next_record(window, mark, offset + 1)
            if stop < window.end or not _is_blank(window, offset):
                yield Found(offset, stop)
        else:
            stop = offset + head.size
            if stop > window.end:
                return
            body = window.get(offset + RECORD_HEAD_BYTES, head.body_length) if bodies else _EMPTY
            yield Found(offset, stop, head, body, is_whole=not bodies or zlib.crc32(body) == head.body_crc)
        offset = stop


def _next_record(window: Window, mark: bytes, offset: int) -> int:
    while offset + RECORD_HEAD_BYTES <= window.end:
        chunk = bytes(window.get(offset, min(_CHUNK, window.end - offset)))
        at = chunk.find(mark)
        if at < 0:
            if len(chunk) < _CHUNK:
                break
            offset += len(chunk) - len(mark) + 1
            continue
        offset += at
        if parse_head(window.get(offset, RECORD_HEAD_BYTES), mark=mark) is not None:
            return offset
        offset += 1
    return window.end


def _is_blank(window: Window, offset: int) -> bool:
    while offset < window.end:
        chunk = bytes(window.get(offset, min(_CHUNK, window.end - offset)))
        if chunk.strip(b"\0"):
            return False
        if not chunk:
            break
        offset += len(chunk)
    return True
