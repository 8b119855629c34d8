"""Contents of payload rows, read: of one event whole, of many events their details."""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Connection, select

from rustrak_core.errors import StoreUnavailableError
from rustrak_storage.sql import payloads, schema
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.contents import Details, details_of
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.engine import unreadable

_TABLE = schema.payload


def read_details(
    connection: Connection, dictionaries: Dictionaries, numbers: Collection[int]
) -> Iterator[tuple[int, Details]]:
    """Yield the details of the events with those *numbers* (``rustrak_event.id``), each behind its number, in no order.

    What an event adds to facets is `rustrak_core.digested.facets_of` of its details and columns. An event costs some
    15 microseconds, for its payload is unpacked but not parsed.

    Raises:
        StoreUnavailableError: one of them cannot be read, and why.
    """
    columns = (_TABLE.c.event, _TABLE.c.codec, _TABLE.c.dictionary, _TABLE.c.data)
    for chunk in chunks(numbers):
        for row in connection.execute(select(*columns).where(_TABLE.c.event.in_(chunk))):
            content = unpacked(connection, dictionaries, row)
            with unreadable("an event's details"):
                details = details_of(content)
            yield row.event, details


def unpacked(connection: Connection, dictionaries: Dictionaries, row: Any) -> bytes:
    """Return the content that a payload's *row* holds (its codec, dictionary and data).

    Raises:
        StoreUnavailableError: it is missing or cannot be read, or its dictionary.
    """
    return unpacked_of(connection, dictionaries, row.codec, row.dictionary, row.data)


def unpacked_of(
    connection: Connection, dictionaries: Dictionaries, codec: str | None, dictionary: int | None, data: bytes
) -> bytes:
    """Return what `unpacked` does, of the parts of a row."""
    if codec is None:
        raise StoreUnavailableError("an event's row in rustrak_payload is missing; restore it from a copy")
    if dictionary is None:
        with unreadable("an event's payload"):
            return payloads.decode(codec, data)
    try:
        return payloads.decode(codec, data, dictionaries.get(connection, dictionary))
    except ValueError:
        # Perhaps the database was restored from a copy since, and the dictionary of that number is another.
        found = dictionaries.get(connection, dictionary, anew=True)
        with unreadable("an event's payload"):
            return payloads.decode(codec, data, found)
