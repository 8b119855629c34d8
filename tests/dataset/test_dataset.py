"""Datasets that are read: what SQL may do, and in which shapes answers come."""

import importlib.util
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from rustrak_storage.duck import Answer, Dataset, MissingLibraryError, StatementError, schema
from tests.dataset.facts import World

WRITING = (
    "INSERT INTO issues SELECT * FROM issues",
    "UPDATE issues SET state = 'open'",
    "DELETE FROM events",
    "DROP TABLE events",
    "DROP VIEW events",
    "CREATE TABLE mine (a INTEGER)",
    "CREATE TEMP TABLE mine AS SELECT 1",
    "CREATE OR REPLACE VIEW events AS SELECT 1",
    "ALTER TABLE issues ADD COLUMN mine INTEGER",
    "COPY events TO '{out}'",
    "EXPORT DATABASE '{out}'",
    "ATTACH '{out}' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 1",
    "RESET threads",
    "SET enable_external_access = true",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "CHECKPOINT",
    "BEGIN",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
    "WITH x AS (DELETE FROM issues RETURNING *) FROM x",
    "WITH x AS (INSERT INTO about SELECT * FROM about RETURNING *) FROM x",
    "WITH x AS (COPY (SELECT 1) TO '{out}') SELECT 1",
    "WITH x AS (COPY (SELECT 1) TO '{own}' (USE_TMP_FILE false)) SELECT 1",
    "SELECT 1; DROP TABLE events",
    "FROM query('COPY (SELECT 1) TO ''{out}''')",
)
REACHING = (
    "FROM read_text('{secret}')",
    "FROM read_csv('{secret}')",
    "FROM '{secret}'",
    "FROM glob('{secret}')",
    "FROM read_blob('{secret}')",
    "FROM read_json('http://127.0.0.1:9/x')",
    "FROM read_parquet('https://127.0.0.1:9/x.parquet')",
    "FROM world",
    "SELECT getenv('HOME')",
)


@pytest.mark.parametrize("statement", WRITING)
def test_nothing_is_written(dataset: Dataset, statement: str, tmp_path: Path) -> None:
    """Whatever would write, set or load something is refused, and nothing is there afterwards."""
    out = tmp_path / "out"
    own = next(iter(dataset.path.rglob("*.parquet")), dataset.path)
    before = own.read_bytes()
    with pytest.raises(StatementError):
        dataset.sql(statement.format(out=out, own=own)).rows()
    assert not out.exists()
    assert own.read_bytes() == before
    assert dataset.sql("SELECT count(*) > 0 FROM events").rows() == [(True,)]


@pytest.mark.parametrize("statement", REACHING)
def test_nothing_else_is_read(dataset: Dataset, world: World, statement: str, tmp_path: Path) -> None:
    """No file, no network, no variable of the program and none of its environment."""
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,hunter2\n")
    with pytest.raises(StatementError) as told:
        dataset.sql(statement.format(secret=secret)).rows()
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("statement", ["", "  ;", "SELEC 1", "SELECT nothing FROM events", "SELECT 1 +", "SELECT $a"])
def test_wrong_sql_is_told(dataset: Dataset, statement: str) -> None:
    """On one line, as DuckDB says it."""
    with pytest.raises(StatementError) as told:
        dataset.sql(statement)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "statement",
    [
        "DESCRIBE events",
        "SHOW TABLES",
        "SUMMARIZE issues",
        "VALUES (1)",
        "SELECT 1 -- a word",
        "WITH x AS (SELECT 1) FROM x;",
    ],
)
def test_whatever_reads_is_answered(dataset: Dataset, statement: str) -> None:
    """Also what describes tables, and what ends in a comment."""
    assert dataset.sql(statement).rows()


def test_a_pivot_is_told_what_it_needs(dataset: Dataset) -> None:
    """Without its values it would make a type; with them it reads."""
    with pytest.raises(StatementError, match="IN"):
        dataset.sql("PIVOT issues ON state USING count(*)")
    assert dataset.sql("PIVOT issues ON state IN ('open') USING count(*) GROUP BY project").rows()


def test_no_column_is_lost(dataset: Dataset) -> None:
    """A dictionary has a name once."""
    twice = dataset.sql("SELECT 1 AS a, 2 AS a")
    assert twice.rows() == [(1, 2)]
    with pytest.raises(StatementError, match="named a;"):
        twice.dicts()


def test_what_spills_is_of_nobody_else(dataset: Dataset) -> None:
    """One folder, for its user alone, has what does not fit into memory of all datasets of a process."""
    spill = _spills_to(dataset)
    assert spill.is_dir()
    assert spill.stat().st_mode & 0o777 == 0o700
    with Dataset.open(dataset.path) as again:
        assert _spills_to(again) == spill
        with pytest.raises(StatementError):
            again.sql(f"FROM read_text('{__file__}')")


def test_what_spills_goes_with_its_process(dataset: Dataset) -> None:
    """Each has its own, and what a fork of it does at its exit leaves it alone."""
    reading = """
        import os, sys
        from rustrak_storage.duck import Dataset

        with Dataset.open(sys.argv[1]) as dataset:
            ((spill,),) = dataset.sql("SELECT current_setting('temp_directory')").rows()
        child = os.fork()
        if child == 0:
            sys.exit()
        os.waitpid(child, 0)
        print(spill, os.path.isdir(spill))
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(reading), dataset.path],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    spill, is_there_after_the_fork = done.stdout.split()
    assert is_there_after_the_fork == "True"
    assert Path(spill) != _spills_to(dataset)
    assert not Path(spill).exists()


def test_what_the_killed_left_is_removed(dataset: Dataset, tmp_path: Path) -> None:
    """By the next process that reads; never what a living one has, or a fork that outlives it, or another user."""
    reading = """
        import os, sys
        from rustrak_storage.duck.spill import spill_folder

        print(spill_folder(), flush=True)
        if sys.argv[1:] and os.fork():
            os.kill(os.getpid(), 9)
        sys.stdin.read()
    """

    def begin(*given: str) -> tuple["subprocess.Popen[str]", Path]:
        command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(reading), *given]
        env = os.environ | {"TMPDIR": str(tmp_path)}
        process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    killed, left = begin()
    (left / "duckdb_temp_storage_DEFAULT-0.tmp").write_bytes(b"rows")
    killed.kill()
    killed.communicate()
    living, used = begin()
    assert used.parent == left.parent == tmp_path
    assert not left.exists()
    parent, forked = begin("fork")
    parent.wait(60)
    strange = {tmp_path / name for name in ("rustrak-spill-link", "rustrak-spill-file", "rustrak-spill-bare", "mine")}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "lock").touch()
    (tmp_path / "rustrak-spill-link").symlink_to(tmp_path / "mine")
    (tmp_path / "rustrak-spill-file").touch()
    (tmp_path / "rustrak-spill-bare").mkdir()
    foreign = tmp_path / "rustrak-spill-foreign"
    foreign.mkdir()
    (foreign / "lock").touch()
    if os.geteuid() == 0:
        os.chown(foreign, 65534, 65534)
        strange.add(foreign)
    another, own = begin()
    assert {used, forked, own, *strange} <= set(tmp_path.iterdir())
    assert (tmp_path / "mine" / "lock").exists()
    for process in (living, parent, another):
        process.communicate()
    last, own = begin()
    assert set(tmp_path.iterdir()) == {own, *strange}
    last.communicate()


def _spills_to(dataset: Dataset) -> Path:
    ((folder,),) = dataset.sql("SELECT current_setting('temp_directory')").rows()
    return Path(folder)


def test_an_error_amid_rows_is_told(dataset: Dataset) -> None:
    """What fails only once rows are made is ours too."""
    with pytest.raises(StatementError, match="boom"):
        dataset.sql("SELECT error('boom') FROM events").rows()


def test_parameters_and_shapes(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and dictionaries always, each time all of them; frames with the library that makes them."""
    statement = "SELECT short_id, event_count FROM issues WHERE event_count > $least ORDER BY id"
    answer = dataset.sql(statement, {"least": 3})
    assert answer.columns == ["short_id", "event_count"]
    rows = answer.rows()
    assert rows
    assert answer.rows() == rows
    assert answer.dicts() == [dict(zip(answer.columns, row, strict=True)) for row in rows]
    shapes: dict[str, Any] = {"arrow": answer.arrow, "pandas": answer.pandas, "polars": answer.polars}
    assert answer.arrow().to_pylist() == answer.dicts()
    assert answer.pandas().to_dict("records") == answer.dicts()
    assert answer.polars().to_dicts() == answer.dicts()
    real = importlib.util.find_spec
    hidden = lambda name, *rest: None if name in {"pyarrow", "pandas", "polars"} else real(name, *rest)  # noqa: E731
    monkeypatch.setattr("rustrak_storage.duck.answer.find_spec", hidden)
    for make in shapes.values():
        with pytest.raises(MissingLibraryError, match="pip install"):
            make()


def test_threads_share_it(dataset: Dataset) -> None:
    """Each has its own answer."""
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: dataset.sql("SELECT count(*) + $n FROM events", {"n": n}).rows(), range(20)))
    assert [rows[0][0] - found[0][0][0] for rows in found] == list(range(20))


def test_tables_are_as_documented(dataset: Dataset) -> None:
    """The schema is what is there: tables, columns, types, order."""
    shown = {name for (name,) in dataset.sql("SELECT table_name FROM information_schema.tables").rows()}
    assert {table.name for table in schema.TABLES} == shown
    for table in schema.TABLES:
        found = [(name, kind.replace('"', "")) for name, kind, *_ in dataset.sql(f"DESCRIBE {table.name}").rows()]
        assert found == [(column.name, column.type) for column in table.columns], table.name
    assert schema.VERSION in schema.NOTES


def test_reading_needs_no_server_libraries() -> None:
    """`import rustrak_storage` loads no DuckDB, and a dataset no database toolkit."""
    code = "import sys, {0}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    for module, absent in (("rustrak_storage", "duckdb"), ("rustrak_storage.duck", "sqlalchemy")):
        done = subprocess.run(
            [sys.executable, "-c", code.format(module)], check=True, capture_output=True, text=True, timeout=60
        )
        assert absent not in done.stdout.split()


@pytest.mark.parametrize("parameters", [None, {"least": 1}])
def test_an_answer_is_worked_out_once(parameters: dict[str, Any] | None) -> None:
    """Each time that its rows are taken, and not before; its columns are known at once."""
    taken: list[int] = []

    def note(number: int) -> int:
        taken.append(number)
        return number

    with duckdb.connect() as connection:
        connection.create_function("note", note, ["BIGINT"], "BIGINT")
        least = "1" if parameters is None else "$least"
        # In the condition, since to count rows would not work out what they hold.
        answer = Answer(connection, f"SELECT n FROM range(3) AS t(n) WHERE note(n) >= {least}", parameters)
        assert (answer.columns, taken) == (["n"], [])
        for times in (1, 2):
            assert answer.rows() == [(1,), (2,)]
            assert sorted(taken) == sorted([0, 1, 2] * times)
