"""`rustrak db`: the schema brought to this version, and the database looked at."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rustrak_storage.sql.migrate import HEAD
from tests.cli.conftest import Rustrak


@pytest.fixture
def shop(rustrak: Rustrak) -> Rustrak:
    """A database with two issues."""
    rustrak("project", "create", "shop")
    with rustrak.tracker() as tracker:
        for kind in ("ValueError", "KeyError"):
            tracker.ingest_event({"exception": {"values": [{"type": kind, "value": "wrong"}]}}, "shop")
    return rustrak


def change(rustrak: Rustrak, statement: str) -> None:
    with sqlite3.connect(rustrak.data_dir / "rustrak.db") as other:
        other.execute(statement)
    other.close()


def test_upgrade(rustrak: Rustrak) -> None:
    """It says from where to where, in words or in JSON."""
    assert rustrak("db", "upgrade").out == f"The schema was created, at {HEAD}.\n"
    assert "already" in rustrak("db", "upgrade").out
    assert rustrak.json("db", "upgrade") == {"before": HEAD, "after": HEAD}
    change(rustrak, "UPDATE rustrak_schema_version SET version_num = '9999'")
    assert "install a newer rustrak" in rustrak.fails("db", "upgrade")


def test_check(shop: Rustrak) -> None:
    """All is well, and what was looked at is told."""
    assert shop("db", "check").out == (
        f"All is well: schema {HEAD}; 1 projects, 2 issues, 2 grouping keys, 2 events, 2 payloads.\n"
    )
    told = shop.json("db", "check", "--payloads", "1")
    assert (told["ok"], told["findings"], told["looked_at"]["payloads"]) == (True, [], 1)


def test_findings(shop: Rustrak) -> None:
    """What is wrong is named, with what to do, and the exit status is 1."""
    change(shop, "UPDATE rustrak_issue SET event_count = 5 WHERE number = 2")
    out = shop("db", "check", code=1).out
    assert out.startswith("event-counts: SHOP-2 counts 5 events and has 1. What to do: ")
    done = shop("db", "check", "--json", code=1)
    assert [finding["found"] for finding in done.json["findings"]] == ["SHOP-2 counts 5 events and has 1"]
    assert not done.json["ok"]


def test_an_older_schema(shop: Rustrak) -> None:
    """A check changes no schema: it says what does."""
    change(shop, "UPDATE rustrak_schema_version SET version_num = '0005'")
    assert "`rustrak db upgrade`" in shop("db", "check", code=1).out
    assert shop("db", "check", "--json", code=1).json["schema"] == "0005"


def test_nothing_there(rustrak: Rustrak) -> None:
    """A check makes no database."""
    assert "--data-dir" in rustrak.fails("db", "check")
    assert not rustrak.data_dir.exists()


@pytest.mark.parametrize("given", ["some", "-1", "", "1e3"])
def test_payloads_are_a_number(rustrak: Rustrak, given: str) -> None:
    """Or all of them."""
    assert "write a number, or all" in rustrak.fails("db", "check", "--payloads", given, code=2)


def test_copy(shop: Rustrak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of what was copied, or JSON; the copy is a store like the first one."""
    here, there = f"sqlite:///{shop.data_dir}/rustrak.db", f"sqlite:///{tmp_path}/there.db"
    done = shop("db", "copy", here, there)
    assert ["rustrak_issue", "2"] in [line.split()[:2] for line in done.out.splitlines()]
    assert "are in DST as they were in SRC" in done.err
    assert shop.json("issues", "--database-url", there) == shop.json("issues", "--database-url", here)
    monkeypatch.setenv("OLD", there)
    told = shop.json("db", "copy", "env:OLD", f"sqlite:///{tmp_path}/third.db")
    assert {"table": "rustrak_event", "rows": 2} in [
        {"table": each["table"], "rows": each["rows"]} for each in told["tables"]
    ]
    assert told["rows"] == sum(each["rows"] for each in told["tables"])


def test_what_cannot_be_copied(shop: Rustrak, tmp_path: Path) -> None:
    """One line says why, and holds no password."""
    here, there = f"sqlite:///{shop.data_dir}/rustrak.db", f"sqlite:///{tmp_path}/there.db"
    shop("db", "copy", here, there)
    assert "holds a store already" in shop.fails("db", "copy", here, there)
    assert "NEW_URL is not set" in shop.fails("db", "copy", here, "env:NEW_URL", code=2)
    assert "there is no database at" in shop.fails("db", "copy", f"{here}2", there)
    said = shop.fails("db", "copy", here, "nosql://me:hunter2@host/db")
    assert "names no store" in said
    assert "hunter2" not in said


def test_a_part_of_a_copy(shop: Rustrak) -> None:
    """Whatever uses it is refused, `rustrak serve` too, and told what to do."""
    change(shop, "INSERT INTO rustrak_state VALUES ('copying', 1)")
    for command in (["issues"], ["db", "upgrade"]):
        assert "`rustrak db copy`" in shop.fails(*command)
    serve = [sys.executable, "-m", "rustrak_http.cli", "serve", "--port", "0"]
    done = subprocess.run(serve, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "`rustrak db copy`" in done.stderr
    assert "`rustrak db copy`" in shop("db", "check", code=1).out
