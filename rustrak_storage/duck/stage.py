"""Where rows wait, as Parquet, until an export is whole."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb

from rustrak_storage.duck.errors import writing
from rustrak_storage.duck.lines import events_in
from rustrak_storage.duck.rows import line_of
from rustrak_storage.duck.schema import Column, Table, columns_sql
from rustrak_storage.interrupting import executed

PARQUET = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, STRING_DICTIONARY_PAGE_SIZE_LIMIT 250_000"
"""How files are written. Payloads differ, and to find that out from a longer dictionary of them takes time."""

PARTED = f"{PARQUET}, PARTITION_BY (day, project_id), FILENAME_PATTERN 'part-{{uuid}}', OVERWRITE_OR_IGNORE"
APART = "apart-"
"""How folders begin in which other processes have stages of theirs."""

STAGED = 10_000
"""So many events at a time are put into files, those of an issue side by side."""

_WORTH = 500
"""So many lines of a day and project are worth a statement of their own."""

_LINES_BYTES = 64 * 1024 * 1024
_LINE_BYTES = 64 * 1024 * 1024
_WRITE_BYTES = 1024 * 1024
"""So much is written at once, for the other thread waits for this one at each write."""

_Line = tuple[int, bytes]
"""The issue of an event, and its line."""


class Stage:
    """A folder of events, in Parquet files by day and project, and of other rows, each kind in a file of its own."""

    def __init__(self, folder: Path, connection: duckdb.DuckDBPyConnection) -> None:
        """Use an empty *folder*; *connection* does the work, and stays the caller's."""
        self.folder = folder
        self.events = 0
        self._connection = connection
        self._waiting: dict[str, list[_Line]] = {}
        self._lines = self._bytes = 0
        self._writer = ThreadPoolExecutor(1, "stage")
        self._written: Future[None] | None = None

    def add(self, events: Iterable[tuple[str, int, bytes]]) -> None:
        """Take lines of events, each behind its day and project, and its issue.

        See `rustrak_storage.duck.rows.event_line`.
        """
        for part, issue_id, line in events:
            self._waiting.setdefault(part, []).append((issue_id, line))
            self._lines += 1
            self._bytes += len(line)
            if self._lines >= STAGED or self._bytes >= _LINES_BYTES:
                self._hand_over()

    def flush(self) -> None:
        """Have all events that were taken in files."""
        self._hand_over()
        if self._written is not None:
            self._written.result()

    def close(self) -> None:
        """Let go of the thread that writes; what it has begun is finished first."""
        self._writer.shutdown()

    def _hand_over(self) -> None:
        """Have what waits written by the other thread, while this one goes on; one such batch waits at most."""
        if self._waiting:
            if self._written is not None:
                self._written.result()
            self._written = self._writer.submit(self._write, self._waiting)
            self.events += self._lines
            self._waiting, self._lines, self._bytes = {}, 0, 0

    def _write(self, parts: dict[str, list[_Line]]) -> None:
        few: list[_Line] = []
        with writing(f"a file in {self.folder}"), self._connection.cursor() as cursor:
            cursor.execute("SET enable_progress_bar = false")  # DuckDB takes a spawned process for a notebook
            for part, lines in parts.items():
                if len(lines) < _WORTH:
                    few += lines
                    continue
                place = self.folder / "events" / part
                place.mkdir(parents=True, exist_ok=True)
                # DuckDB's own parting costs as much again, and a batch is mostly of one day and few projects.
                bare = "SELECT * EXCLUDE (day, project_id) FROM ({rows})"
                self._copy(cursor, lines, bare, f"{quoted(place / f'part-{uuid4()}.parquet')} ({PARQUET})")
            if few:
                self._copy(cursor, few, "{rows}", f"{quoted(self.folder / 'events')} ({PARTED})")

    def _copy(self, cursor: duckdb.DuckDBPyConnection, found: list[_Line], query: str, goal: str) -> None:
        # Events of an issue are alike: side by side, they take half the room, and less time to pack.
        lines = [line for _issue_id, line in sorted(found, key=itemgetter(0))]
        file = self.folder / "events.lines"
        with file.open("wb", _WRITE_BYTES) as opened:
            opened.writelines(lines)
        cursor.execute(f"COPY ({query.format(rows=events_in(file, max(map(len, lines))))}) TO {goal}")
        file.unlink()

    def files(self) -> list[Path]:
        """Return the files of events, those of other processes among them, by day and project."""
        own = self.folder.glob("events/*/*/*.parquet")
        apart = self.folder.glob(f"{APART}*/events/*/*/*.parquet")
        return sorted((*own, *apart), key=lambda file: file.parts[-3:])

    def load(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Make *rows* a table of the connection, of that name and these columns."""
        lines = self.folder / f"{table.name}.ndjson"
        with writing(f"a file in {self.folder}"):
            with lines.open("wb") as file:
                file.writelines(map(line_of, rows))
            executed(self._connection, f"CREATE OR REPLACE TEMP TABLE {table.name} AS {_select(table, lines)}")
            lines.unlink()


def _select(table: Table, lines: Path) -> str:
    """Return the query for rows of *table* that a file of JSON lines holds."""
    moments = {column.name: "BIGINT" for column in table.columns if column.type == "TIMESTAMP"}
    columns = columns_sql(table.columns, typed=moments)
    source = (
        f"read_json({quoted(lines)}, format = 'newline_delimited', columns = {columns}, "
        f"maximum_object_size = {_LINE_BYTES})"
    )
    return f"SELECT {', '.join(map(_expression, table.columns))} FROM {source}"


def _expression(column: Column) -> str:
    return f'make_timestamp("{column.name}") AS "{column.name}"' if column.type == "TIMESTAMP" else f'"{column.name}"'


def quoted(path: object) -> str:
    """Return *path* as a string of SQL."""
    return "'" + str(path).replace("'", "''") + "'"


def quoted_list(paths: Iterable[object]) -> str:
    """Return *paths* as a list of SQL."""
    return "[" + ", ".join(map(quoted, paths)) + "]"
