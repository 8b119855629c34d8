"""A look at the segments of a spool before a server starts: is all of it for this version to read, and ours?"""

from pathlib import Path

from rustrak_core.errors import ConfigurationError
from rustrak_storage.spool.files import check_directory
from rustrak_storage.spool.lane import Lane, lane_names
from rustrak_storage.spool.record import FORMAT_VERSION, SEGMENT_HEAD_BYTES, SegmentHead

_LOOKED_AT_BYTES = 1024 * 1024


def examine(directory: Path) -> None:
    """Return if *directory* is a spool for this version to read, or not there yet. Changes nothing.

    A segment that is damaged is none of its business: the reader sets aside what it must. One without any trace of us,
    neither a head nor the lane's mark, is someone else's; the reader would take it for damage, and remove it.

    Raises:
        ConfigurationError: a newer version wrote it or a segment, one is not ours, or one cannot be read.
    """
    check_directory(directory)
    try:
        for name in lane_names(directory) if directory.is_dir() else []:
            lane = Lane(directory / name)
            for number in lane.segments():
                _examine_segment(lane, lane.segment_path(number))
    except OSError as error:
        message = f"the spool folder {directory} cannot be read: {error.strerror}; make it readable for this user"
        raise ConfigurationError(message) from error


def _examine_segment(lane: Lane, path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(SEGMENT_HEAD_BYTES)
            head = SegmentHead.unpack(start)
            more = b"" if head is not None else file.read(_LOOKED_AT_BYTES)
    except FileNotFoundError:  # drained meanwhile, by another server on this folder
        return
    if head is not None and head.version > FORMAT_VERSION:
        raise ConfigurationError(
            f"{path} was written by a newer Rustrak (format {head.version}; this one reads {FORMAT_VERSION}); "
            "upgrade this one, or let the newer one digest it first"
        )
    if more.strip(b"\0") and not _has_trace(lane, start, more):
        raise ConfigurationError(f"{path} is not a file of this spool; move it away, and start again")


def _has_trace(lane: Lane, start: bytes, more: bytes) -> bool:
    """Return whether anything is as we write it: most of a head, though bits have flipped in it, or a record's mark."""
    ours = SegmentHead().pack()[:12]
    alike = sum(one == other for one, other in zip(start, ours, strict=False))
    return alike >= len(ours) - 2 or lane.mark in start + more
