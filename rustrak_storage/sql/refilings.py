"""Notes that a project's events were filed anew, by which exports see that keys changed without reading all of them."""

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from rustrak_core.project import ProjectId
from rustrak_storage.sql import schema

_TABLE = schema.state
_PREFIX = "refiled/"
"""Facts in rustrak_state whose names begin so hold a number for the project that follows."""

_OURS = (_TABLE.c.name >= _PREFIX, _TABLE.c.name < _PREFIX[:-1] + chr(ord(_PREFIX[-1]) + 1))


def refilings(connection: Connection) -> dict[ProjectId, int]:
    """Return the numbers of all projects that have one."""
    rows = connection.execute(select(_TABLE.c.name, _TABLE.c.value).where(*_OURS))
    return {ProjectId(int(name.removeprefix(_PREFIX))): value for name, value in rows}


def note_refiling(connection: Connection, project: int, now: int) -> None:
    """Give a project, which is locked, another number than it ever had.

    The time makes it another one also where a store was put back to what it was before.
    """
    known = connection.execute(select(_TABLE.c.value).where(_of(project))).scalar()
    if known is None:
        connection.execute(insert(_TABLE).values(name=f"{_PREFIX}{project}", value=now))
    else:
        connection.execute(update(_TABLE).where(_of(project)).values(value=max(now, known + 1)))


def forget_refilings(connection: Connection, project: int) -> None:
    """Remove the number of a project that was deleted."""
    connection.execute(delete(_TABLE).where(_of(project)))


def _of(project: int) -> ColumnElement[bool]:
    return _TABLE.c.name == f"{_PREFIX}{project}"
