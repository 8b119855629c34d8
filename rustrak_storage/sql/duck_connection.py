"""Connections to DuckDB as DB-API wants them: cursors that do not disturb one another, and transactions that are told.

The driver's own cursors are connections, each with a transaction of its own, and have one result at a time. Here a
cursor fetches its whole result at once, so that several can be read side by side in one transaction. A Ctrl-C ends
what a command's main thread has asked for.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import duckdb

from rustrak_storage.interrupting import interruptible_if_heeded

_CHANGES = ("INSERT", "UPDATE", "DELETE", "MERGE")


class DuckConnection:
    """A connection, of one thread at a time."""

    def __init__(self, inner: duckdb.DuckDBPyConnection) -> None:
        """Own the connection *inner*."""
        self._inner = inner
        self._is_in_transaction = False

    def cursor(self) -> "DuckCursor":
        """Return a cursor within this connection's transaction."""
        return DuckCursor(self._inner)

    def begin(self) -> None:
        """Begin a transaction, unless there is one."""
        if not self._is_in_transaction:
            interruptible_if_heeded(self._inner, self._inner.begin)
            self._is_in_transaction = True

    def commit(self) -> None:
        """Commit, if there is a transaction; where that fails, there is none any more either."""
        if self._is_in_transaction:
            self._is_in_transaction = False
            interruptible_if_heeded(self._inner, self._inner.commit)

    def rollback(self) -> None:
        """Undo what the transaction did, if there is one."""
        if self._is_in_transaction:
            self._is_in_transaction = False
            with suppress(duckdb.TransactionException):  # it is gone where DuckDB had to give it up
                interruptible_if_heeded(self._inner, self._inner.rollback)

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()


class DuckCursor:
    """The result of a statement, whole."""

    arraysize = 1
    lastrowid = None

    def __init__(self, inner: duckdb.DuckDBPyConnection) -> None:
        self._inner = inner
        self._rows: list[Any] = []
        self._next = 0
        self.description: list[Any] | None = None
        self.rowcount = -1

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Execute a statement and fetch what it returns."""
        interruptible_if_heeded(self._inner, lambda: self._execute(statement, parameters))

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Execute a statement once for each of *rows*."""
        interruptible_if_heeded(self._inner, lambda: self._inner.executemany(statement, rows))
        self.description, self._rows, self.rowcount = None, [], -1

    def _execute(self, statement: str, parameters: Sequence[Any]) -> None:
        self._inner.execute(statement, parameters or None)
        self._next = 0
        if statement.lstrip()[:6].upper().startswith(_CHANGES):
            self.description, self._rows = None, []
            counted = self._inner.fetchone()
            self.rowcount = -1 if counted is None else counted[0]
        else:
            self.description = self._inner.description
            self._rows = self._inner.fetchall()
            self.rowcount = len(self._rows)

    def fetchone(self) -> Any:
        """Return the next row, None where there is no more."""
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next rows, at most *size*."""
        rows = self._rows[self._next : self._next + (size or self.arraysize)]
        self._next += len(rows)
        return rows

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        rows = self._rows[self._next :]
        self._next = len(self._rows)
        return rows

    def close(self) -> None:
        """Forget the result."""
        self._rows = []
