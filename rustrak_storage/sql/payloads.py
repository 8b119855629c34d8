"""Contents of payload rows as they are kept: packed by zstd where that is smaller, their codec named beside them.

Events of one source repeat themselves, and each other far more: with a dictionary trained from some of them, one takes
a quarter of the room, and a third of the time.

Python's own zstd makes a context for each content that it unpacks; on virtual machines, that takes three times as long
as the unpacking does. This package keeps its contexts.
"""

import threading
from collections.abc import Iterable, Sequence

import attrs
import zstandard

LEVEL = 3
DICTIONARY_BYTES = 256 * 1024
_SAMPLES_OF_ONE_BYTE = 17
"""How many bytes of samples it takes for each byte of a dictionary: from fewer, zstd trains half as good ones."""

_EXPANDS_AT_MOST = 32 * 1024
"""A block of zstd takes four bytes or more, and has 128 KiB or less."""


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
    data: zstandard.ZstdCompressionDict

    @classmethod
    def of(cls, number: int, created_at: int, data: bytes) -> "Dictionary":
        """Return the dictionary with that content.

        Raises:
            ValueError: it is none.
        """
        try:
            return cls(number, created_at, _trained(data))
        except zstandard.ZstdError as error:
            raise ValueError("not a zstd dictionary") from error


@attrs.frozen
class Packed:
    """A content as its row holds it: the codec's name, the dictionary's number or None, and the data."""

    codec: str
    dictionary: int | None
    data: bytes


class _Local(threading.local):
    """What packs and unpacks in a thread; it is kept, for to make it takes as long as some events do."""

    def __init__(self) -> None:
        self.plain_compressor = zstandard.ZstdCompressor(level=LEVEL)
        self.plain_decompressor = zstandard.ZstdDecompressor()
        self.packs_with: Dictionary | None = None
        self.unpacks_with: Dictionary | None = None
        self.trained_compressor = self.plain_compressor
        self.trained_decompressor = self.plain_decompressor

    def compressor(self, dictionary: Dictionary | None) -> zstandard.ZstdCompressor:
        if dictionary is None:
            return self.plain_compressor
        if dictionary is not self.packs_with:
            self.trained_compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=dictionary.data)
            self.packs_with = dictionary
        return self.trained_compressor

    def decompressor(self, dictionary: Dictionary | None) -> zstandard.ZstdDecompressor:
        if dictionary is None:
            return self.plain_decompressor
        if dictionary is not self.unpacks_with:
            self.trained_decompressor = zstandard.ZstdDecompressor(dict_data=dictionary.data)
            self.unpacks_with = dictionary
        return self.trained_decompressor


_local = _Local()


def encode(contents: Iterable[bytes], dictionary: Dictionary | None = None) -> list[Packed]:
    """Return *contents*, each packed by itself."""
    compressor = _local.compressor(dictionary)
    number = None if dictionary is None else dictionary.number
    packed = []
    for content in contents:
        data = compressor.compress(content)
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
        if zstandard.frame_content_size(data) > len(data) * _EXPANDS_AT_MOST:  # which would be made room for
            raise ValueError("payload is damaged")
        return _local.decompressor(dictionary).decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError("payload is damaged") from error


def train(samples: Sequence[bytes]) -> bytes | None:
    """Return the bytes of a dictionary for contents like *samples*; None where they give none."""
    try:
        size = min(DICTIONARY_BYTES, sum(map(len, samples)) // _SAMPLES_OF_ONE_BYTE)
        return zstandard.train_dictionary(size, list(samples)).as_bytes()
    except zstandard.ZstdError:  # too few, too short, or nothing in common
        return None


def packed_bytes(contents: Sequence[bytes], dictionary: bytes | None) -> int:
    """Return how many bytes *contents* take with a dictionary of those bytes, or with none."""
    trained = None if dictionary is None else _trained(dictionary)
    compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=trained)
    return sum(len(compressor.compress(content)) for content in contents)


def _trained(data: bytes) -> zstandard.ZstdCompressionDict:
    """Return a dictionary, read once for all that pack and unpack with it."""
    dictionary = zstandard.ZstdCompressionDict(data, zstandard.DICT_TYPE_FULLDICT)
    dictionary.precompute_compress(level=LEVEL)
    return dictionary
