"""`rustrak backfill`: the newer keys of issues, told first, then attached."""

from typing import Any

import pytest

from rustrak_core.tracker import Tracker
from tests.cli.conftest import Rustrak


def failure(kind: str, message: str, at: str = "ship") -> dict[str, Any]:
    frames = [{"module": "shop.orders", "function": at, "in_app": True}]
    return {"exception": {"values": [{"type": kind, "value": message, "stacktrace": {"frames": frames}}]}}


@pytest.fixture
def shop(rustrak: Rustrak) -> Rustrak:
    """A project that used the mechanism of old: two issues that the newer one would join, and one more."""
    rustrak("project", "create", "shop")
    rustrak("project", "create", "till")
    with rustrak.tracker() as tracker:
        tracker.pin_mechanism("shop", "message@1")
        for number in (1, 2):
            tracker.ingest_event(failure("OrderError", f"order {number} failed"), "shop")
        tracker.ingest_event(failure("CardError", "card 5 refused", "pay"), "shop")
        tracker.pin_mechanism("shop", None)
    return rustrak


def again(tracker: Tracker, kind: str, message: str, at: str = "ship") -> bool:
    """Record an error that happens again, and return whether it is new."""
    return tracker.ingest_event(failure(kind, message, at), "shop").recorded[0].is_new


def test_dry_run(shop: Rustrak) -> None:
    """Keys that would join issues are listed with these; nothing is changed."""
    told = shop.json("backfill", "--dry-run")["data"]
    assert [(row["slug"], row["keys"], row["conflicts_count"]) for row in told] == [("shop", 1, 1), ("till", 0, 0)]
    assert told[0]["conflicts"][0]["issues"] == ["SHOP-1", "SHOP-2"]
    out = shop("backfill", "--project", "shop", "--dry-run").out
    assert "1 keys of anchor@1 would be attached; 1 would join issues, and would not." in " ".join(out.split())
    assert "SHOP-1, SHOP-2 anchor@1:" in " ".join(out.split())
    with shop.tracker() as tracker:
        assert tracker.store.backfill(tracker.project("shop").id) is None


def test_attached(shop: Rustrak) -> None:
    """An error whose message differs comes to its issue; one that two issues have is new; no issue has changed."""
    with shop.tracker() as tracker:
        before = list(tracker.issues("shop"))
    assert "the keys of anchor@1 are attached" in shop("backfill", "--project", "shop").out
    assert shop.json("backfill")["data"] == [
        {"project_id": 1, "slug": "shop", "mechanism": "anchor@1", "stage": "done"},
        {"project_id": 2, "slug": "till", "mechanism": None, "stage": None},
    ]
    assert "nothing is to be done" in shop("backfill", "--project", "till").out
    with shop.tracker() as tracker:
        assert list(tracker.issues("shop")) == before
        assert not again(tracker, "CardError", "card 6 refused", "pay")
        assert again(tracker, "OrderError", "order 3 failed")
        assert not again(tracker, "OrderError", "order 1 failed")


def test_regroup_joins_them(shop: Rustrak) -> None:
    """What a backfill leaves apart, `rustrak regroup` joins."""
    shop("backfill")
    done = shop.json("regroup", "--project", "shop", "--apply")
    assert (done["merged"], done["split"]) == (1, 0)
    with shop.tracker() as tracker:
        assert not again(tracker, "OrderError", "order 9 failed")
        assert [issue.event_count for issue in tracker.issues("shop", sort="event_count")] == [3, 1]


def test_no_project(rustrak: Rustrak) -> None:
    """Without projects there is nothing to be done, and an unknown one is told."""
    rustrak("project", "create", "shop")
    assert "project list" in rustrak.fails("backfill", "--project", "shopp")
    rustrak("project", "delete", "shop", "--yes")
    assert "no projects yet" in rustrak("backfill").err
