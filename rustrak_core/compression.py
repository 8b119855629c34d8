"""Content-Encoding undone as a stream: every step gives a bounded piece, so that a bomb costs no memory.

gzip (also of several members), deflate (zlib's format and the raw one), br, zstd, and chains of these (SDK.md, section
5). What follows a complete gzip, zlib or zstd stream and does not begin another is ignored, as gzip(1) does: the
checksum held, and a refusal would lose an event. The brotli library cannot tell, so that there it is an error.
"""

import zlib
from collections.abc import Iterator
from typing import Protocol

import brotli  # type: ignore[import-untyped,unused-ignore]

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # Python 3.14 and newer
except ImportError:
    from backports import zstd

from rustrak_core.errors import BrokenEncodingError, TooLargeError, UnsupportedEncodingError

_STEP_IN = 64 * 1024
_STEP_OUT = 256 * 1024
_CHAIN_MAX = 4
_MEMBERS_MAX = 10_000
_ZSTD_WINDOW_LOG_MAX = 23
"""8 MiB, the most that RFC 9659 lets a Content-Encoding ask for; the format itself would go to 2 GiB."""


class Decompressor:
    """Undoes a Content-Encoding, piece by piece.

    Args:
        content_encoding: The header; None, empty, ``identity`` and ``UTF-8`` mean that there is nothing to undo.
        limit_bytes: How much may come out, of each stage of a chain, in all.

    Raises:
        UnsupportedEncodingError: a coding is unknown, or more than four are chained.
    """

    def __init__(self, content_encoding: str | None, *, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._passed = 0
        self._stages = [_BoundedStage(_CODINGS[name](), name, limit_bytes) for name in _codings(content_encoding)]

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what *chunk* decompresses to, in pieces of at most some 300 KiB where anything is compressed.

        The iterator must be exhausted before the next call.

        Raises:
            BrokenEncodingError: the stream is damaged.
            TooLargeError: more than *limit_bytes* came out.
        """
        if self._stages:
            return self._through(chunk, 0)
        self._passed += len(chunk)
        if self._passed > self._limit:
            raise TooLargeError("decompressed body", limit=self._limit)
        return iter((chunk,) if chunk else ())

    def finish(self) -> Iterator[bytes]:
        """Yield what was still held back; the stream ends here.

        Raises:
            BrokenEncodingError: the stream was cut short.
        """
        for stage in self._stages:
            stage.check_complete()
        return iter(())

    def _through(self, chunk: bytes, index: int) -> Iterator[bytes]:
        pieces = self._stages[index].feed(chunk)
        if index + 1 == len(self._stages):
            return pieces
        return (out for piece in pieces for out in self._through(piece, index + 1))


def decompress(data: bytes, content_encoding: str | None, *, limit_bytes: int) -> bytes:
    """Return *data* with its Content-Encoding undone; raises as `Decompressor` does."""
    whole = _gunzip(data, limit_bytes) if content_encoding == "gzip" else None
    if whole is not None:
        return whole
    decompressor = Decompressor(content_encoding, limit_bytes=limit_bytes)
    pieces = [*decompressor.feed(data), *decompressor.finish()]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _gunzip(data: bytes, limit_bytes: int) -> bytes | None:
    """Return what the one gzip stream in *data* holds; None where it is any different, or as long as the limit."""
    inner = zlib.decompressobj(wbits=31)
    try:
        whole = inner.decompress(data, max(1, limit_bytes))
    except zlib.error:
        return None
    return whole if inner.eof and not inner.unused_data and len(whole) <= limit_bytes else None


class _Stage(Protocol):
    """One coding. `feed` yields bounded pieces and may raise the codec's own error."""

    complete: bool

    def feed(self, chunk: bytes) -> Iterator[bytes]: ...


class _BoundedStage:
    """A stage whose output is counted and whose errors are ours."""

    def __init__(self, stage: _Stage, name: str, limit_bytes: int) -> None:
        self._stage = stage
        self._name = name
        self._limit = limit_bytes
        self._passed = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        try:
            for start in range(0, len(chunk), _STEP_IN):  # a codec copies the input it has not used at every step
                step = chunk if len(chunk) <= _STEP_IN else chunk[start : start + _STEP_IN]
                for piece in self._stage.feed(step):
                    self._passed += len(piece)
                    if self._passed > self._limit:
                        raise TooLargeError("decompressed body", limit=self._limit)
                    yield piece
        except (zlib.error, brotli.error, zstd.ZstdError, EOFError) as error:
            message = f"the body is not valid {self._name}; send it whole and name its encoding in Content-Encoding"
            raise BrokenEncodingError(message) from error

    def check_complete(self) -> None:
        if not self._stage.complete:
            message = f"the {self._name} body is cut short"
            raise BrokenEncodingError(message)


class _Zlib:
    """gzip, or deflate in zlib's format or raw; all that Python's zlib reads."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._inner: zlib._Decompress | None = None
        self._members = 0
        self.complete = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._inner is None or self._inner.eof:
                if not self._opens(chunk):
                    return
                self._inner = self._new(chunk)
                self.complete = False
            inner = self._inner
            piece = inner.decompress(chunk, _STEP_OUT)
            if piece:
                yield piece
            # A full piece may leave output inside the codec even where all the input is used.
            while not inner.eof and len(piece) == _STEP_OUT:
                piece = inner.decompress(inner.unconsumed_tail, _STEP_OUT)
                if piece:
                    yield piece
            self.complete = inner.eof
            chunk = inner.unused_data if inner.eof else b""

    def _opens(self, chunk: bytes) -> bool:
        """Tell whether a stream begins here, which is the first or, for gzip, a further member."""
        return self._inner is None or (self._gzip and chunk[0] == 0x1F)

    def _new(self, chunk: bytes) -> "zlib._Decompress":
        self._members += 1
        if self._members > _MEMBERS_MAX:
            raise TooLargeError("gzip body", limit=_MEMBERS_MAX, unit="members")
        if self._gzip:
            return zlib.decompressobj(wbits=31)
        # A zlib header's low half is always 8; a raw stream's first byte never is, its padding bits being zero.
        return zlib.decompressobj(wbits=15 if chunk[0] & 0x0F == 0x08 else -15)


class _Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Decompressor()
        self.complete = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        piece = self._inner.process(chunk, output_buffer_limit=_STEP_OUT)
        self.complete = self._inner.is_finished()
        while piece:
            yield piece
            if self.complete:
                return
            piece = self._inner.process(b"", output_buffer_limit=_STEP_OUT)
            self.complete = self._inner.is_finished()


class _Zstd:
    def __init__(self) -> None:
        self._inner: zstd.ZstdDecompressor | None = None
        self._members = 0
        self.complete = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk:
            if self._inner is None or self._inner.eof:
                if self._inner is not None and chunk[0] != 0x28 and not 0x50 <= chunk[0] <= 0x5F:
                    return  # neither a frame nor a skippable one
                self._inner = self._new()
                self.complete = False
            inner = self._inner
            piece = inner.decompress(chunk, max_length=_STEP_OUT)
            if piece:
                yield piece
            while not inner.eof and not inner.needs_input:
                piece = inner.decompress(b"", max_length=_STEP_OUT)
                if piece:
                    yield piece
            self.complete = inner.eof
            chunk = inner.unused_data if inner.eof else b""

    def _new(self) -> "zstd.ZstdDecompressor":
        self._members += 1
        if self._members > _MEMBERS_MAX:
            raise TooLargeError("zstd body", limit=_MEMBERS_MAX, unit="frames")
        return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG_MAX})


def _gzip() -> _Stage:
    return _Zlib(gzip=True)


def _deflate() -> _Stage:
    return _Zlib(gzip=False)


_CODINGS = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _Brotli, "zstd": _Zstd}
_NOTHING = frozenset({"", "identity", "none", "utf-8", "utf8"})  # UTF-8: old Android SDKs name a charset here


def _codings(content_encoding: str | None) -> list[str]:
    """Return the codings to undo, in the order in which to undo them: the last applied comes first."""
    if not content_encoding:
        return []
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name not in _NOTHING]
    if len(names) > _CHAIN_MAX:
        message = f"more than {_CHAIN_MAX} content encodings are chained"
        raise UnsupportedEncodingError(message)
    for name in names:
        if name not in _CODINGS:
            message = "unknown Content-Encoding; gzip, deflate, br and zstd are understood"
            raise UnsupportedEncodingError(message)
    names.reverse()
    return names
