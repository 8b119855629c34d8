"""Where an export goes: what a folder and a file have in common."""

from pathlib import Path
from typing import Protocol

import duckdb

from rustrak_storage.duck.about import About
from rustrak_storage.duck.errors import DatasetError
from rustrak_storage.duck.schema import Column, Table
from rustrak_storage.duck.stage import Stage

MOVED = Table(
    "moved",
    "Events that were filed anew: in another issue, or by another key.",
    (
        Column("number", "BIGINT", ""),
        Column("issue_id", "BIGINT", ""),
        Column("mechanism", "VARCHAR", ""),
        Column("grouping_key", "VARCHAR", ""),
    ),
)
GONE = Table("gone", "Events that are there no more.", (Column("number", "BIGINT", ""),))
MOVED_SQL = (
    "SELECT e.* REPLACE (coalesce(m.issue_id, e.issue_id) AS issue_id, "
    "coalesce(m.mechanism, e.mechanism) AS mechanism, "
    "coalesce(m.grouping_key, e.grouping_key) AS grouping_key) "
    "FROM ({events}) AS e LEFT JOIN moved AS m USING (number) "
    "WHERE e.number NOT IN (FROM gone) AND coalesce(m.issue_id, e.issue_id) IN (SELECT id FROM new_issues)"
)
"""Events as they are now: moved and gone are tables of these names, new_issues the issues that there are."""


_PATTERN = "?\\"
_PARTITIONS = ("day=", "project_id=")


def check_place(path: Path) -> None:
    """Return if DuckDB can be made to write at *path*, in which it sees patterns, and folders that are columns.

    Raises:
        DatasetError: it cannot.
    """
    if any(sign in str(path) for sign in _PATTERN) or any(part.startswith(_PARTITIONS) for part in path.parts):
        raise DatasetError(f"{path} has a ?, a \\, or a folder named as in day=, which DuckDB would read; name another")


class Target(Protocol):
    """A dataset that is being exported to, and by nobody else meanwhile.

    Attributes:
        path: What the user calls it.
        about: What it is so far; None where it is new.
        work: A folder of its own, empty, that goes in the end.
        connection: In it, ``kept`` are the events so far, and ``known_projects`` the projects.
    """

    path: Path
    about: About | None
    work: Path
    connection: duckdb.DuckDBPyConnection

    def commit(self, stage: Stage, about: About) -> int:
        """Make the dataset what *about* says, all at once: take what is staged and loaded, and leave out what is gone.

        The connection has the tables ``moved``, ``gone``, ``new_issues`` and ``new_projects``.

        Returns:
            How many events it has then.
        """
        ...

    def close(self) -> None:
        """Leave it to others; without a commit, it is as it was."""
        ...
