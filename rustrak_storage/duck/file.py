"""A dataset as one DuckDB file. An export is one transaction; a new file gets its name once it is whole."""

import os
import shutil
from pathlib import Path

import duckdb

from rustrak_storage.duck.about import About, check_version
from rustrak_storage.duck.errors import DatasetError, reading, writing
from rustrak_storage.duck.schema import ABOUT, BREADCRUMBS_VIEW, EVENTS, FORMAT, ISSUES, PROJECTS, STORED, TAG_DAYS_OF
from rustrak_storage.duck.sources import rows_of
from rustrak_storage.duck.stage import Stage, quoted
from rustrak_storage.duck.target import Target

_MAGIC = b"DUCK"
_MAGIC_AT = 8


class File(Target):
    """See `rustrak_storage.duck.target.Target`."""

    def __init__(self, path: Path) -> None:
        """Open the dataset in the file *path*, or begin one.

        Raises:
            DatasetError: it is something else, cannot be written, or another process has it open.
        """
        self.path = path
        self._file = path if path.exists() else path.with_name(f"{path.name}.new")
        self.work = path.with_name(f".{path.name}.export")
        with writing(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size:
                check_kind(path)
            self.connection = _connect(self._file, self.work)
        try:
            self.about = read_about(self.connection, path) if _tables(self.connection) else None
            with writing(str(path)):
                shutil.rmtree(self.work, ignore_errors=True)
                self.work.mkdir(mode=0o700)
                self.connection.execute("BEGIN")
                if self.about is None:
                    for table in (*STORED, ABOUT):
                        self.connection.execute(f"CREATE TABLE {table.name} ({table.declaration()})")
                    self.connection.execute(BREADCRUMBS_VIEW)
                self.connection.execute("CREATE TEMP VIEW kept AS FROM events")
                self.connection.execute("CREATE TEMP VIEW known_projects AS FROM projects")
        except BaseException:
            self.connection.close()
            raise

    def commit(self, stage: Stage, about: About) -> int:
        """See `rustrak_storage.duck.target.Target.commit`."""
        columns = ", ".join(f'"{name}"' for name in EVENTS.names)
        with writing(str(self.path)):
            run = self.connection.execute
            run(f"CREATE TEMP VIEW staged AS {rows_of(EVENTS, stage.files())}")
            run(
                "CREATE TEMP TABLE dirty AS SELECT DISTINCT day, project_id FROM staged "
                "UNION SELECT DISTINCT day, project_id FROM events "
                "WHERE number IN (SELECT number FROM moved UNION ALL FROM gone) "
                "OR issue_id NOT IN (SELECT id FROM new_issues)"
            )
            run("DELETE FROM events WHERE number IN (FROM gone)")
            run(
                "UPDATE events SET issue_id = m.issue_id, mechanism = m.mechanism, grouping_key = m.grouping_key "
                "FROM moved AS m WHERE events.number = m.number"
            )
            run(f"INSERT INTO events SELECT {columns} FROM staged")  # by day and project, as the files are
            run("DELETE FROM events WHERE issue_id NOT IN (SELECT id FROM new_issues)")
            run("DELETE FROM tag_days WHERE (day, project_id) IN (FROM dirty)")
            dirty = "(SELECT * FROM events WHERE (day, project_id) IN (FROM dirty))"
            run(f"INSERT INTO tag_days {TAG_DAYS_OF.format(events=dirty)}")
            for table in (ISSUES, PROJECTS):  # replaced, since one of an older version has fewer columns
                run(f"CREATE OR REPLACE TABLE {table.name} AS FROM new_{table.name} ORDER BY id")
            run("DELETE FROM about")
            run("INSERT INTO about VALUES (?, ?, ?, ?, ?, ?, ?)", about.row())
            run(f"COMMENT ON TABLE about IS {quoted(about.comment())}")
            found = run("SELECT count(*) FROM events").fetchone()
            run("COMMIT")
            run("CHECKPOINT")
            self.connection.close()
            if self._file != self.path:
                os.replace(self._file, self.path)  # noqa: PTH105 - pairs with the name that was made aside
        return int(found[0]) if found else 0

    def close(self) -> None:
        """See `rustrak_storage.duck.target.Target.close`."""
        self.connection.close()
        shutil.rmtree(self.work, ignore_errors=True)
        if self._file != self.path and self._file.exists():
            for name in (self._file.name, f"{self._file.name}.wal"):
                self._file.with_name(name).unlink(missing_ok=True)


def read_about(connection: duckdb.DuckDBPyConnection, path: Path) -> About:
    """Return what the DuckDB file at *path*, to which *connection* leads, says of itself.

    Raises:
        DatasetError: it is no dataset, or one of a newer version.
    """
    with reading(str(path)):
        if ABOUT.name not in _tables(connection):
            raise DatasetError(f"{path} is a DuckDB file, but no dataset; `rustrak export` makes one")
        row = connection.execute("FROM about").fetchone()
        noted = connection.execute(f"SELECT comment FROM duckdb_tables() WHERE table_name = '{ABOUT.name}'").fetchone()
    if row is None or row[0] != FORMAT:
        raise DatasetError(f"{path} is a DuckDB file, but no dataset; `rustrak export` makes one")
    check_version(row[1], path)
    try:
        return About.of_row(row, None if noted is None else noted[0])
    except (ValueError, TypeError, AttributeError) as error:
        raise DatasetError(f"{path} is damaged; delete the dataset and export it anew") from error


def check_kind(path: Path) -> None:
    """Return if the file at *path* is one of DuckDB's, which opens files of some other kinds as empty databases.

    Raises:
        DatasetError: it is not.
    """
    with path.open("rb") as file:
        if file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] != _MAGIC:
            raise DatasetError(f"{path} is no DuckDB database; name another path, or move the file away")


def _connect(file: Path, work: Path) -> duckdb.DuckDBPyConnection:
    is_new = not file.exists()
    connection = duckdb.connect(str(file), config={"temp_directory": str(work / "spill")})
    if is_new:
        file.chmod(0o600)  # it holds what users of applications sent
    return connection


def _tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT temporary").fetchall()
    return {name for (name,) in rows}
