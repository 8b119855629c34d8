"""The dictionaries of a database: read once by each process, kept for ever, and trained from what is recorded.

A recorder sets aside some of the payloads that it sees, and from time to time trains a dictionary from them. It is kept
as a new version only where it packs others of them a good deal smaller than the version in use does. What was packed
with an older one stays as it is, so that no version is ever changed or removed.
"""

import contextlib
import threading
from collections.abc import Sequence

from sqlalchemy import Connection, Row, insert, select

from rustrak_core.errors import RustrakError, StoreUnavailableError
from rustrak_storage.filing import Filed
from rustrak_storage.sql import payloads, schema
from rustrak_storage.sql.contents import content_of
from rustrak_storage.sql.engine import Database, unreadable
from rustrak_storage.sql.payloads import Dictionary

_TABLE = schema.dictionary
_STEPS = (1, 31, 127)
"""Every how-manieth payload is a sample: all of the first, then fewer. Primes, so that kinds that take turns come."""

_SAMPLES = 500
"""How many are trained from, some 2 MB and a tenth of a second."""

_TESTED = 5
"""Every how-manieth sample is not trained from, but tells how good the dictionary is."""

_SAMPLE_BYTES = 32 * 1024
_WORTH = 0.9
"""A new version must need at most so much of the room that the one in use needs."""


class Dictionaries:
    """The dictionaries of a database. Thread-safe."""

    def __init__(self, database: Database) -> None:
        """Read them from *database*, when first needed."""
        self._database = database
        self._known: dict[int, Dictionary] = {}
        self._newest: Dictionary | None = None
        self._is_stale = True

    def get(self, connection: Connection, number: int, *, anew: bool = False) -> Dictionary:
        """Return dictionary *number*; *anew* asks the database also where it is known.

        Raises:
            StoreUnavailableError: the database holds no such dictionary.
        """
        if anew or number not in self._known:
            row = connection.execute(select(_TABLE).where(_TABLE.c.id == number)).one_or_none()
            if row is None:
                raise StoreUnavailableError(
                    f"an event's payload cannot be read: dictionary {number}, with which it was packed, is missing "
                    "from the table rustrak_dictionary; restore that table from a copy of the database"
                )
            self._known[number] = _dictionary(row)
        return self._known[number]

    def newest(self) -> Dictionary | None:
        """Return the dictionary to pack with, None where there is none yet.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        if self._is_stale:
            self._is_stale = False
            try:
                with self._database.reading() as connection:
                    row = connection.execute(select(_TABLE).order_by(_TABLE.c.id.desc()).limit(1)).one_or_none()
            except BaseException:
                self._is_stale = True
                raise
            try:
                self._newest = None if row is None else _dictionary(row)
            except StoreUnavailableError:  # a damaged one must not keep events from being recorded
                self._newest = None
        return self._newest

    def holds(self, connection: Connection, used: Dictionary | None) -> bool:
        """Tell whether the database holds what payloads were packed with: it may have been restored from a copy.

        Where it holds a newer one, or not this one, `newest` looks again.
        """
        since = 0 if used is None else used.number
        query = select(_TABLE.c.id, _TABLE.c.created_at).where(_TABLE.c.id >= since).order_by(_TABLE.c.id)
        found = [tuple(row) for row in connection.execute(query)]
        expected = [] if used is None else [(used.number, used.created_at)]
        if found != expected:
            self._is_stale = True
        return found[: len(expected)] == expected

    def add(self, content: bytes, created_at: int, *, after: Dictionary | None) -> bool:
        """Keep a new version behind the one that was in use; return False where another process was quicker.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        last = 0 if after is None else after.number

        def work(connection: Connection) -> bool:
            newest = connection.execute(select(_TABLE.c.id).order_by(_TABLE.c.id.desc()).limit(1)).scalar() or 0
            if newest != last:
                return False
            # Of two that come to this at once, one fails for the key, and finds the other's when it tries again.
            connection.execute(insert(_TABLE).values(id=last + 1, created_at=created_at, data=content))
            return True

        self._is_stale = True
        return self._database.write(work)


class Trainer:
    """Trains dictionaries from what is recorded. Thread-safe: one thread at a time, the others go on without."""

    def __init__(self, dictionaries: Dictionaries) -> None:
        """Keep what was trained in *dictionaries*."""
        self._dictionaries = dictionaries
        self._working = threading.Lock()
        self._samples: list[bytes] = []
        self._seen = 0
        self._round = 0

    def learn(self, recorded: Sequence[Filed], used: Dictionary | None) -> None:
        """Take samples of *recorded* and, where there are enough, train; nothing that goes wrong here costs a batch.

        Args:
            recorded: Events that were recorded.
            used: What their contents were packed with.
        """
        if not recorded or not self._working.acquire(blocking=False):
            return
        try:
            step = _STEPS[self._round]
            chosen = recorded[-self._seen % step :: step][: _SAMPLES - len(self._samples)]
            self._samples += [content_of(event)[:_SAMPLE_BYTES] for event in chosen]
            self._seen += len(recorded)
            if len(self._samples) >= _SAMPLES:
                self._train(used, recorded[-1].received_at)
        finally:
            self._working.release()

    def _train(self, used: Dictionary | None, now: int) -> None:
        tested = self._samples[::_TESTED]
        samples = [content for index, content in enumerate(self._samples) if index % _TESTED]
        self._samples, self._seen = [], 0
        self._round = min(self._round + 1, len(_STEPS) - 1)
        content = payloads.train(samples)
        if content is None:
            return
        before = payloads.packed_bytes(tested, None if used is None else used.data.dict_content)
        if payloads.packed_bytes(tested, content) <= before * _WORTH:
            with contextlib.suppress(RustrakError):  # the batch is recorded; a later one trains again
                self._dictionaries.add(content, now, after=used)


def _dictionary(row: Row[tuple[int, int, bytes]]) -> Dictionary:
    with unreadable(f"dictionary {row.id}"):
        return Dictionary.of(row.id, row.created_at, bytes(row.data))
