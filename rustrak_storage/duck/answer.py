"""What was asked for, in whichever shape the asker's libraries take."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

import duckdb

from rustrak_storage.duck.errors import MissingLibraryError, StatementError, first_line, reason
from rustrak_storage.interrupting import interruptible

T = TypeVar("T")


class Answer:
    """The rows that a statement gives. Each call gives all of them, anew.

    Attributes:
        columns: Their names, in order.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, statement: str, parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Ask; *connection* stays the caller's, and open as long as the answer is used.

        Raises:
            StatementError: the statement is wrong, or fails.
        """
        self._cursor = connection.cursor()
        self._statement = statement
        self._parameters = dict(parameters or {})
        self._ready: duckdb.DuckDBPyRelation | None = self._relation()
        self.columns: list[str] = list(self._ready.columns)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows as tuples; times are naive and UTC."""
        return self._run(lambda relation: relation.fetchall())

    def pages(self, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows as `rows` gives them, up to *size* at a time, as they are worked out: memory holds few."""
        with _told(), self._cursor.cursor() as cursor:  # of its own, which holds what is under way
            result = interruptible(cursor, lambda: cursor.execute(self._statement, self._parameters or None))
            while page := interruptible(cursor, lambda: result.fetchmany(size)):
                yield page

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows as dictionaries.

        Raises:
            StatementError: two columns have one name.
        """
        names = self.names()
        return [dict(zip(names, row, strict=True)) for row in self.rows()]

    def names(self) -> list[str]:
        """Return the columns as the keys of dictionaries.

        Raises:
            StatementError: two have one name, so that one would be lost.
        """
        twice = next((name for name in self.columns if self.columns.count(name) > 1), None)
        if twice is not None:
            raise StatementError(f"two columns are named {twice}; name one otherwise, as in SELECT a, a AS b")
        return self.columns

    def arrow(self) -> Any:
        """Return a `pyarrow.Table`.

        Raises:
            MissingLibraryError: pyarrow is not installed.
        """
        with _needing("an Arrow table", "pyarrow"):
            return self._run(lambda relation: relation.to_arrow_table())

    def pandas(self) -> Any:
        """Return a `pandas.DataFrame`.

        Raises:
            MissingLibraryError: pandas is not installed.
        """
        with _needing("a pandas frame", "pandas"):
            return self._run(lambda relation: relation.df())

    def polars(self) -> Any:
        """Return a `polars.DataFrame`.

        Raises:
            MissingLibraryError: polars, or pyarrow that takes rows to it, is not installed.
        """
        with _needing("a polars frame", "polars", "pyarrow"):
            return self._run(lambda relation: relation.pl())

    def _run(self, work: Callable[[duckdb.DuckDBPyRelation], T]) -> T:
        # Whether there is one is not asked of the relation itself: it would work out all its rows to count them.
        relation, self._ready = self._relation() if self._ready is None else self._ready, None
        with _told():
            return interruptible(self._cursor, lambda: work(relation))

    def _relation(self) -> duckdb.DuckDBPyRelation:
        with _told():
            return interruptible(
                self._cursor, lambda: self._cursor.sql(self._statement, params=self._parameters or None)
            )


@contextmanager
def _told() -> Iterator[None]:
    """Turn what DuckDB says of a statement into ours."""
    try:
        yield
    except duckdb.Error as error:
        raise StatementError(reason(error) if isinstance(error, duckdb.IOException) else first_line(error)) from error


@contextmanager
def _needing(what: str, *libraries: str) -> Iterator[None]:
    """Look for *libraries* first, which have the names by which they are installed."""
    for library in libraries:
        if find_spec(library) is None:
            raise MissingLibraryError(what, " ".join(libraries))
    yield
