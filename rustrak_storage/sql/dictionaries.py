"""The dictionaries of a database: read once by each process, and kept for ever.

What was packed with an older version stays as it is, so that none is ever changed or removed.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Row, insert, select, update

from rustrak_core.errors import StoreUnavailableError
from rustrak_storage.sql import schema
from rustrak_storage.sql.engine import Database, unreadable
from rustrak_storage.sql.payloads import Dictionary

_TABLE = schema.dictionary
_NUMBERED = "dictionaries"
"""The fact in rustrak_state that holds the highest number that was ever given to one."""

_TRAINING = "training"
"""The one that holds when a process began to train, in microseconds; 0 where none does."""

_TRAINS_AT_MOST = 60_000_000


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
            row = {"id": last + 1, "created_at": created_at, "checksum": checksum(content), "data": content}
            connection.execute(insert(_TABLE).values(row))
            _note(connection, _NUMBERED, last + 1)
            return True

        self._is_stale = True
        return self._database.write(work)

    @contextmanager
    def training(self, now: int) -> Iterator[bool]:
        """Give whether this process may train a dictionary: one at a time does, for that takes memory and a while.

        Whoever was killed at it is waited for no longer than a minute.

        Raises:
            StoreUnavailableError: the database cannot be reached.
        """
        is_ours = self._database.write(lambda connection: _claim(connection, now))
        try:
            yield is_ours
        finally:
            if is_ours:
                self._database.write(lambda connection: _note(connection, _TRAINING, 0))

    def examine(self, connection: Connection) -> None:
        """Return if every dictionary that payloads name is there, and as it was written.

        Raises:
            StoreUnavailableError: one is not; the text says what to restore.
        """
        for number, what in lost_dictionaries(connection):
            used = select(schema.payload.c.event).where(schema.payload.c.dictionary == number).limit(1)
            if connection.execute(used).first() is not None:
                raise StoreUnavailableError(
                    f"payloads of events cannot be read: dictionary {number}, with which they were packed, is {what} "
                    "the table rustrak_dictionary; restore that table from a copy of the database, and start again"
                )


def checksum(data: bytes) -> bytes:
    """Return the 16 bytes by which a dictionary is known to be as it was written."""
    return hashlib.blake2b(data, digest_size=16).digest()


def lost_dictionaries(connection: Connection) -> Iterator[tuple[int, str]]:
    """Yield the numbers of dictionaries that are missing or damaged, and which of it; few rows are read for that."""
    sound: dict[int, bool] = {}
    for row in connection.execute(select(_TABLE)):
        try:
            _dictionary(row)
        except StoreUnavailableError:
            sound[row.id] = False
        else:
            sound[row.id] = True
    given = connection.execute(select(schema.state.c.value).where(schema.state.c.name == _NUMBERED)).scalar() or 0
    for number in range(1, max(given, *sound, 0) + 1):
        if not sound.get(number, False):
            yield number, "damaged in" if number in sound else "missing from"


def _claim(connection: Connection, now: int) -> bool:
    table = schema.state
    query = select(table.c.value).where(table.c.name == _TRAINING).with_for_update()
    if abs(now - (connection.execute(query).scalar() or 0)) < _TRAINS_AT_MOST:
        return False
    _note(connection, _TRAINING, now)
    return True


def _note(connection: Connection, name: str, value: int) -> None:
    """Keep a fact; of two that come first with one at once, one fails for the key, and does it again."""
    table = schema.state
    if not connection.execute(update(table).where(table.c.name == name).values(value=value)).rowcount:
        connection.execute(insert(table).values(name=name, value=value))


def _dictionary(row: Row[tuple[int, int, bytes | None, bytes]]) -> Dictionary:
    data = bytes(row.data)
    with unreadable(f"dictionary {row.id}"):
        if row.checksum is not None and bytes(row.checksum) != checksum(data):
            raise ValueError("not what was written")
        return Dictionary.of(row.id, row.created_at, data)
