"""Contents of payload rows as they are kept: packed by zstd where that is smaller, their codec named beside them.

Events of one source repeat themselves, and each other far more: with a dictionary trained from some of them, one takes
a quarter of the room, and a third of the time.
"""

import sys
import threading
from collections.abc import Iterable, Sequence

import attrs

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEVEL = 3
DICTIONARY_BYTES = 256 * 1024
_SAMPLES_OF_ONE_BYTE = 17
"""How many bytes of samples it takes for each byte of a dictionary: from fewer, zstd trains half as good ones."""


@attrs.frozen(eq=False)
class Dictionary:
    """A dictionary that payloads name; it never changes.

    Attributes:
        number: Its id, 1 or more.
        created_at: Microseconds; with *number*, it tells one of this database from one of another.
        data: As zstd reads it.
    """

    number: int
    created_at: int
    data: zstd.ZstdDict

    @classmethod
    def of(cls, number: int, created_at: int, data: bytes) -> "Dictionary":
        """Return the dictionary with that content.

        Raises:
            ValueError: it is none.
        """
        try:
            dictionary = cls(number, created_at, zstd.ZstdDict(data))
            _compressor(dictionary.data)  # so that a damaged one is found out here
        except (zstd.ZstdError, ValueError) as error:
            raise ValueError("not a zstd dictionary") from error
        return dictionary


@attrs.frozen
class Packed:
    """A content as its row holds it: the codec's name, the dictionary's number or None, and the data."""

    codec: str
    dictionary: int | None
    data: bytes


class _Local(threading.local):
    """Compressors of a thread, for making one costs as much as compressing some events."""

    def __init__(self) -> None:
        self.dictionary: Dictionary | None = None
        self.plain = zstd.ZstdCompressor(level=LEVEL)
        self.trained = self.plain

    def compressor(self, dictionary: Dictionary | None) -> zstd.ZstdCompressor:
        if dictionary is None:
            return self.plain
        if dictionary is not self.dictionary:
            self.trained = _compressor(dictionary.data)
            self.dictionary = dictionary
        return self.trained


_local = _Local()


def encode(contents: Iterable[bytes], dictionary: Dictionary | None = None) -> list[Packed]:
    """Return *contents*, each packed by itself."""
    compressor = _local.compressor(dictionary)
    number = None if dictionary is None else dictionary.number
    packed = []
    for content in contents:
        data = compressor.compress(content, compressor.FLUSH_FRAME)
        packed.append(Packed("packed", number, data) if len(data) < len(content) else Packed("plain", None, content))
    return packed


def decode(codec: str, data: bytes, dictionary: Dictionary | None = None) -> bytes:
    """Return the content that *data* holds.

    Raises:
        ValueError: the codec is not known, the data is damaged, or was packed with another dictionary.
    """
    if codec == "plain":
        return data
    if codec != "packed":
        raise ValueError(f"payload in an unknown codec: {codec}")
    try:
        return zstd.decompress(data, zstd_dict=None if dictionary is None else dictionary.data)
    except zstd.ZstdError as error:
        raise ValueError("payload is damaged") from error


def train(samples: Sequence[bytes]) -> bytes | None:
    """Return the bytes of a dictionary for contents like *samples*; None where they give none."""
    try:
        size = min(DICTIONARY_BYTES, sum(map(len, samples)) // _SAMPLES_OF_ONE_BYTE)
        return zstd.train_dict(samples, size).dict_content
    except (zstd.ZstdError, ValueError):  # too few, too short, or nothing in common
        return None


def packed_bytes(contents: Sequence[bytes], dictionary: bytes | None) -> int:
    """Return how many bytes *contents* take with a dictionary of those bytes, or with none."""
    compressor = zstd.ZstdCompressor(level=LEVEL) if dictionary is None else _compressor(zstd.ZstdDict(dictionary))
    return sum(len(compressor.compress(content, compressor.FLUSH_FRAME)) for content in contents)


def _compressor(data: zstd.ZstdDict) -> zstd.ZstdCompressor:
    return zstd.ZstdCompressor(level=LEVEL, zstd_dict=data.as_digested_dict)
