"""A dataset as one DuckDB file. An export is one transaction; a new file gets its name once it is whole."""

import os
import shutil
from functools import partial
from pathlib import Path
from uuid import uuid4

import duckdb

from rustrak_storage.duck.about import About, check_version
from rustrak_storage.duck.errors import DatasetError, reading, writing
from rustrak_storage.duck.lock import locked
from rustrak_storage.duck.schema import ABOUT, BREADCRUMBS_VIEW, EVENTS, FORMAT, ISSUES, PROJECTS, STORED, TAG_DAYS_OF
from rustrak_storage.duck.sources import rows_of
from rustrak_storage.duck.stage import Stage, quoted
from rustrak_storage.duck.target import Target
from rustrak_storage.interrupting import executed

_MAGIC = b"DUCK"
_MAGIC_AT = 8
_LOCK = "lock"


class File(Target):
    """See `rustrak_storage.duck.target.Target`."""

    def __init__(self, path: Path) -> None:
        """Open the dataset in the file *path*, or begin one.

        Raises:
            DatasetError: it is something else, cannot be written, or another process has it open.
        """
        self.path = path
        self._aside = path.with_name(f".{path.name}.export")
        with writing(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self._aside / _LOCK, path)
        self.work = self._aside / uuid4().hex  # of this export alone: processes of one that was killed may still write
        self._file = path if path.exists() else self.work / path.name
        try:
            with writing(str(path)):
                self._remove_work()
                self.work.mkdir()
                if path.exists() and path.stat().st_size:
                    check_kind(path)
                self.connection = _connect(self._file, self.work)
        except BaseException:
            self._let_go()
            raise
        try:
            self.about = read_about(self.connection, path) if _tables(self.connection) else None
            with writing(str(path)):
                self._begin()
        except BaseException:
            self.close()
            raise

    def commit(self, stage: Stage, about: About) -> int:
        """See `rustrak_storage.duck.target.Target.commit`."""
        columns = ", ".join(f'"{name}"' for name in EVENTS.names)
        with writing(str(self.path)):
            run = partial(executed, self.connection)
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
            ((events,),) = run("SELECT count(*) FROM events")
            run("COMMIT")
            run("CHECKPOINT")
            self.connection.close()
            if self._file != self.path:  # a log of one that was deleted would make it unreadable
                self.path.with_name(f"{self.path.name}.wal").unlink(missing_ok=True)
                os.replace(self._file, self.path)  # noqa: PTH105 - pairs with the name that was made aside
        return int(events)

    def close(self) -> None:
        """See `rustrak_storage.duck.target.Target.close`."""
        self.connection.close()
        self._let_go()

    def _let_go(self) -> None:
        shutil.rmtree(self._aside, ignore_errors=True)
        os.close(self._lock)

    def _begin(self) -> None:
        run = partial(executed, self.connection)
        run("BEGIN")
        if self.about is None:
            for table in (*STORED, ABOUT):
                run(f"CREATE TABLE {table.name} ({table.declaration()})")
            run(BREADCRUMBS_VIEW)
        run("CREATE TEMP VIEW kept AS FROM events")
        run("CREATE TEMP VIEW known_projects AS FROM projects")

    def _remove_work(self) -> None:
        """Remove what an export left that was killed."""
        for entry in self._aside.iterdir():
            if entry.name != _LOCK:
                shutil.rmtree(entry, ignore_errors=True)


def read_about(connection: duckdb.DuckDBPyConnection, path: Path) -> About:
    """Return what the DuckDB file at *path*, to which *connection* leads, says of itself.

    Raises:
        DatasetError: it is no dataset, or one of a newer version.
    """
    with reading(str(path)):
        if ABOUT.name not in _tables(connection):
            raise DatasetError(f"{path} is a DuckDB file, but no dataset; `rustrak export` makes one")
        row = next(iter(executed(connection, "FROM about")), None)
        noted = executed(connection, f"SELECT comment FROM duckdb_tables() WHERE table_name = '{ABOUT.name}'")
    if row is None or row[0] != FORMAT:
        raise DatasetError(f"{path} is a DuckDB file, but no dataset; `rustrak export` makes one")
    check_version(row[1], path)
    try:
        return About.of_row(row, noted[0][0] if noted else None)
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
    rows = executed(connection, "SELECT table_name FROM duckdb_tables() WHERE NOT temporary")
    return {name for (name,) in rows}
