"""`rustrak export`, `ask` and `sql`."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

import duckdb
import pytest

from rustrak_core.tracker import Tracker
from rustrak_storage import open_store
from tests.cli.conftest import Rustrak

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)


@pytest.fixture
def errors(rustrak: Rustrak, tmp_path: Path) -> Path:
    """A dataset of a few events."""
    rustrak("project", "create", "my-app")
    with rustrak.tracker() as tracker:
        for number in range(6):
            payload = {
                "message": f"broken {'abcdef'[number % 2]} \x1b[31m",
                "timestamp": datetime.now(UTC).isoformat(),
                "user": {"id": str(number)},
                "tags": {"region": "eu"},
            }
            tracker.ingest_event(payload, "my-app")
    dest = tmp_path / "errors.duckdb"
    assert "6 new events; 6 events of 2 issues" in rustrak("export", dest).out
    return dest


def test_export(rustrak: Rustrak, errors: Path, tmp_path: Path) -> None:
    """Again, with other options, and to somewhere that it cannot be."""
    done = rustrak.json("export", errors)
    assert done == {"new": 0, "moved": 0, "gone": 0, "events": 6, "issues": 2, "watermark": 6}
    folder = tmp_path / "folder"
    narrow = ("--project", "my-app", "--since", "2020-01-01", "--until", "2020-01-02")
    assert rustrak.json("export", folder, *narrow)["events"] == 0
    assert "--since" in rustrak.fails("export", folder, "--project", "1")
    assert "project list" in rustrak.fails("export", folder, "--project", "none")
    assert "2024-01-15" in rustrak.fails("export", folder, "--since", "today", code=2)
    assert "not empty" in rustrak.fails("export", tmp_path)
    behind = ("--since", "2020-01-02", "--until", "2020-01-01")
    assert "no day is left" in rustrak.fails("export", tmp_path / "new", *behind, code=2)
    assert "too long" in rustrak.fails("export", tmp_path / ("n" * 300))
    assert not (tmp_path / "new").exists()


def test_export_of_a_file_of_one_process(rustrak: Rustrak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many processes are to read: the one that has the store in DuckDB open is the only one that can."""
    monkeypatch.setenv("RUSTRAK_DATABASE_URL", f"duckdb:///{tmp_path}/store.duckdb")
    monkeypatch.setattr("rustrak_storage.duck.exporting.WORTH", 1)
    rustrak("project", "create", "my-app")
    with Tracker(open_store(f"duckdb:///{tmp_path}/store.duckdb")) as tracker:
        for number in range(4):
            tracker.ingest_event({"message": f"broken {number}"}, "my-app")
    assert rustrak.json("export", tmp_path / "errors.duckdb", "--processes", "2")["events"] == 4


def test_ask(rustrak: Rustrak, errors: Path) -> None:
    """Tables, CSV and JSON; a list of what may be asked."""
    heading, row, _other = rustrak("ask", errors, "top-issues", "--days", "all").out.splitlines()
    assert heading.split()[:4] == ["ISSUE", "STATE", "EVENTS", "USERS"]
    assert row.split()[:4] == ["MY-APP-1", "open", "3", "3"]
    assert "\x1b" not in row
    by_users = rustrak.json("ask", errors, "top-issues", "--set", "by=users", "--limit", "1")["data"]
    assert [(each["issue"], each["users"]) for each in by_users] == [("MY-APP-1", 3)]
    assert by_users[0]["last_event"].endswith("Z")
    read = list(csv.DictReader(io.StringIO(rustrak("ask", errors, "sdks", "--csv", "--project", "my-app").out)))
    assert read[0]["events"] == "6"
    assert [each["key"] for each in rustrak.json("ask", errors, "lift", "--set", "issue=my-app-1")["data"]] == []
    assert "No rows" in rustrak("ask", errors, "top-issues", "--until", "2020-01-01").err
    names = rustrak("ask", errors).out
    assert "top-issues" in names
    assert {"name": "lift", "takes": ["issue", "least", "days", "limit"]}.items() <= next(
        each for each in rustrak.json("ask", errors)["data"] if each["name"] == "lift"
    ).items()


def test_ask_wrongly(rustrak: Rustrak, errors: Path, tmp_path: Path) -> None:
    """Each mistake has its line."""
    assert "top-issues" in rustrak.fails("ask", errors, "top")
    assert "issue" in rustrak.fails("ask", errors, "lift")
    assert "my-app" in rustrak.fails("ask", errors, "sdks", "--project", "none")
    assert "--days" in rustrak.fails("ask", errors, "sdks", "--set", "days=3")
    assert "all" in rustrak.fails("ask", errors, "sdks", "--days", "0", code=2)
    assert "issue=MY-APP-1" in rustrak.fails("ask", errors, "lift", "--set", "issue", code=2)
    assert "rustrak export" in rustrak.fails("ask", tmp_path / "none", "sdks")
    assert "too long" in rustrak.fails("ask", tmp_path / ("n" * 300), "sdks")


@pytest.mark.parametrize("name", ["self", "name", "form", "dataset"])
def test_only_a_question_s_parameters_are_set(rustrak: Rustrak, errors: Path, name: str) -> None:
    """Whatever names the code has for what is its own."""
    assert "it takes by, days, project, limit" in rustrak.fails("ask", errors, "top-issues", "--set", f"{name}=1")


def test_numbers_without_bounds(rustrak: Rustrak, errors: Path) -> None:
    """Those that nothing can hold are wrong on the command line already; the largest are taken."""
    for days in ("366001", "9" * 5000, "1e3", "nan"):
        assert "at most 366000, or all" in rustrak.fails("ask", errors, "sdks", "--days", days, code=2)
    for limit in (2**63, 10**100, "nan"):
        assert "--limit" in rustrak.fails("ask", errors, "sdks", "--limit", limit, code=2)
    for least in (2**63, "9" * 5000, "nan", ""):
        assert "whole number" in rustrak.fails("ask", errors, "together", "--set", f"least={least}")
    assert rustrak("ask", errors, "sdks", "--days", "366000", "--limit", 2**63 - 1).out


@pytest.mark.parametrize("command", ["ask", "report", "export"])
def test_the_last_day_that_there_is(rustrak: Rustrak, errors: Path, tmp_path: Path, command: str) -> None:
    """It can be the last that counts, as the first one can."""
    more = {"ask": ("top-issues",), "report": ("-o", tmp_path / "r.html"), "export": ()}[command]
    for day in ("9999-12-31", "0001-01-01"):
        rustrak(command, tmp_path / day if command == "export" else errors, *more, "--until", day)


def test_bytes_that_are_no_text(rustrak: Rustrak, errors: Path) -> None:
    """Python shows them as lone surrogates, which DuckDB does not take."""
    for more in (("--project", "\udcff"), ("--set", "issue=\udcff")):
        assert "must be text in UTF-8" in rustrak.fails("ask", errors, "lift", "--set", "issue=X-1", *more)
    assert "must be text in UTF-8" in rustrak.fails("sql", errors, "SELECT '\udcff'")
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "rustrak_http.cli", "sql", errors],
        input=b"SELECT '\xff'",
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, b"rustrak: SQL: must be text in UTF-8\n")


def test_sql(rustrak: Rustrak, errors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement, or what stdin says; it only reads."""
    assert rustrak("sql", errors, "SELECT count(*) AS n, 2.5 AS x FROM events").out.split() == ["N", "X", "6", "2.5"]
    (row,) = rustrak.json("sql", errors, "SELECT tags, day, frames, event_id FROM events LIMIT 1")["data"]
    assert (row["tags"], row["frames"]) == ({"region": "eu"}, [])
    assert row["day"] == datetime.now(UTC).date().isoformat()
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT tags FROM events LIMIT 1"))
    assert rustrak("sql", errors, "--csv").out == 'tags\n"{""region"":""eu""}"\n'
    assert "DELETE is refused" in rustrak.fails("sql", errors, "DELETE FROM events")
    assert "nothing" in rustrak.fails("sql", errors, "SELECT nothing FROM events")
    assert rustrak("sql", errors, "SELECT 1 WHERE false").out == ""


def test_every_value_is_json(rustrak: Rustrak, errors: Path) -> None:
    """Times of day with an offset too; two columns of one name are refused rather than one of them lost."""
    (row,) = rustrak.json("sql", errors, "SELECT '10:00:00+02'::TIMETZ AS a, TIME '10:00' AS b")["data"]
    assert row == {"a": "10:00:00+02:00", "b": "10:00:00"}
    assert "two columns are named a" in rustrak.fails("sql", errors, "SELECT 1 AS a, 2 AS a", "--json")
    assert rustrak("sql", errors, "SELECT 1 AS a, 2 AS a", "--csv").out == "a,a\n1,2\n"


def test_texts_of_events_drive_no_terminal(rustrak: Rustrak, errors: Path) -> None:
    """Neither in an error, which may quote one, nor in a heading, which a PIVOT makes of them."""
    assert "broken" in (told := rustrak.fails("sql", errors, "SELECT error(message) FROM events"))
    assert "\x1b" not in told
    assert "\x1b" not in rustrak("sql", errors, 'SELECT 1 AS "a\x1b[31mb"').out


def test_a_table_has_an_end(rustrak: Rustrak, errors: Path) -> None:
    """It is as wide as its widest cells, so that it does not take as many rows as there are."""
    done = rustrak("sql", errors, "FROM range(10001)")
    assert len(done.out.splitlines()) == 1 + 10_000
    assert "--csv" in done.err
    assert not rustrak("sql", errors, "FROM range(10000)").err
    assert len(rustrak.json("sql", errors, "FROM range(10001)")["data"]) == 10_001
    assert len(rustrak("sql", errors, "FROM range(10001)", "--csv").out.splitlines()) == 1 + 10_001
    assert rustrak.json("sql", errors, "FROM range(0)") == {"data": []}


LONG = "SELECT count(*) FROM range(10000000000) a, range(1000) b"
OWN = """
import resource, signal
from rustrak_http.cli import main

resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever started it may have had it ignore
"""


@pytest.mark.parametrize("asked", ["FROM range(1000000000000)", LONG])
def test_ctrl_c_ends_a_statement(errors: Path, asked: str) -> None:
    """At once, whether it works long or answers with more rows than memory holds; and with no traceback."""
    command: list[str | Path] = [sys.executable, "-c", f"{OWN}\nmain()", "sql", errors, asked, "--csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            if asked == LONG:
                wait_until_it_works(process.pid)
            else:
                assert len(process.stdout.read(100_000)) == 100_000  # rows come while others are still made
            process.send_signal(signal.SIGINT)
            _out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130
    assert not err.strip()


def wait_until_it_works(pid: int) -> None:
    """Return once another thread than the main one, which is DuckDB's, has had half a second of a processor."""
    until = monotonic() + 60
    while monotonic() < until:
        for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
            fields = stat.read_text().rpartition(")")[2].split()
            if stat.parent.name != str(pid) and int(fields[11]) >= 50:
                return
        sleep(0.05)
    raise AssertionError("it did not begin")


def test_what_is_damaged_is_told(rustrak: Rustrak, errors: Path, tmp_path: Path) -> None:
    """By reading and by exporting alike, which leave it as it was."""
    folder = tmp_path / "folder"
    rustrak("export", folder)
    part = next(folder.glob("events/*/*/*.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    cut = tmp_path / "cut.duckdb"
    cut.write_bytes(errors.read_bytes()[:400_000])
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    bare = tmp_path / "bare.duckdb"
    with duckdb.connect(str(bare)) as connection:
        connection.execute("CREATE TABLE about AS SELECT 'rustrak-dataset' AS format, 1 AS version")
    for path, told in ((folder, "damaged"), (cut, "damaged"), (bare, "damaged"), (other, "no DuckDB database")):
        assert told in rustrak.fails("ask", path, "sdks", "--days", "all"), path
        assert told in rustrak.fails("export", path), path
    assert other.read_text() == "a,b\n1,2\n"
    part.unlink()
    assert "files are missing" in rustrak.fails("ask", folder, "sdks", "--days", "all")
    assert "files are missing" in rustrak.fails("export", folder)


def test_names_complete(errors: Path) -> None:
    """A shell completes the names of questions."""
    env = {
        **os.environ,
        "_RUSTRAK_COMPLETE": "bash_complete",
        "COMP_WORDS": f"rustrak ask {errors} top",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from rustrak_http.cli.command import cli; cli(prog_name='rustrak')"],
        env=env,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["plain,top-issues"]


def test_json_is_one_line(rustrak: Rustrak, errors: Path) -> None:
    """As everywhere."""
    out = rustrak("ask", errors, "heatmap", "--json").out
    assert out.count("\n") == 1
    assert len(json.loads(out)["data"]) == 168


def test_report(rustrak: Rustrak, errors: Path, tmp_path: Path) -> None:
    """A page in one file, put in place whole."""
    page = tmp_path / "report.html"
    assert "KiB" in rustrak("report", errors, "-o", page).out
    assert "MY-APP-1" in page.read_text()
    assert rustrak.json("report", errors, "-o", page)["bytes"] == page.stat().st_size
    assert "my-app" in rustrak.fails("report", errors, "-o", page, "--project", "none")
    assert "MY-APP-1" in page.read_text()
    assert "--output" in rustrak.fails("report", errors, code=2)
    assert "cannot be written" in rustrak.fails("report", errors, "-o", tmp_path / "no" / "report.html")


def test_a_report_replaces_nothing_but_a_page(rustrak: Rustrak, errors: Path, tmp_path: Path) -> None:
    """Not the dataset, nor what is in its folder, nor a folder; nothing is left aside, and nobody's file is used."""
    folder, page = tmp_path / "folder", tmp_path / "report.html"
    rustrak("export", folder)
    (tmp_path / "report.html.new").write_text("mine")
    (tmp_path / "link.duckdb").symlink_to(errors)
    (tmp_path / "link.html").symlink_to(page)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and "data/" not in str(file)}
    for dataset, output in (
        (errors, errors),
        (errors, tmp_path / "link.duckdb"),
        (tmp_path / "link.duckdb", errors),
        (folder, folder / "dataset.json"),
        (folder, folder / "events" / "report.html"),
    ):
        assert "is the dataset" in rustrak.fails("report", dataset, "-o", output, code=2)
    assert "is a directory" in rustrak.fails("report", errors, "-o", tmp_path, code=2)
    rustrak.fails("report", errors, "-o", tmp_path / ("n" * 256))
    rustrak("report", errors, "-o", tmp_path / "link.html")
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and "data/" not in str(file)}
    assert page in after
    assert after == before | {page: after[page], tmp_path / "link.html": after[page]}
    assert (tmp_path / "link.html").is_symlink()


def test_a_report_into_a_pipe(rustrak: Rustrak, errors: Path, tmp_path: Path) -> None:
    """What is no file is written into, and stays: a page does not take the place of /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        try:
            rustrak("report", errors, "-o", pipe)
        finally:
            with suppress(OSError):  # where nothing was written, the other thread still waits for somebody to
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        assert read.result(60).startswith("<!doctype html>")
    assert pipe.is_fifo()
