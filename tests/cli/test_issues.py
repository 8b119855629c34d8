"""`rustrak issues`."""

from datetime import UTC, datetime, timedelta

import pytest

from rustrak_http.cli.output import ago, print_table
from rustrak_http.shapes import issue_to_json
from tests.cli.conftest import Rustrak


def error(value: str, type_: str = "KeyError") -> dict[str, object]:
    return {"exception": {"values": [{"type": type_, "value": value}]}}


@pytest.fixture
def filled(rustrak: Rustrak) -> Rustrak:
    """Two projects: `shop` with three issues, one of them resolved, and `till` with one."""
    rustrak("project", "create", "shop")
    rustrak("project", "create", "till")
    with rustrak.tracker() as tracker:
        for value, environment in (("pear", "prod"), ("plum", "dev"), ("fig", "prod")):
            tracker.ingest_event(error(value) | {"environment": environment, "tags": {"shelf": value}}, "shop")
        tracker.ingest_event(error("pear"), "shop")
        tracker.ingest_event(error("coin", "OSError"), "till")
        tracker.set_state("SHOP-3", "resolved")
    return rustrak


def short_ids(rustrak: Rustrak, *args: object) -> list[str]:
    return [issue["short_id"] for issue in rustrak.json("issues", *args)["data"]]


def test_json_is_the_apis(filled: Rustrak) -> None:
    """`--json` prints the API's list of issues."""
    data = filled.json("issues", "shop")["data"]
    with filled.tracker() as tracker:
        assert data == [issue_to_json(issue) for issue in tracker.issues("shop")]


def test_filters(filled: Rustrak) -> None:
    """Each of the API's filters, sorts and limits is an option."""
    assert sorted(short_ids(filled, "shop")) == ["SHOP-1", "SHOP-2", "SHOP-3"]
    assert short_ids(filled, "shop", "--state", "resolved") == ["SHOP-3"]
    assert short_ids(filled, "shop", "--q", "PLUM") == ["SHOP-2"]
    assert short_ids(filled, "shop", "--q", "shelf:fig") == ["SHOP-3"]
    assert short_ids(filled, "shop", "--environment", "dev") == ["SHOP-2"]
    assert short_ids(filled, "shop", "--level", "fatal") == []
    assert short_ids(filled, "shop", "--sort", "event_count", "--limit", "1") == ["SHOP-1"]
    assert short_ids(filled, "shop", "--sort", "first_seen", "--order", "asc") == ["SHOP-1", "SHOP-2", "SHOP-3"]


def test_all_projects(filled: Rustrak) -> None:
    """Without a project, the issues of all, in one order and under one limit."""
    assert sorted(short_ids(filled)) == ["SHOP-1", "SHOP-2", "SHOP-3", "TILL-1"]
    assert short_ids(filled, "--limit", "1") == ["TILL-1"]
    assert short_ids(filled, "--sort", "event_count")[0] == "SHOP-1"


def test_in_columns(filled: Rustrak) -> None:
    """A row says which issue, in what state, how often and what."""
    lines = filled("issues", "shop", "--sort", "event_count").out.splitlines()
    assert lines[0].split() == ["ISSUE", "STATE", "LEVEL", "EVENTS", "USERS", "LAST", "SEEN", "WHAT"]
    assert lines[1].split()[:5] == ["SHOP-1", "open", "error", "2", "0"]
    assert lines[1].endswith("KeyError: pear")


def test_in_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is as wide as the terminal; what does not fit in the last column ends in an ellipsis."""
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(("ISSUE", "EVENTS", "WHAT"), [("SHOP-1", 2, "KeyError: a pear that is missing")], right=("EVENTS",))
    assert capsys.readouterr().out.splitlines()[1] == "SHOP-1       2  KeyError: a p…"


def test_none(filled: Rustrak) -> None:
    """Nothing found is said on stderr, and is no failure."""
    done = filled("issues", "shop", "--q", "nothing-like-it")
    assert (done.out, done.err) == ("", "No such issues; `rustrak issues` alone shows those of all projects.\n")


def test_none_at_all(rustrak: Rustrak) -> None:
    """Who has no issues yet is told how to get the first."""
    rustrak("project", "create", "shop")
    done = rustrak("issues")
    assert done.out == ""
    assert "rustrak project list" in done.err
    assert "rustrak send-event DSN" in done.err


def test_unknown_project(filled: Rustrak) -> None:
    """The error says how to find the right name."""
    assert "rustrak project list" in filled.fails("issues", "shopp")


def test_no_database(rustrak: Rustrak) -> None:
    """Reading creates nothing: where there is no database, the error says how to get one."""
    assert "rustrak serve" in rustrak.fails("issues")
    assert not rustrak.data_dir.exists()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (1.5, "1 s ago"), (61, "1 min ago"), (7200, "2 h ago"), (3 * 86_400, "3 d ago"), (-5, "now")],
)
def test_ago(seconds: float, text: str) -> None:
    """Times are told by how long ago they were."""
    now = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    assert ago(now - timedelta(seconds=seconds), now) == text
    assert ago(now - timedelta(days=40), now) == "2023-12-06"
