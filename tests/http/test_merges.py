"""Merging issues through the API, and taking them apart."""

from typing import Any

import pytest

from tests.http.conftest import Api, both_backends, error

pytestmark = both_backends


@pytest.fixture
def shop(api: Api) -> Api:
    """A project with three issues, the first with two events, and another project with one."""
    project = api.project("shop")
    for type_ in ("A", "B", "C", "A"):
        api.send(project, error(type_), user={"id": type_})
        api.clock.forward(1)
    api.send(api.project("till"), error("D"))
    return api


def send(api: Api, type_: str) -> None:
    """Send an event of the first project."""
    api.send(api.get("/api/projects/1").json, error(type_))


@pytest.mark.parametrize("names", [[2, 3], ["SHOP-2", "shop-3"], ["2", 3]])
def test_merge_and_undo(shop: Api, names: list[int | str]) -> None:
    """Issues are merged by number or short id, answer by every name, and come back."""
    merged = shop.post("/api/issues/SHOP-1/merge", {"issue_ids": names})
    assert merged.status_code == 200, merged.text
    assert (merged.json["id"], merged.json["event_count"], merged.json["user_count"]) == (1, 4, 3)
    assert merged.json["merged"] == [
        {"id": 3, "short_id": "SHOP-3", "merged_at": "2024-01-15T10:30:04Z"},
        {"id": 2, "short_id": "SHOP-2", "merged_at": "2024-01-15T10:30:04Z"},
    ]
    assert shop.issues({"id": 1}) == [merged.json]
    assert shop.get("/api/projects/1").json["issue_count"] == 1
    send(shop, "B")
    for name in (2, "SHOP-3", "shop-2"):
        assert shop.get(f"/api/issues/{name}").json["event_count"] == 5
        assert len(shop.get(f"/api/issues/{name}/events").json["data"]) == 5
        assert shop.patch(f"/api/issues/{name}", {"state": "muted"}).json["id"] == 1
    back = shop.post("/api/issues/1/unmerge", {"issue_ids": names})
    assert back.status_code == 200, back.text
    assert [(issue["short_id"], issue["event_count"]) for issue in back.json["data"]] == [("SHOP-2", 2), ("SHOP-3", 1)]
    assert sorted(issue["short_id"] for issue in shop.issues({"id": 1})) == ["SHOP-1", "SHOP-2", "SHOP-3"]
    send(shop, "B")
    assert shop.get("/api/issues/2").json["event_count"] == 3


def test_pages_of_events_by_an_old_name(shop: Api) -> None:
    """A list of events under the name of a merged issue pages like its target's."""
    shop.post("/api/issues/1/merge", {"issue_ids": [2, 3]})
    found: list[str] = []
    cursor = ""
    for _ in range(4):
        page = shop.get("/api/issues/SHOP-2/events", query_string=f"limit=1{cursor}").json
        found += [event["id"] for event in page["data"]]
        cursor = f"&cursor={page['next_cursor']}" if "next_cursor" in page else ""
    assert (len(set(found)), cursor) == (4, "")


@pytest.mark.parametrize("undo", ["merge", "unmerge"])
@pytest.mark.parametrize(
    ("issue", "body", "status", "text"),
    [
        (1, {"issue_ids": []}, 400, "issue_ids: must name 1 to 100 issues"),
        (1, {"issue_ids": [2] * 101}, 400, "issue_ids: must name 1 to 100 issues"),
        (1, {"issue_ids": "SHOP-2"}, 400, "issue_ids: must be a list of numbers or short ids"),
        (1, {"issue_ids": {"2": 2}}, 400, "issue_ids: must be a list of numbers or short ids"),
        (1, {"issue_ids": [2, True]}, 400, "issue_ids[1]: must be a number, or a short id as in MY-APP-1"),
        (1, {"issue_ids": [2.0]}, 400, "issue_ids[0]: must be a number, or a short id as in MY-APP-1"),
        (1, {"issue_ids": [[2]]}, 400, "issue_ids[0]: must be a number, or a short id as in MY-APP-1"),
        (1, {"issue_ids": None}, 400, "issue_ids: must be a list of numbers or short ids"),
        (1, {}, 400, "issue_ids: required"),
        (1, {"issue_ids": [2], "into": 1}, 400, "into: unknown; leave it out"),
        (1, [2], 400, "body: must be a JSON object"),
        (1, {"issue_ids": [2, 99]}, 404, "issue_ids[1]: no such issue"),
        (1, {"issue_ids": ["SHOP-99"]}, 404, "issue_ids[0]: no such issue"),
        (1, {"issue_ids": ["two"]}, 404, "issue_ids[0]: no such issue"),
        (1, {"issue_ids": [0]}, 404, "issue_ids[0]: no such issue"),
        (1, {"issue_ids": [-(2**70)]}, 404, "issue_ids[0]: no such issue"),
        (99, {"issue_ids": "wrong"}, 404, "no such issue"),
        ("x", {"issue_ids": [2]}, 404, "no such issue"),
    ],
)
def test_what_is_wrong_is_named(shop: Api, undo: str, issue: Any, body: Any, *, status: int, text: str) -> None:
    """A wrong body is 400 and an unknown issue 404, both naming the path of the fault; nothing changes."""
    before = shop.issues({"id": 1})
    answer = shop.post(f"/api/issues/{issue}/{undo}", body)
    assert (answer.status_code, answer.json["error"][: len(text)]) == (status, text)
    assert shop.issues({"id": 1}) == before


def test_what_cannot_be_merged(shop: Api) -> None:
    """An issue itself, one of another project, and one that is not merged are refused by name."""
    for path, names, text in (
        ("merge", [2, "SHOP-1"], "issue_ids[1]: is the issue itself"),
        ("merge", ["TILL-1"], "issue_ids[0]: belongs to another project"),
        ("unmerge", [2], "issue_ids[0]: is not merged into this issue"),
    ):
        answer = shop.post(f"/api/issues/1/{path}", {"issue_ids": names})
        assert (answer.status_code, answer.json["error"][: len(text)]) == (400, text)
    assert len(shop.issues({"id": 1})) == 3


def test_a_merged_issue_is_not_deleted_by_itself(shop: Api) -> None:
    """DELETE by the name of a merged issue is refused, for the other's events would go; the target's deletes all."""
    shop.post("/api/issues/1/merge", {"issue_ids": [2]})
    refused = shop.delete("/api/issues/SHOP-2")
    assert (refused.status_code, refused.json["error"]) == (
        400,
        "issue_id: was merged into SHOP-1; delete SHOP-1, or unmerge it first",
    )
    assert shop.get("/api/issues/2").json["event_count"] == 3
    assert [one["short_id"] for one in shop.delete("/api/issues/1").json["merged"]] == ["SHOP-2"]
    assert shop.get("/api/issues/SHOP-2").status_code == 404


@pytest.mark.parametrize("path", ["/api/issues/1/merge", "/api/issues/1/unmerge"])
def test_a_token_and_post(shop: Api, path: str) -> None:
    """Both need a token, and are POST only."""
    assert shop.post(path, {"issue_ids": [2]}, token=None).status_code == 401
    answer = shop.get(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")
