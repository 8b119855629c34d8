"""`rustrak merge` and `rustrak unmerge`."""

import pytest

from rustrak_http.shapes import issue_to_json
from tests.cli.conftest import Rustrak
from tests.cli.test_issues import error


@pytest.fixture
def filled(rustrak: Rustrak) -> Rustrak:
    """A project with three issues."""
    rustrak("project", "create", "shop")
    with rustrak.tracker() as tracker:
        for value in ("pear", "plum", "fig", "pear"):
            tracker.ingest_event(error(value, value.title()) | {"user": {"id": "1"}}, "shop")
    return rustrak


def test_merge_and_undo(filled: Rustrak) -> None:
    """Each says what it did, and the first how to undo it."""
    done = filled("merge", "SHOP-1", "shop-2", "3")
    assert done.out.splitlines() == [
        "SHOP-2 and 3 are part of SHOP-1 now: 4 events of 1 user.",
        "The undo: rustrak unmerge SHOP-1 SHOP-2 3",
    ]
    assert [row["short_id"] for row in filled.json("issues", "shop")["data"]] == ["SHOP-1"]
    done = filled("unmerge", "SHOP-1", "SHOP-2")
    assert done.out.splitlines() == ["SHOP-2: 1 event of 1 user", "SHOP-1: 3 events of 1 user"]


def test_json_is_the_apis(filled: Rustrak) -> None:
    """`--json` prints what the API answers."""
    merged = filled.json("merge", "SHOP-1", "SHOP-2")
    with filled.tracker() as tracker:
        assert merged == issue_to_json(tracker.issue("SHOP-2"))
    assert [one["short_id"] for one in merged["merged"]] == ["SHOP-2"]
    back = filled.json("unmerge", "1", "2")
    with filled.tracker() as tracker:
        assert back == {"data": [issue_to_json(tracker.issue("SHOP-2"))]}


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("merge", "SHOP-1", "SHOP-9"), "issue_ids[0]: no such issue"),
        (("merge", "SHOP-1", "x y"), "no such issue: 'x y'; `rustrak issues` shows them all"),
        (("merge", "SHOP-9", "SHOP-1"), "no such issue"),
        (("merge", "SHOP-1", "SHOP-1"), "is the issue itself"),
        (("unmerge", "SHOP-1", "SHOP-2"), "is not merged into this issue"),
    ],
)
def test_refused(filled: Rustrak, args: tuple[str, ...], text: str) -> None:
    """What cannot be done is one clear line."""
    assert text in filled.fails(*args)


def test_others_are_needed(filled: Rustrak) -> None:
    """Without another issue there is nothing to merge."""
    assert "OTHER" in filled.fails("merge", "SHOP-1", code=2)
