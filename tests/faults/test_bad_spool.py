"""A spool that is not for us to use: named with what to do, and nothing in it touched."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from rustrak_core.errors import ConfigurationError
from rustrak_storage.spool import DirectorySpool, examine, files
from rustrak_storage.spool.record import FORMAT_VERSION, SegmentHead
from tests.spool.helpers import FREE_BYTES, accepted, segments


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return the folder of a spool in which three events wait."""
    directory = tmp_path / "spool"
    spool = DirectorySpool(directory, min_free_bytes=FREE_BYTES)
    for number in range(3):
        spool.accept(accepted(number))
    spool.close()
    return directory


def contents(directory: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in directory.rglob("*")}


NEWER = SegmentHead(version=FORMAT_VERSION + 1).pack()
FOREIGN = b"A thesis, of which there is no copy.\n" * 100


@pytest.mark.parametrize(("data", "text"), [(NEWER, "newer Rustrak.*upgrade"), (FOREIGN, "not a file.*move it away")])
def test_a_segment_that_is_not_for_us(directory: Path, data: bytes, text: str) -> None:
    """Of a newer version, or of someone else: it is named, with what to do."""
    segments(directory)[0].with_name("000000000009.seg").write_bytes(data)
    before = contents(directory)
    with pytest.raises(ConfigurationError, match=rf"000000000009\.seg .*{text}"):
        examine(directory)
    assert contents(directory) == before


def test_damage_does_not_keep_a_server_from_starting(directory: Path) -> None:
    """A bit flipped in a segment, its head included, and a torn one, are for the reader to pass by."""
    (segment,) = segments(directory)
    data = segment.read_bytes()
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        segment.write_bytes(changed)
        examine(directory)
    for length in range(len(data)):
        segment.write_bytes(data[:length])
        examine(directory)
        segment.write_bytes(data[:length] + bytes(5000))
        examine(directory)


def test_nothing_there_yet(tmp_path: Path) -> None:
    """Before the first start there is nothing to object to, and nothing is made."""
    examine(tmp_path / "spool")
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some network file systems: named, and nothing is left behind."""
    before = contents(directory)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(ConfigurationError, match="No locks available; make it writable, on a local file system"):
        DirectorySpool(directory)
    assert contents(directory) == before


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_no_lane_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """On a disk that is full or cannot be written: named with the system's reason, and no half lane is left."""
    directory = tmp_path / "spool"
    files.prepare_directory(directory)
    before = contents(directory)
    real = os.open

    def refuse(path: str, flags: int, *how: int, **more: int) -> int:
        if flags & os.O_CREAT:
            raise OSError(error, os.strerror(error))
        return real(path, flags, *how, **more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ConfigurationError, match=rf"{os.strerror(error)}; make it writable.*free space"):
        DirectorySpool(directory)
    assert contents(directory) == before
