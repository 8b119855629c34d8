"""`rustrak similar`."""

import pytest

from rustrak_http.shapes import similar_to_json
from tests.cli.conftest import Rustrak
from tests.cli.test_issues import error


@pytest.fixture
def filled(rustrak: Rustrak) -> Rustrak:
    """A project with two issues that are alike, and one that is alone."""
    rustrak("project", "create", "shop")
    with rustrak.tracker() as tracker:
        for type_, value in (("PaymentError", "cannot pay"), ("PaymentError", "cannot pay\x1b[31m now"), ("E", "x")):
            tracker.ingest_event(error(value, type_), "shop")
    return rustrak


def test_in_words(filled: Rustrak) -> None:
    """A line an issue, and below it what both have in common; nothing of it drives a terminal."""
    lines = filled("similar", "SHOP-1").out.splitlines()
    assert lines[0].split()[1:4] == ["SHOP-2", "open", "PaymentError:"]
    assert "\\x1b" in lines[0]
    assert any(line.endswith('the word "cannot", in no other issue') for line in lines[1:])


def test_json_is_the_apis(filled: Rustrak) -> None:
    """`--json` prints what the API answers."""
    data = filled.json("similar", "1", "--limit", "1")["data"]
    with filled.tracker() as tracker:
        assert data == [similar_to_json(each) for each in tracker.similar("SHOP-1", limit=1)]
    assert data[0]["issue"]["short_id"] == "SHOP-2"


def test_none(filled: Rustrak) -> None:
    """Where nothing is alike, that is said on stderr."""
    done = filled("similar", "SHOP-3")
    assert (done.out, "No issue" in done.err) == ("", True)
    assert "no such issue" in filled.fails("similar", "SHOP-9")
