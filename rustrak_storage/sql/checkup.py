"""Looking whether a database is as it must be, changing nothing."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, Select, func, select

from rustrak_core.errors import SchemaError, StoreUnavailableError
from rustrak_storage.sql import schema
from rustrak_storage.sql.contents import details_of
from rustrak_storage.sql.details import unpacked
from rustrak_storage.sql.dictionaries import Dictionaries, lost_dictionaries
from rustrak_storage.sql.engine import Database, unreadable
from rustrak_storage.sql.invariants import INVARIANTS
from rustrak_storage.sql.migrate import HEAD, check, version
from rustrak_storage.upkeep import Bar, Checked, Finding

_EVENT = schema.event
_PAYLOAD = schema.payload
_TOLD: Final = 20
"""How many findings of one check are told."""

_WANTED: Final = _TOLD + 1
"""How many are looked for, so that it is known whether there are more."""

_ROWS: Final = 50
"""How many payloads are in memory at a time; each may be a megabyte."""

_RESTORE: Final = "restore it from a copy of the database"
_REPORT: Final = "report it with this output, or restore a copy of the database"


def check_up(database: Database, *, payloads: int | None, bar: Bar) -> Checked:
    """Look at a database in one moment of it.

    Args:
        database: The one to look at.
        payloads: How many payloads are read, spread over all; None for every one.
        bar: Shows how far it has come.

    Raises:
        StoreUnavailableError: the database cannot be reached.
    """
    with database.reading(snapshot=True) as connection:
        found = version(connection)
        try:
            check(connection)
        except SchemaError as error:
            return Checked(schema=found, newest=HEAD, looked_at={}, findings=[_of_schema(str(error))])
        findings: list[Finding] = []
        cut: list[str] = []
        for name, some in _checks(connection, database, payloads=payloads, bar=bar):
            told = list(islice(some, _WANTED))
            findings += told[:_TOLD]
            if len(told) > _TOLD:
                cut.append(name)
        return Checked(schema=found, newest=HEAD, looked_at=_rows(connection, payloads), findings=findings, cut=cut)


def _checks(
    connection: Connection, database: Database, *, payloads: int | None, bar: Bar
) -> Iterator[tuple[str, Iterator[Finding]]]:
    with bar("Looking at rows", len(INVARIANTS) + 2) as advance:
        if payloads is None and database.is_sqlite:
            yield "file", _file(connection)
        advance(1)
        yield "dictionaries", _dictionaries(connection)
        advance(1)
        for name, (ask, meaning) in INVARIANTS.items():
            yield (
                name,
                (Finding(check=name, found=text, todo=f"{meaning}; {_REPORT}") for text in ask(connection, _WANTED)),
            )
            advance(1)
    yield "payloads", _payloads(connection, Dictionaries(database), payloads, bar)


def _of_schema(text: str) -> Finding:
    found, _, todo = text.partition("; ")
    return Finding(check="schema", found=found, todo=todo or "see the beginning")


def _file(connection: Connection) -> Iterator[Finding]:
    """SQLite finds its own file sound, its indexes too."""
    for (text,) in connection.exec_driver_sql(f"PRAGMA integrity_check({_WANTED})"):
        if text != "ok":
            todo = "restore a copy of the file, or try the `.recover` of the sqlite3 command"
            yield Finding(check="file", found=f"the SQLite file is damaged: {text}", todo=todo)


def _dictionaries(connection: Connection) -> Iterator[Finding]:
    for number, what in lost_dictionaries(connection):
        used = select(_PAYLOAD.c.event).where(_PAYLOAD.c.dictionary == number).limit(1)
        if connection.execute(used).first() is not None:
            found = f"dictionary {number}, with which payloads of events were packed, is {what} rustrak_dictionary"
            yield Finding(check="dictionaries", found=found, todo=f"without it they cannot be read; {_RESTORE}")


def _payloads(connection: Connection, dictionaries: Dictionaries, payloads: int | None, bar: Bar) -> Iterator[Finding]:
    rows = (
        select(
            _EVENT.c.id, _EVENT.c.event_id, _PAYLOAD.c.codec, _PAYLOAD.c.dictionary, _PAYLOAD.c.size, _PAYLOAD.c.data
        )
        .join(_PAYLOAD, _PAYLOAD.c.event == _EVENT.c.id)
        .order_by(_EVENT.c.id)
    )
    first, last, count = connection.execute(select(func.min(_EVENT.c.id), func.max(_EVENT.c.id), func.count())).one()
    if not count:
        return
    wanted = count if payloads is None else min(payloads, count)
    pages = _all(connection, rows) if wanted == count else _spread(connection, rows, first, last, wanted)
    with bar("Reading payloads", wanted) as advance:
        for page in pages:
            for row in page:
                lacks = _unreadable(connection, dictionaries, row)
                if lacks is not None:
                    found = f"the payload of event {bytes(row.event_id).hex()} cannot be read: {lacks}"
                    yield Finding(check="payloads", found=found, todo=f"other events are not affected; {_RESTORE}")
            advance(len(page))


def _all(connection: Connection, rows: Select[Any]) -> Iterator[Any]:
    last = 0
    while page := connection.execute(rows.where(_EVENT.c.id > last).limit(_ROWS)).all():
        yield page
        last = page[-1].id


def _spread(connection: Connection, rows: Select[Any], first: int, last: int, wanted: int) -> Iterator[Any]:
    """Yield so many rows from all parts of the table, some that follow one another at a time, and none twice."""
    groups = max(wanted // _ROWS, 1)
    step = max((last - first + 1) // groups, 1)
    behind = first - 1
    for group in range(groups):
        start = max(behind, first - 1 + group * step)
        page = connection.execute(rows.where(_EVENT.c.id > start).limit(-(-wanted // groups))).all()
        if page:
            behind = page[-1].id
            yield page


def _unreadable(connection: Connection, dictionaries: Dictionaries, row: Any) -> str | None:
    """Return why a payload cannot be read; None where it can."""
    try:
        content = unpacked(connection, dictionaries, row)
        with unreadable("its details"):
            details_of(content)
    except StoreUnavailableError as error:
        return str(error)
    line = content.find(b"\n")
    there = 0 if line < 0 else len(content) - line - 1
    return None if there == row.size else f"it has {there:,} bytes, and had {row.size:,}"


def _rows(connection: Connection, payloads: int | None) -> dict[str, int]:
    """Return how many rows there are of what people know."""
    tables: Iterable[tuple[str, Any]] = (
        ("projects", schema.project),
        ("issues", schema.issue),
        ("grouping_keys", schema.grouping_key),
        ("events", _EVENT),
    )
    rows = {name: connection.execute(select(func.count()).select_from(table)).scalar_one() for name, table in tables}
    return rows | {"payloads": rows["events"] if payloads is None else min(payloads, rows["events"])}
