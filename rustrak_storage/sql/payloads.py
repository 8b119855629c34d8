"""Payloads as they are kept: zstd where that is smaller, their codec named beside them."""

import sys
import threading

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 3
_SMALL_BYTES = 64


class _Local(threading.local):
    """One compressor a thread, for making one costs as much as compressing a small event."""

    def __init__(self) -> None:
        self.compressor = zstd.ZstdCompressor(level=LEVEL)


_local = _Local()


def encode(payload: bytes) -> tuple[str, bytes]:
    """Return the codec's name and *payload* in it."""
    if len(payload) < _SMALL_BYTES:
        return "raw", payload
    packed = _local.compressor.compress(payload, zstd.ZstdCompressor.FLUSH_FRAME)
    return ("zstd", packed) if len(packed) < len(payload) else ("raw", payload)


def decode(codec: str, data: bytes, dictionary: bytes | None = None) -> bytes:
    """Return the payload that *data* holds.

    Raises:
        ValueError: the codec is not known, or the data is damaged.
    """
    if codec == "raw":
        return data
    if codec != "zstd":
        raise ValueError(f"payload in an unknown codec: {codec}")
    try:
        return zstd.decompress(data, zstd_dict=None if dictionary is None else zstd.ZstdDict(dictionary))
    except zstd.ZstdError as error:
        raise ValueError("payload is damaged") from error
