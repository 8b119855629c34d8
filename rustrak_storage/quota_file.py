"""Counts against quotas in a small file that the processes of one machine share.

The file is mapped, so that a count is a store to memory, and a lock on it makes take and give one step each: the kernel
gives the lock back when its holder dies, whatever it was at, and a count is one word, which is written or not. So a
crash leaves at most one request counted that was not accepted. Across machines each has quotas of its own.
"""

import fcntl
import mmap
import os
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from rustrak_core.errors import ConfigurationError, RateLimit
from rustrak_core.project import ProjectId
from rustrak_core.quota import CATEGORIES, HOUR_S, MINUTE_S, QuotaKeeper, Quotas, Taken, used_up

_MAGIC = b"RQUOTA1\n"
_ROWS = 16_384
_WORDS = 6  # project, category (0: no row); minute and its count; hour and its count
_MINUTE, _MINUTE_COUNT, _HOUR, _HOUR_COUNT = range(2, 6)
_SIZE = (1 + _ROWS * _WORDS) * 8
_PROBES = 256
_SKEW_S = 30.0
_SERVER = 0
_CODES = {category: code for code, category in enumerate(CATEGORIES, 1)}

_NO_QUOTA = 2**62


class _Row(NamedTuple):
    """Where the counts of an owner and a category are, in words, and what there may be of them."""

    at: int
    owner: int
    code: int
    scope: str
    minute_max: int
    hour_max: int

    def cells(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Return for either window where it is noted (its count is behind that), its quota, and its length."""
        return (self.at + _MINUTE, self.minute_max, MINUTE_S), (self.at + _HOUR, self.hour_max, HOUR_S)


class QuotaFile(QuotaKeeper):
    """See `rustrak_core.quota.QuotaKeeper`. Threads share it; after a fork each process opens its own.

    Projects and categories that had something in this hour have a row each, of 16,384; should a row not be found for
    one more, only the quotas of the whole server hold for it.

    Args:
        path: The file, created if need be; None for memory of this process alone.
        quotas: How much there may be.

    Raises:
        ConfigurationError: *path* cannot be used; the text says why, and nothing was touched.
    """

    def __init__(self, path: Path | None, quotas: Quotas) -> None:
        self._quotas = quotas
        self._fd = None if path is None else _opened(path)
        self._locked = _Lock(self._fd)
        self._map = mmap.mmap(-1, _SIZE) if self._fd is None else mmap.mmap(self._fd, _SIZE)
        self._view = memoryview(self._map).cast("Q")
        self._known: dict[tuple[int, str], tuple[_Row, ...]] = {}

    def take(self, project_id: ProjectId, wanted: Mapping[str, int], now: datetime) -> Taken:
        """See `rustrak_core.quota.QuotaKeeper.take`."""
        now_s, view = now.timestamp(), self._view
        granted: dict[str, int] = {}
        limits: list[RateLimit] = []
        with self._locked:
            for category, quantity in wanted.items():
                rows = self._turned(project_id, category, now_s)
                cells = [(at + 1, most, window_s, row.scope) for row in rows for at, most, window_s in row.cells()]
                left = min((most - view[at] for at, most, _, _ in cells), default=quantity)
                granted[category] = part = max(0, min(quantity, left))
                for at, most, window_s, scope in cells:
                    view[at] += part
                    if view[at] >= most:
                        limits.append(used_up(category, scope=scope, window_s=window_s, now_s=now_s))
        return Taken(granted, tuple(limits))

    def take_freely(self, project_id: ProjectId, wanted: Mapping[str, int], now: datetime) -> bool:
        """See `rustrak_core.quota.QuotaKeeper.take_freely`. Most requests come here; it costs 4 microseconds."""
        now_s, view = now.timestamp(), self._view
        minute, hour = int(now_s) // MINUTE_S, int(now_s) // HOUR_S
        places: list[tuple[int, int]] = []
        with self._locked:
            for category, quantity in wanted.items():
                rows = self._known.get((project_id, category), ())
                if not rows:
                    rows = self._turned(project_id, category, now_s)
                for at, owner, code, _, minute_max, hour_max in rows:
                    if view[at] != owner or view[at + 1] != code or view[at + 2] != minute or view[at + 4] != hour:
                        self._turned(project_id, category, now_s)
                        if view[at] != owner or view[at + 1] != code:
                            return False  # the row was given to another; `take` finds a new one
                    if view[at + 3] + quantity >= minute_max or view[at + 5] + quantity >= hour_max:
                        return False
                    places.append((at + 3, quantity))
            for at, quantity in places:
                view[at] += quantity
                view[at + 2] += quantity
        return True

    def give_back(self, project_id: ProjectId, counted: Mapping[str, int], now: datetime) -> None:
        """See `rustrak_core.quota.QuotaKeeper.give_back`."""
        now_s, view = now.timestamp(), self._view
        with self._locked:
            for category, quantity in counted.items():
                for row in self._find(project_id, category, now_s):
                    for at, _, window_s in row.cells():
                        if view[at] == int(now_s // window_s):
                            view[at + 1] = max(0, view[at + 1] - quantity)

    def close(self) -> None:
        """Release memory and file; the counts stay in the file."""
        with self._locked.threads:
            self._view.release()
            self._map.close()
            if self._fd is not None:
                os.close(self._fd)

    def _turned(self, project_id: int, category: str, now_s: float) -> tuple[_Row, ...]:
        """Return the rows that quotas of *category* stand against, in their present windows."""
        rows = self._find(project_id, category, now_s)
        for row in rows:
            for at, _, window_s in row.cells():
                self._turn(at, window_s, now_s)
        return rows

    def _find(self, project_id: int, category: str, now_s: float) -> tuple[_Row, ...]:
        quotas, code, view = self._quotas, _CODES.get(category), self._view
        if code is None:
            return ()
        known = self._known.get((project_id, category))
        if known is not None and all(view[row.at] == row.owner and view[row.at + 1] == row.code for row in known):
            return known
        rows = []
        for owner, scope, minute, hour in (
            (project_id, "project", quotas.project_minute.of(category), quotas.project_hour.of(category)),
            (_SERVER, "organization", quotas.server_minute.of(category), quotas.server_hour.of(category)),
        ):
            at = None if minute is None and hour is None else self._place(owner, code, now_s)
            if at is not None:
                rows.append(_Row(at, owner, code, scope, minute or _NO_QUOTA, hour or _NO_QUOTA))
                self._turn(at + _MINUTE, MINUTE_S, now_s)  # else the next search might take it for a free one
                self._turn(at + _HOUR, HOUR_S, now_s)
        if len(self._known) >= _ROWS:
            self._known.clear()
        self._known[project_id, category] = found = tuple(rows)
        return found

    def _turn(self, at: int, window_s: int, now_s: float) -> None:
        """Set the count behind *at* to nothing if the window that is noted there is not the present one.

        A process that read its clock just before the window's end counts to the new one, if another has begun that; a
        window further ahead is of a clock that was set back since.
        """
        window, known = int(now_s // window_s), self._view[at]
        if known < window or known * window_s - now_s > _SKEW_S:
            self._view[at + 1] = 0
            self._view[at] = window

    def _place(self, owner: int, code: int, now_s: float) -> int | None:
        """Return where the row is, in words: the owner's, else one that is free or has had nothing for an hour."""
        view, free = self._view, None
        for probe in range(_PROBES):
            at = 1 + (owner * 31 + code + probe) % _ROWS * _WORDS
            if view[at] == owner and view[at + 1] == code:
                return at
            empty = not view[at + 1]
            if free is None and (empty or view[at + _HOUR] < now_s // HOUR_S):
                free = at
            if empty:
                break
        if free is not None:
            view[free + 1] = 0
            for word in (_MINUTE, _MINUTE_COUNT, _HOUR, _HOUR_COUNT):
                view[free + word] = 0
            view[free] = owner
            view[free + 1] = code
        return free


class _Lock:
    """Excludes the threads of this process, and other processes where there is a file."""

    def __init__(self, fd: int | None) -> None:
        self.threads = threading.Lock()
        self._fd = fd

    def __enter__(self) -> None:
        self.threads.acquire()
        if self._fd is not None:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX)
            except BaseException:
                self.threads.release()
                raise

    def __exit__(self, *_: object) -> None:
        try:
            if self._fd is not None:
                fcntl.flock(self._fd, fcntl.LOCK_UN)
        finally:
            self.threads.release()


def _opened(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = f"the file of quotas {path} cannot be opened: {error.strerror}"
        raise ConfigurationError(f"{reason}; make it and its folder writable") from error
    try:
        with _Lock(fd):
            head, size = os.pread(fd, 8, 0), os.fstat(fd).st_size
            ours = head in (b"", bytes(8), _MAGIC)
            if ours:
                for at in range(size, _SIZE, 1 << 16):  # written now: a page without disk would kill a process later
                    os.pwrite(fd, bytes(min(1 << 16, _SIZE - at)), at)
                os.pwrite(fd, _MAGIC, 0)
    except OSError as error:
        os.close(fd)
        reason = f"the file of quotas {path} cannot be used: {error.strerror}"
        message = f"{reason}; it needs some free disk, and a file system that has locks (flock)"
        raise ConfigurationError(message) from error
    if not ours:
        os.close(fd)
        raise ConfigurationError(f"{path} is no file of quotas of this version; move it away")
    return fd
