"""Events that could be neither digested nor kept as they are: a folder beside the lanes, a file each.

A file begins with a line of JSON that says what it is about; the event follows as a record of the lane in which it
returns to the spool. Its name derives from the place where it was read, so that a replay writes the same file again.

An event returns by way of a lane of its own, which appears with it in it, and whose name derives from that place too.
Who was interrupted, and returns it once more, finds that lane there or in the store's positions, and knows it is done.
"""

import contextlib
import hashlib
import logging
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import orjson

from rustrak_core.accepted import Accepted, AcceptedEvent, Count, Outcome, SpoolPosition
from rustrak_core.errors import NotFoundError, SpoolUnavailableError
from rustrak_core.project import ProjectId
from rustrak_core.times import from_micros, to_micros
from rustrak_storage.spool import files
from rustrak_storage.spool.lane import Lane
from rustrak_storage.spool.record import RECORD_HEAD_BYTES, SegmentHead, decode, encode, lane_mark, parse_head

_logger = logging.getLogger("rustrak.spool")

MAX_FILES = 1000
MAX_BYTES = 256 * 1024**2

_FOLDER = "quarantine"
_NAME = re.compile(r"([0-9a-f]{16})\.event")
_HEAD_MAX = 16 * 1024
_VERSION = 1


@attrs.frozen(kw_only=True)
class Quarantined:
    """An event in quarantine.

    Attributes:
        id: 16 hex digits.
        at: Where it was read: the position behind its record.
        why: What its digesting led to, in a few words.
        since: When it was set aside, in UTC.
        size_bytes: Of the payload.
    """

    id: str
    at: SpoolPosition
    why: str
    since: datetime
    project_id: ProjectId
    event_id: str
    received_at: datetime
    size_bytes: int
    _lane: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class QuarantineStats:
    """How much is in quarantine.

    Attributes:
        dropped: How many events had to go, the oldest first, since there was no room for more.
    """

    events: int
    size_bytes: int
    dropped: int


class QuarantineFolder:
    """The quarantine of a spool's folder. Any process may look into it; changes take a lock.

    Args:
        spool: The spool's folder.
        max_files, max_bytes: How much is kept; beyond, the oldest go.
    """

    def __init__(self, spool: Path, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES) -> None:
        self._spool = spool
        self.path = spool / _FOLDER
        self._max_files = max_files
        self._max_bytes = max_bytes

    def keep(self, event: AcceptedEvent, *, at: SpoolPosition, index: int, why: str, now: datetime) -> str:
        """Keep *event*, the one of number *index* in the record before *at*, and return its id; again changes nothing.

        Raises:
            OSError: it cannot be kept.
        """
        lane = _derived(at, index, person=b"rustrak retry", size=16)
        name = _derived(at, index, person=b"rustrak poison", size=8)
        facts = {
            "version": _VERSION,
            "lane": at.lane,
            "segment": at.segment,
            "offset": at.offset,
            "why": why,
            "since": to_micros(now),
            "project_id": event.project_id,
            "event_id": str(event.event_id),
            "received_at": to_micros(event.received_at),
            "bytes": len(event.payload),
            "returns_in": lane,
        }
        record = encode(Accepted(events=[event]), mark=lane_mark(lane), at_micros=to_micros(now))
        self.path.mkdir(exist_ok=True, mode=0o700)
        with self._locked():
            self._make_room(record.size, but=name)
            _write_whole(self.path / f"{name}.event", [orjson.dumps(facts) + b"\n", *record.pieces])
        return name

    def entries(self) -> list[Quarantined]:
        """Return what is in quarantine, the oldest first."""
        found = (self._read_head(path) for path in self._files())
        return sorted((each for each in found if each is not None), key=lambda each: (each.since, each.id))

    def find(self, text: str) -> Quarantined:
        """Return what *text* names: an id or its beginning, or an event's id with or without hyphens.

        Raises:
            NotFoundError: nothing, or more than one.
        """
        wanted = text.strip().lower()
        entries = self.entries()
        found = [each for each in entries if wanted and each.id.startswith(wanted)]
        found = found or [each for each in entries if each.event_id.replace("-", "") == wanted.replace("-", "")]
        if len(found) != 1:
            what = "nothing in quarantine has that id" if not found else "that id names several"
            raise NotFoundError(f"{what}; `rustrak quarantine list` shows them all")
        return found[0]

    def event(self, entry: Quarantined) -> AcceptedEvent:
        """Return the event itself.

        Raises:
            NotFoundError: it is no longer there.
            SpoolUnavailableError: its file cannot be read, or is damaged.
        """
        try:
            with self._path(entry.id).open("rb") as file:
                file.readline(_HEAD_MAX)
                record = file.read()
        except FileNotFoundError:
            raise NotFoundError("that event is no longer in quarantine") from None
        except OSError as error:
            raise SpoolUnavailableError(f"the quarantine cannot be read: {error.strerror}") from error
        head = parse_head(record, mark=lane_mark(entry._lane))  # noqa: SLF001 - of our own value
        body = memoryview(record)[RECORD_HEAD_BYTES:]
        if head is not None and zlib.crc32(body) == head.body_crc:
            with contextlib.suppress(ValueError, IndexError):
                return decode(head, body).events[0]
        raise SpoolUnavailableError(
            f"{self._path(entry.id)} is damaged; `rustrak quarantine drop {entry.id}` removes it"
        )

    def give_back(self, entry: Quarantined, *, now: datetime, recorded: Callable[[str], SpoolPosition | None]) -> None:
        """Put an event back into the spool, once however often this is called and wherever it is interrupted.

        Its count as quarantined is taken back in the transaction that records it.

        Args:
            recorded: Says how far the store has recorded a lane.

        Raises:
            NotFoundError: it is no longer there.
            SpoolUnavailableError: it is being set aside just now, or cannot be read or written.
        """
        try:
            with self._locked():
                self._require_settled(entry, recorded(entry.at.lane))
                event, name = self.event(entry), entry._lane  # noqa: SLF001 - of our own value
                if not (self._spool / name).exists() and recorded(name) is None:
                    _make_lane(self._spool, name, event, now)
                self._unlink(entry)
        except OSError as error:
            raise SpoolUnavailableError(f"the spool cannot be written: {error.strerror}") from error

    def drop(self, entry: Quarantined) -> None:
        """Remove an event for good; it stays counted as quarantined.

        Raises:
            NotFoundError: it is no longer there.
            SpoolUnavailableError: it cannot be removed.
        """
        try:
            with self._locked():
                self._unlink(entry)
        except FileNotFoundError:
            raise NotFoundError("that event is no longer in quarantine") from None
        except OSError as error:
            raise SpoolUnavailableError(f"the quarantine cannot be written: {error.strerror}") from error

    def stats(self) -> QuarantineStats:
        """Return how much is in quarantine."""
        sizes = [size for _at, size, _path in self._by_age()]
        return QuarantineStats(events=len(sizes), size_bytes=sum(sizes), dropped=self._dropped())

    def _path(self, name: str) -> Path:
        return self.path / f"{name}.event"

    def _files(self) -> list[Path]:
        try:
            return [path for path in self.path.iterdir() if _NAME.fullmatch(path.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise SpoolUnavailableError(f"the quarantine cannot be read: {error.strerror}") from error

    def _read_head(self, path: Path) -> Quarantined | None:
        """Return what a file says it is about; None where it is gone, or not one of ours."""
        try:
            with path.open("rb") as file:
                return _entry(path.name.removesuffix(".event"), orjson.loads(file.readline(_HEAD_MAX)))
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            return None

    def _by_age(self) -> list[tuple[int, int, Path]]:
        found = []
        for path in self._files():
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                found.append((about.st_mtime_ns, about.st_size, path))
        return sorted(found)

    def _make_room(self, size: int, *, but: str) -> None:
        kept = [each for each in self._by_age() if each[2].stem != but]
        total = size + sum(each[1] for each in kept)
        gone = 0
        while kept and (len(kept) >= self._max_files or total > self._max_bytes):
            _at, bytes_, path = kept.pop(0)
            entry = self._read_head(path)
            path.unlink(missing_ok=True)
            total -= bytes_
            gone += 1
            _logger.error(
                "quarantine_full dropped=%s project=%s event=%s",
                path.stem,
                entry and entry.project_id,
                entry and entry.event_id,
            )
        if gone:
            _write_whole(self.path / "dropped", [b"%d\n" % (self._dropped() + gone)])

    def _dropped(self) -> int:
        try:
            return int((self.path / "dropped").read_bytes())
        except (OSError, ValueError):
            return 0

    def _require_settled(self, entry: Quarantined, recorded: SpoolPosition | None) -> None:
        """Return if the place where an event was read is recorded; else it is about to be, or to be set aside again.

        Raises:
            SpoolUnavailableError: it is not.
        """
        behind = recorded is None or (recorded.segment, recorded.offset) < (entry.at.segment, entry.at.offset)
        if behind and (self._spool / entry.at.lane).exists():
            raise SpoolUnavailableError("that event is being set aside just now; try again when the worker has done it")

    def _unlink(self, entry: Quarantined) -> None:
        self._path(entry.id).unlink()
        files.sync_directory(self.path)
        shutil.rmtree(_draft(self._spool, entry._lane), ignore_errors=True)  # noqa: SLF001 - of our own value

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with files.held_lock(self.path / "lock"):
            yield


def _derived(at: SpoolPosition, index: int, *, person: bytes, size: int) -> str:
    place = f"{at.lane} {at.segment} {at.offset} {index}"
    return hashlib.blake2b(place.encode(), digest_size=size, person=person).hexdigest()


def _entry(name: str, facts: dict[str, Any]) -> Quarantined | None:
    if facts["version"] != _VERSION:
        return None
    return Quarantined(
        id=name,
        at=SpoolPosition(lane=str(facts["lane"]), segment=int(facts["segment"]), offset=int(facts["offset"])),
        why=str(facts["why"]),
        since=from_micros(facts["since"]),
        project_id=ProjectId(int(facts["project_id"])),
        event_id=str(facts["event_id"]),
        received_at=from_micros(facts["received_at"]),
        size_bytes=int(facts["bytes"]),
        lane=str(facts["returns_in"]),
    )


def _write_whole(path: Path, pieces: list[bytes]) -> None:
    """Have *path* appear with all of its content, and stay through a power cut."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            files.write_all(fd, pieces)
            os.fsync(fd)
        finally:
            os.close(fd)
        draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    files.sync_directory(path.parent)


def _draft(spool: Path, name: str) -> Path:
    """Return where a lane is made ready."""
    return spool / f".return-{name}"


def _make_lane(spool: Path, name: str, event: AcceptedEvent, now: datetime) -> None:
    """Have a lane appear with *event* in its first segment, and its count as quarantined taken back with it."""
    taken_back = Count(
        project_id=event.project_id,
        day=event.received_at.date(),
        category="error",
        outcome=Outcome.QUARANTINED,
        quantity=-1,
    )
    lane = Lane(_draft(spool, name))
    shutil.rmtree(lane.path, ignore_errors=True)  # of somebody who was interrupted
    lane.path.mkdir(mode=0o700)
    record = encode(Accepted(events=[event], counts=[taken_back]), mark=lane_mark(name), at_micros=to_micros(now))
    _write_whole(lane.segment_path(1), [SegmentHead().pack(), *record.pieces])
    lane.path.rename(spool / name)
    files.sync_directory(spool)
