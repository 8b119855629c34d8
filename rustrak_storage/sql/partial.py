"""The mark of a database into which a store is being copied: until all of it is there, nobody uses it."""

from sqlalchemy import Connection, delete, insert, select

from rustrak_core.errors import SchemaError
from rustrak_storage.sql import schema

_TABLE = schema.state
_COPYING = "copying"
"""The fact in rustrak_state that holds the number of the copy that is under way."""


def copy_under_way(connection: Connection, *, lock: bool = False) -> int | None:
    """Return the number of the copy that was begun and not completed; None where there is none."""
    query = select(_TABLE.c.value).where(_TABLE.c.name == _COPYING)
    return connection.execute(query.with_for_update() if lock else query).scalar()


def refuse_partial(connection: Connection) -> None:
    """Return if the database is whole.

    Raises:
        SchemaError: it is a copy that was not completed.
    """
    if copy_under_way(connection) is not None:
        raise SchemaError(
            "the database is a copy that is not complete; wait for `rustrak db copy` where it still runs, else run it "
            "again, which begins anew, or use another database"
        )


def mark_partial(connection: Connection, number: int) -> None:
    """Note that copy *number* is under way, in place of any other."""
    mark_whole(connection)
    connection.execute(insert(_TABLE).values(name=_COPYING, value=number))


def mark_whole(connection: Connection) -> None:
    """Note that no copy is under way."""
    connection.execute(delete(_TABLE).where(_TABLE.c.name == _COPYING))


def is_mark(name: str) -> bool:
    """Tell whether a fact of that name is the mark."""
    return name == _COPYING
