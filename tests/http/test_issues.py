"""API.md, Issues."""

from typing import Any

import pytest

from tests.http.conftest import Api, both_backends, error

pytestmark = both_backends


def test_issues_are_listed_in_the_documented_shape(api: Api) -> None:
    """API.md Issues D1: GET /api/projects/{project_id}/issues, and with `?state=`."""
    project = api.project("my-app")
    api.send(project, error(), timestamp="2024-01-10T08:00:00Z")
    api.send(project, error(), timestamp="2024-01-15T10:29:00Z")
    row = api.issues(project)[0]
    documented = {
        "id": 1,
        "short_id": "MY-APP-1",
        "type": "TypeError",
        "message": "Cannot read property 'name' of null",
        "state": "open",
        "event_count": 2,
        "first_seen": "2024-01-10T08:00:00Z",
        "last_seen": "2024-01-15T10:29:00Z",
    }
    assert row.items() >= documented.items()
    for state in ("resolved", "muted", "open"):
        api.patch("/api/issues/1", {"state": state})
        assert [issue["id"] for issue in api.issues(project, f"state={state}")] == [1]
        others = {"open", "resolved", "muted"} - {state}
        assert all(api.issues(project, f"state={other}") == [] for other in others)


def test_an_issue_is_read_changed_and_deleted(api: Api) -> None:
    """API.md Issues D2: GET, PATCH `{"state": "resolved"}` (open, resolved, muted) and DELETE of an issue."""
    project = api.project()
    api.send(project, error())
    listed = api.issues(project)[0]
    assert api.get("/api/issues/1").json == listed
    for state in ("resolved", "muted", "open"):
        answer = api.patch("/api/issues/1", {"state": state})
        assert (answer.status_code, answer.json["state"]) == (200, state)
        assert api.get("/api/issues/1").json == answer.json
    assert api.delete("/api/issues/1").status_code == 200
    assert api.get("/api/issues/1").status_code == 404


@pytest.mark.parametrize("body", [{}, {"state": "closed"}, {"state": None}, {"state": 1}, {"state": "Open"}, {"x": 1}])
def test_bad_states_are_refused(api: Api, body: dict[str, Any]) -> None:
    """API.md Issues D2 and Conventions S2: a state is open, resolved or muted."""
    api.send(api.project(), error())
    answer = api.patch("/api/issues/1", body)
    assert answer.status_code == 400
    assert api.get("/api/issues/1").json["state"] == "open"


@pytest.fixture
def shop(api: Api) -> Api:
    """Three issues of one project that differ in all that can be asked for."""
    project = api.project("shop")
    api.send(
        project,
        error("TypeError", "Größe is null"),
        environment="production",
        release="1.0",
        tags={"browser": "Firefox", "url": "/cart"},
        transaction="checkout",
    )
    api.clock.forward(60)
    for _ in range(2):
        api.send(project, error("ValueError", "bad price http://x.test/a"), environment="staging", level="fatal")
    api.clock.forward(60)
    api.send(project, message="plain words", level="info", release="2.0", environment="production")
    return api


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [3, 2, 1]),
        ("sort=last_seen", [3, 2, 1]),
        ("order=asc", [1, 2, 3]),
        ("sort=first_seen&order=asc", [1, 2, 3]),
        ("sort=event_count&order=desc", [2, 3, 1]),
        ("sort=event_count&order=asc", [1, 3, 2]),
        ("environment=production", [3, 1]),
        ("environment=staging", [2]),
        ("environment=Production", []),
        ("release=1.0", [1]),
        ("level=fatal", [2]),
        ("level=error", [1]),
        ("environment=production&level=info&release=2.0", [3]),
        ("environment=staging&release=1.0", []),
        ("q=", [3, 2, 1]),
        ("q=typeerror", [1]),
        ("q=GR%C3%96SSE", [1]),
        ("q=null%20typeerror", [1]),
        ("q=null%20price", []),
        ("q=checkout", [1]),
        ("q=browser:Firefox", [1]),
        ("q=browser:Chrome", []),
        ("q=browser:Firefox%20null", [1]),
        ("q=http://x.test/a", [2]),
        ("q=%25", []),
        (f"q={'+'.join(['null', 'browser:Firefox'] * 16)}", [1]),
        ("q=_", []),
        ("q=%27%22%5C", []),
        ("state=open&q=plain&limit=1", [3]),
    ],
)
def test_filters_and_sorts_combine(shop: Api, query: str, expected: list[int]) -> None:
    """API.md Issues S1: newest `last_seen` first; sort, order, environment, release, level, q combine."""
    assert [issue["id"] for issue in shop.issues({"id": 1}, query)] == expected


def test_type_and_message_are_never_null(api: Api) -> None:
    """API.md Issues S2: without an exception `type` is `Message`, no message is `""`; by the latest event."""
    project = api.project()
    api.send(project, message="hello", fingerprint=["m"])
    assert api.get("/api/issues/1").json["type"] == "Message"
    api.clock.forward(1)
    api.send(project, error("Late", "boom"), fingerprint=["m"])
    issue = api.get("/api/issues/1").json
    assert (issue["type"], issue["message"]) == ("Late", "boom")
    api.clock.forward(1)
    api.send(project, fingerprint=["m"])
    issue = api.get("/api/issues/1").json
    assert (issue["type"], issue["message"]) == ("Message", "")


@pytest.mark.parametrize("form", ["MY-APP-1", "my-app-1", "1"])
def test_an_issue_is_found_by_short_id_too(api: Api, form: str) -> None:
    """API.md Issues S2: an id may be given as a short id too (`/api/issues/MY-APP-1`)."""
    project = api.project("my-app")
    event = api.send(project, error())
    assert api.get(f"/api/issues/{form}").json["short_id"] == "MY-APP-1"
    rows = api.get(f"/api/issues/{form}/events").json["data"]
    assert [row["id"].replace("-", "") for row in rows] == [event]
    assert api.patch(f"/api/issues/{form}", {"state": "muted"}).json["state"] == "muted"
    assert api.delete(f"/api/issues/{form}").json["id"] == 1
    assert api.get(f"/api/issues/{form}").status_code == 404


def test_an_issue_shows_more(api: Api) -> None:
    """API.md Issues S3: level, platform, culprit, distinct users, releases, and what became of it."""
    project = api.project()
    users: list[dict[str, Any]] = [{"id": "1"}, {"id": 1}, {"email": "a@b.c"}, {"id": "2", "email": "a@b.c"}, {}]
    for user in users:
        api.clock.forward(1)
        api.send(project, error(), user=user, release="1.0", transaction="run()", level="warning")
    issue = api.get("/api/issues/1").json
    assert issue["project_id"] == 1
    assert (issue["level"], issue["platform"], issue["culprit"]) == ("warning", "python", "run()")
    assert (issue["user_count"], issue["event_count"]) == (3, 5)
    assert (issue["first_release"], issue["last_release"]) == ("1.0", "1.0")
    assert (issue["resolved_at"], issue["regressed_at"], issue["regressed_in"]) == (None, None, None)


def test_short_ids_count_up_per_project(api: Api) -> None:
    """API.md Issues S4: `short_id` is the upper-cased slug and a number that counts up per project without gaps."""
    one, two = api.project("one"), api.project("two")
    for project, type_ in ((one, "A"), (two, "A"), (one, "B"), (one, "A"), (two, "B"), (one, "C")):
        api.clock.forward(1)
        api.send(project, error(type_))
    assert [issue["short_id"] for issue in api.issues(one, "sort=first_seen&order=asc")] == ["ONE-1", "ONE-2", "ONE-3"]
    assert [issue["short_id"] for issue in api.issues(two, "sort=first_seen&order=asc")] == ["TWO-1", "TWO-2"]


def test_a_resolved_issue_reopens_and_a_muted_one_does_not(api: Api) -> None:
    """API.md Issues S5: an event received after an issue was resolved reopens it; a muted one counts on."""
    project = api.project()
    api.send(project, error())
    api.clock.forward(10)
    resolved = api.patch("/api/issues/1", {"state": "resolved"}).json
    assert resolved["resolved_at"] == "2024-01-15T10:30:10Z"
    api.clock.forward(10)
    assert api.patch("/api/issues/1", {"state": "resolved"}).json == resolved
    api.send(project, error(), release="3.0", timestamp="2024-01-15T10:00:00Z")
    regressed = api.get("/api/issues/1").json
    assert (regressed["state"], regressed["resolved_at"]) == ("open", None)
    assert (regressed["regressed_at"], regressed["regressed_in"]) == ("2024-01-15T10:30:20Z", "3.0")
    api.patch("/api/issues/1", {"state": "muted"})
    api.clock.forward(10)
    api.send(project, error())
    muted = api.get("/api/issues/1").json
    assert (muted["state"], muted["event_count"], muted["resolved_at"]) == ("muted", 3, None)
    assert muted["first_seen"] == "2024-01-15T10:00:00Z"


def test_deleting_an_issue_deletes_its_grouping(api: Api) -> None:
    """API.md Issues S6: deleting an issue deletes its events and grouping: the same error later opens a new issue."""
    project = api.project("app")
    event = api.send(project, error())
    api.delete("/api/issues/1")
    assert api.issues(project) == []
    assert api.get(f"/api/events/{event}").status_code == 404
    assert api.get("/api/issues/1/events").status_code == 404
    api.send(project, error())
    again = api.issues(project)
    assert [issue["short_id"] for issue in again] == ["APP-2"]
    assert again[0]["event_count"] == 1
