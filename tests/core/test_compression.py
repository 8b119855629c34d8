"""Content-Encoding: every coding SDKs use, chains, damage, and bombs."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.compression import Decompressor, decompress
from rustrak_core.errors import BrokenEncodingError, TooLargeError, UnsupportedEncodingError

MIB = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "deflate, raw": raw_deflate,
    "br": brotli.compress,
    "zstd": zstd.compress,
}
NAMES = sorted(PACK)
CODED = [name for name in NAMES if name != "x-gzip"]


def header(name: str) -> str:
    return name.split(",", maxsplit=1)[0]


def undo(data: bytes, encoding: str | None, *, limit: int = 100 * MIB, step: int | None = None) -> bytes:
    decompressor = Decompressor(encoding, limit_bytes=limit)
    step = step or max(1, len(data))
    pieces = [p for at in range(0, len(data), step) for p in decompressor.feed(data[at : at + step])]
    return b"".join([*pieces, *decompressor.finish()])


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(max_size=2000), step=st.integers(1, 100))
def test_what_is_packed_is_unpacked(name: str, data: bytes, step: int) -> None:
    """Each coding is undone, however the bytes are cut into chunks."""
    packed = PACK[name](data)
    assert undo(packed, header(name), step=step) == data
    assert decompress(packed, header(name), limit_bytes=len(data)) == data


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("size", [256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB])
def test_sizes_around_a_step(name: str, size: int) -> None:
    """Nothing is lost where the output fills a piece exactly, or several."""
    data = b"abcdefg" * (size // 7) + b"x" * (size % 7)
    assert undo(PACK[name](data), header(name)) == data
    assert undo(PACK[name](data), header(name), step=1000) == data


@given(chain=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4), data=st.binary(max_size=500))
def test_chains_are_undone_in_reverse(chain: list[str], data: bytes) -> None:
    """``a, b`` means that b was applied last."""
    packed = data
    for name in chain:
        packed = PACK[name](packed)
    assert undo(packed, ", ".join(map(header, chain)), step=50) == data


@pytest.mark.parametrize("encoding", [None, "", " ", "identity", "Identity", "UTF-8", "utf-8", ",", "identity, utf-8"])
def test_nothing_to_undo(encoding: str | None) -> None:
    """Empty headers (Ruby), a charset (old Android) and identity leave the body as it is."""
    assert undo(b"{}\n", encoding) == b"{}\n"
    assert undo(b"", encoding) == b""


@pytest.mark.parametrize("encoding", ["GZIP", " gzip ", "gzip,", "identity, gzip", "X-GZip", "gzip, identity"])
def test_headers_are_read_kindly(encoding: str) -> None:
    """Case, spaces, empty parts and identity in a chain do not matter."""
    assert undo(gzip.compress(b"{}"), encoding) == b"{}"


@pytest.mark.parametrize("encoding", ["lzma", "compress", "gzip, bogus", "gzip; q=1", "\ud800", "gzip" * 1000])
def test_unknown_codings_are_refused_at_once(encoding: str) -> None:
    """415 before any of the body is read, without repeating the header."""
    with pytest.raises(UnsupportedEncodingError) as refusal:
        Decompressor(encoding, limit_bytes=1)
    assert refusal.value.status_hint == 415
    assert len(str(refusal.value)) < 200


def test_long_chains_are_refused() -> None:
    """A chain of any length would be work without end."""
    with pytest.raises(UnsupportedEncodingError):
        Decompressor(",".join(["gzip"] * 5), limit_bytes=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_cut_short_is_broken(name: str) -> None:
    """Half a body is never taken for a whole one, wherever it was cut."""
    packed = PACK[name](b"some text, and some more text" * 10)
    for cut in range(len(packed)):
        with pytest.raises(BrokenEncodingError):
            undo(packed[:cut], header(name))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(min_size=1, max_size=200))
def test_any_bytes_unpack_or_raise_our_error(name: str, data: bytes) -> None:
    """Damage of any kind is one of our errors, never the codec's."""
    with suppress(BrokenEncodingError, TooLargeError):
        undo(data, header(name), limit=MIB)


@pytest.mark.parametrize("name", CODED)
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_flipped_bits_raise_our_error(name: str, at: int, flip: int) -> None:
    """A damaged stream is refused as 400, or gives something of a bounded size."""
    packed = bytearray(PACK[name](b"the quick brown fox jumps over the lazy dog. " * 20))
    packed[at % len(packed)] ^= flip
    with suppress(BrokenEncodingError, TooLargeError):
        assert len(undo(bytes(packed), header(name), limit=MIB, step=7)) <= MIB


def test_plain_text_named_gzip_is_broken() -> None:
    """A body that is not what its header says is 400 with a text that says so."""
    with pytest.raises(BrokenEncodingError, match="not valid gzip") as refusal:
        undo(b'{"event_id": "x"}\n', "gzip")
    assert refusal.value.status_hint == 400


@pytest.mark.parametrize("step", [1, 5, 1000])
def test_several_members_are_one_body(step: int) -> None:
    """Members of gzip and frames of zstd that follow each other are read as one, as their tools do."""
    parts = [b"a" * 100, b"", b"b" * 3]
    assert undo(b"".join(map(gzip.compress, parts)), "gzip", step=step) == b"".join(parts)
    assert undo(b"".join(map(zstd.compress, parts)), "zstd", step=step) == b"".join(parts)


def test_a_second_member_cut_short_is_broken() -> None:
    """That the first one is whole does not make the body whole."""
    with pytest.raises(BrokenEncodingError):
        undo(gzip.compress(b"a") + gzip.compress(b"b")[:-1], "gzip")
    with pytest.raises(BrokenEncodingError):
        undo(zstd.compress(b"a") + zstd.compress(b"b")[:-1], "zstd")


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate, raw", "zstd"])
@pytest.mark.parametrize("step", [1, 1000])
def test_what_follows_the_stream_is_ignored(name: str, step: int) -> None:
    """Padding behind a complete stream loses no event."""
    assert undo(PACK[name](b"{}") + b"\0\0\n", header(name), step=step) == b"{}"


def test_brotli_refuses_what_follows_the_stream() -> None:
    """The brotli library cannot tell padding from damage."""
    with pytest.raises(BrokenEncodingError):
        undo(brotli.compress(b"{}") + b"\0\0\n", "br")


@pytest.mark.parametrize("name", [*CODED, "identity"])
def test_the_limit_is_exact(name: str) -> None:
    """What is at the limit passes, one byte more is 413."""
    packed = PACK.get(name, bytes)(b"x" * 1000)
    assert len(undo(packed, header(name), limit=1000)) == 1000
    with pytest.raises(TooLargeError) as refusal:
        undo(packed, header(name), limit=999)
    assert refusal.value.status_hint == 413
    assert refusal.value.limit == 999


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "deflate": lambda data: zlib.compress(data, 1),
    "br": lambda data: brotli.compress(data, quality=5),
    "zstd": lambda data: zstd.compress(data, 1),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_costs_no_memory(name: str) -> None:
    """Zeros without end come out in bounded pieces and end at the limit."""
    bomb = BOMBS[name](bytes(64 * MIB))
    decompressor = Decompressor(name, limit_bytes=32 * MIB)
    largest = 0

    def drain() -> None:
        nonlocal largest
        for piece in decompressor.feed(bomb):
            largest = max(largest, len(piece))

    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            drain()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert largest <= 512 * 1024
    assert peak < 4 * MIB


def test_a_bomb_within_a_bomb_ends_at_the_limit() -> None:
    """The limit holds for each stage of a chain, so that an endless stream between two stages ends too."""
    inner = gzip.compress(bytes(4 * MIB), 9)
    with pytest.raises(TooLargeError):
        undo(gzip.compress(inner, 9), "gzip, gzip", limit=MIB)
    many_empty_members = gzip.compress(gzip.compress(b"") * 5000)
    with pytest.raises(TooLargeError):
        undo(many_empty_members, "gzip, gzip", limit=50_000)


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_members_without_end_are_refused(name: str) -> None:
    """Empty members cost time and give no bytes, so that their number has a limit of its own."""
    with pytest.raises(TooLargeError):
        undo(PACK[name](b"") * 10_001, name)


def test_zstd_windows_are_bounded() -> None:
    """A frame that asks for a window of 128 MiB is refused, as RFC 9659 allows, before memory is taken for it."""
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.content_size_flag: 0}
    packer = zstd.ZstdCompressor(options=options)
    packed = packer.compress(b"x" * 100) + packer.flush()
    with pytest.raises(BrokenEncodingError):
        undo(packed, "zstd")
