"""Figures about what waits in a spool, read from the folder without a lock: any process may ask."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import zip_longest
from pathlib import Path

from rustrak_core.accepted import SpoolPosition
from rustrak_core.errors import SpoolUnavailableError
from rustrak_core.ports import SpoolStats
from rustrak_core.times import from_micros
from rustrak_storage.spool.damaged import DamagedFolder
from rustrak_storage.spool.lane import Lane, lane_names
from rustrak_storage.spool.record import RECORD_HEAD_BYTES, SEGMENT_HEAD_BYTES, RecordHead, event_days
from rustrak_storage.spool.salvage import mended_meta
from rustrak_storage.spool.scan import Window, scan

_READ_AHEAD = 1024
_CACHED_SEGMENTS = 1024

Queue = Counter[tuple[int, date]]


class Survey:
    """Counts what waits. Segments may vanish while it looks: they are recorded then, and count for nothing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sealed: dict[tuple[str, int], Queue] = {}
        self._lock = threading.Lock()

    def stats(self) -> SpoolStats:
        """Return how much waits, over all lanes."""
        size = segments = 0
        oldest: int | None = None
        for lane in self._lanes():
            for number, start, end in _stretches(lane, lane.read_done()):
                segments += 1
                if end > start:
                    size += end - start
                    head = next((head for head, _ in _records(lane, number, start, end)), None)
                    if head is not None and (oldest is None or head.at_micros < oldest):
                        oldest = head.at_micros
        return SpoolStats(
            size_bytes=size,
            segments=segments,
            oldest_at=None if oldest is None else from_micros(oldest),
            damaged=DamagedFolder(self._directory).pieces(),
        )

    def queued(self, project_id: int, positions: Sequence[SpoolPosition]) -> dict[date, int]:
        """Return how many events of a project wait behind *positions*, by day of receipt."""
        recorded = {position.lane: position for position in positions}
        days: Counter[date] = Counter()
        for queue in self._queues(lambda lane: recorded.get(lane.name)):
            for (project, day), count in queue.items():
                if project == project_id:
                    days[day] += count
        return dict(days)

    def waiting(self) -> int:
        """Return how many events wait, of all projects, as far as the readers have noted."""
        return sum(queue.total() for queue in self._queues(Lane.read_done))

    def _queues(self, done: Callable[[Lane], SpoolPosition | None]) -> list[Queue]:
        """Return what waits behind *done* of each lane, a segment each."""
        seen = set()
        queues = []
        with self._lock:
            for lane in self._lanes():
                stretches = list(_stretches(lane, done(lane)))
                for index, (number, start, end) in enumerate(stretches):
                    sealed = index + 1 < len(stretches) and start == SEGMENT_HEAD_BYTES
                    seen.add((lane.name, number))
                    queues.append(self._queue(lane, number, start, end, sealed=sealed))
            for key in self._sealed.keys() - seen:
                del self._sealed[key]
        return queues

    def _lanes(self) -> list[Lane]:
        try:
            return [Lane(self._directory / name) for name in lane_names(self._directory)]
        except OSError as error:
            raise SpoolUnavailableError(f"the spool folder cannot be read: {error.strerror}") from error

    def _queue(self, lane: Lane, number: int, start: int, end: int, *, sealed: bool) -> Queue:
        key = (lane.name, number)
        known = self._sealed.get(key) if sealed else None
        if known is not None:
            return known
        queue: Queue = Counter()
        for head, meta in _records(lane, number, start, end):
            try:
                queue.update(event_days(mended_meta(head, meta)))
            except ValueError:  # the reader will set it aside
                continue
        if sealed and len(self._sealed) < _CACHED_SEGMENTS:
            self._sealed[key] = queue
        return queue


def _stretches(lane: Lane, done: SpoolPosition | None) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of what lies behind *done*, a segment each."""
    numbers = [number for number in lane.segments() if done is None or number >= done.segment]
    for number, later in zip_longest(numbers, numbers[1:]):
        try:
            end = lane.good_length(number, later)
        except FileNotFoundError:
            continue
        start = done.offset if done is not None and number == done.segment else SEGMENT_HEAD_BYTES
        yield number, max(start, SEGMENT_HEAD_BYTES), end


def _records(lane: Lane, number: int, start: int, end: int) -> Iterator[tuple[RecordHead, memoryview]]:
    try:
        fd = os.open(lane.segment_path(number), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        window = Window(fd, end, read_ahead=_READ_AHEAD)
        for found in scan(window, lane.mark, start, bodies=False):
            if found.head is not None:
                yield found.head, window.get(found.start + RECORD_HEAD_BYTES, found.head.meta_length)
    finally:
        os.close(fd)
