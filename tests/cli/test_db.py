"""`rustrak db`: the schema brought to this version, and the database looked at."""

import sqlite3

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
