"""A dataset that is read: SQL, and the stock questions."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

import duckdb

from rustrak_core.errors import UnknownIssueError, UnknownProjectError
from rustrak_storage.duck.about import About, Manifest, is_file
from rustrak_storage.duck.answer import Answer
from rustrak_storage.duck.errors import DatasetError, reading
from rustrak_storage.duck.file import check_kind, read_about
from rustrak_storage.duck.question import question
from rustrak_storage.duck.schema import ABOUT, BREADCRUMBS_VIEW, STORED
from rustrak_storage.duck.sources import rows_of
from rustrak_storage.duck.spill import spill_folder
from rustrak_storage.duck.statement import check_statement

_CLOSED_IN = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}

_opening = Lock()
"""Whoever opens a file that the process has open already shares its settings, which must be whole by then."""

_ISSUE = "SELECT id FROM issues WHERE short_id = upper($issue)"


class Dataset:
    """A dataset that `rustrak export` made, for reading; see the reference for its tables.

    What is asked of it can change nothing, and reach no file and no network beside it. Threads may share it.

        with Dataset.open("errors.duckdb") as dataset:
            for row in dataset.ask("top-issues", days=30).rows():
                print(row)

    Attributes:
        path: Where it is.
        about: What it is.
    """

    def __init__(self, path: Path, about: About, connection: duckdb.DuckDBPyConnection) -> None:
        """Use a connection that has its tables; `open` is how to get one."""
        self.path = path
        self.about = about
        self._connection = connection

    @classmethod
    def open(cls, path: str | Path) -> "Dataset":
        """Open the dataset at *path*, a folder or a ``.duckdb`` file.

        Raises:
            DatasetError: there is none, it is damaged or of a newer version, or an export has the file open.
        """
        path = Path(path).expanduser().absolute()
        with reading(str(path)):
            opened = _open_file if is_file(path) else _open_folder
            is_there = path.exists()
        if not is_there:
            raise DatasetError(f"there is no dataset at {path}; `rustrak export {path}` makes one")
        with _opening:
            about, connection = opened(path)
            with reading(str(path)):
                _close_in(connection)
        return cls(path, about, connection)

    def sql(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Answer one statement that reads, with *parameters* for ``$name`` in it.

        Raises:
            StatementError: it is wrong, or would do more than read the dataset.
        """
        check_statement(self._connection.cursor(), statement, parameters)
        return Answer(self._connection, statement, parameters)

    def ask(
        self,
        name: str,
        /,
        *,
        days: int | None = 30,
        until: datetime | None = None,
        project: str | None = None,
        limit: int = 20,
        **own: Any,
    ) -> Answer:
        """Answer a stock question; `rustrak_storage.duck.questions` has them all.

        Args:
            name: As in ``top-issues``.
            days: How many days back from *until*; None for all.
            until: The moment behind the last that counts, in UTC; when the dataset was exported, by default.
            project: Only this project, by its slug.
            limit: How many rows at most.
            own: What else the question takes.

        Raises:
            UnknownQuestionError: there is no such question; the text says which there are.
            InvalidInputError: it takes no such parameter, wants one that is not given, or cannot use its value.
            UnknownProjectError, UnknownIssueError: the dataset has no such project, or issue.
        """
        asked = question(name)
        given = asked.parameters(
            exported_at=self.about.exported_at, days=days, until=until, project=project, limit=limit, own=own
        )
        if project is not None and not self.sql("FROM projects WHERE slug = $slug", {"slug": project}).rows():
            raise unknown_project(self)
        if "issue" in given and not self.sql(_ISSUE, {"issue": given["issue"]}).rows():
            raise UnknownIssueError("the dataset has no such issue; `top-issues` shows their short ids")
        return Answer(self._connection, asked.sql, given)

    def close(self) -> None:
        """Close it; answers that were given cannot be read again."""
        self._connection.close()

    def __enter__(self) -> Self:
        """Return the dataset."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def unknown_project(dataset: Dataset) -> UnknownProjectError:
    """Return the error that says which projects *dataset* has."""
    slugs = [slug for (slug,) in dataset.sql("SELECT slug FROM projects ORDER BY slug").rows()]
    return UnknownProjectError(f"the dataset has no such project; it has {', '.join(slugs) or 'none'}")


def _open_file(path: Path) -> tuple[About, duckdb.DuckDBPyConnection]:
    with reading(str(path)):
        check_kind(path)
        connection = duckdb.connect(str(path), read_only=True, config=_config())
    try:
        return read_about(connection, path), connection
    except BaseException:
        connection.close()
        raise


def _open_folder(path: Path) -> tuple[About, duckdb.DuckDBPyConnection]:
    manifest = Manifest.read(path)
    files = {name: [path / file for file in names] for name, names in manifest.files.items()}
    with reading(str(path)):
        connection = duckdb.connect(config=_config())
        everything = [str(file) for several in files.values() for file in several]
        connection.execute("SET allowed_paths = ?", [everything])
        for table in STORED:
            rows = rows_of(table.of_version(manifest.about.version), files[table.name])
            connection.execute(f"CREATE VIEW {table.name} AS {rows}")
        connection.execute(f"CREATE TABLE {ABOUT.name} ({ABOUT.declaration()})")
        connection.execute("INSERT INTO about VALUES (?, ?, ?, ?, ?, ?, ?)", manifest.about.row())
        connection.execute(BREADCRUMBS_VIEW)
    return manifest.about, connection


def _close_in(connection: duckdb.DuckDBPyConnection) -> None:
    """Let statements reach nothing else, for good; a file that the process has open already is closed in."""
    ((is_closed_in,),) = connection.execute("SELECT current_setting('lock_configuration')").fetchall()
    if not is_closed_in:
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")


def _config() -> dict[str, Any]:
    return {**_CLOSED_IN, "temp_directory": spill_folder()}
