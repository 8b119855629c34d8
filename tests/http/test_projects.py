"""API.md, Projects."""

from collections.abc import Callable

import pytest

from tests.http.conftest import Api, both_backends, envelope, error, key
from tests.http.fakes import FakeSpool

pytestmark = both_backends


def test_projects_are_listed_in_the_documented_shape(api: Api) -> None:
    """API.md Projects D1: GET /api/projects: id, name, slug, sentry_key, created_at."""
    project = api.project("my-app")
    listed = api.get("/api/projects").json
    assert listed == {"data": [project]}
    documented = {
        "id": 1,
        "name": "my-app",
        "slug": "my-app",
        "sentry_key": project["sentry_key"],
        "created_at": "2024-01-15T10:30:00Z",
    }
    assert project.items() >= documented.items()
    assert [len(part) for part in project["sentry_key"].split("-")] == [8, 4, 4, 4, 12]


def test_a_project_is_made_read_renamed_and_deleted(api: Api) -> None:
    """API.md Projects D2: GET, POST (201), PATCH and DELETE of a project."""
    created = api.post("/api/projects", {"name": "my-app"})
    assert created.status_code == 201
    assert api.get("/api/projects/1").json == created.json
    renamed = api.patch("/api/projects/1", {"name": "new-name"})
    assert renamed.status_code == 200
    assert renamed.json == {**created.json, "name": "new-name"}
    assert api.get("/api/projects/1").json == renamed.json
    assert api.delete("/api/projects/1").json == renamed.json
    assert api.get("/api/projects/1").status_code == 404
    assert api.delete("/api/projects/1").status_code == 404
    assert api.patch("/api/projects/1", {"name": "x"}).status_code == 404


def test_a_project_shows_its_dsn_and_counts(make_api: Callable[..., Api]) -> None:
    """API.md Projects S1: `dsn` from the public URL or the request's host, its key without hyphens; both counts."""
    api = make_api()
    project = api.post("/api/projects", {"name": "a"}, host="errors.test", port=8080).json
    assert project["dsn"] == f"http://{key(project)}@errors.test:8080/1"
    assert "-" in project["sentry_key"]
    assert (project["event_count"], project["issue_count"]) == (0, 0)
    api.send(project, error("A"), event_id="1" * 32)
    api.send(project, error("A"))
    api.send(project, error("B"))
    api.send(project, error("B"), event_id="1" * 32)
    shown = api.get("/api/projects/1").json
    assert (shown["event_count"], shown["issue_count"]) == (3, 2)
    public = make_api(public_url="https://errors.example.com/sub/").get("/api/projects/1").json
    assert public["dsn"] == f"https://{key(project)}@errors.example.com/sub/1"


NO_HOSTS = ["evil/../host", "a b", "x\u00e9", "", "a@b", 'a">b', "a,b", "a:0", "a:65536", "a:-1", "[1.2]", "a" * 256]


@pytest.mark.parametrize("host", NO_HOSTS)
def test_a_host_that_is_none_is_not_repeated(api: Api, host: str) -> None:
    """A Host header can say anything; a DSN made of it would mislead whoever pastes it, or be none at all."""
    answer = api.post("/api/projects", {"name": "a"}, headers={"Host": host}, host="127.0.0.1", port=80)
    assert answer.status_code == 201, answer.text
    assert answer.json["dsn"].endswith("@127.0.0.1:80/1")


def test_forwarding_headers_are_not_trusted(api: Api) -> None:
    """What a stranger writes into X-Forwarded-Host is in nobody's DSN."""
    headers = {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https", "Forwarded": "host=evil.test"}
    assert "evil" not in api.post("/api/projects", {"name": "a"}, headers=headers).json["dsn"]


@pytest.mark.parametrize(
    ("names", "slugs"),
    [
        (["My App!"], ["my-app"]),
        (["Ünïcode Straße"], ["unicode-strae"]),
        (["  --A__b  "], ["a-b"]),
        (["日本語", "日本"], ["project-1", "project-2"]),
        (["a", "A", "a!"], ["a", "a-2", "a-3"]),
        (["x" * 255], ["x" * 50]),
        (["x" * 50, "x" * 51], ["x" * 50, "x" * 48 + "-2"]),
    ],
)
def test_slugs(api: Api, names: list[str], slugs: list[str]) -> None:
    """API.md Projects S2: slugs: NFKD to ASCII, lower case, at most 50, unique, else `project-{id}`."""
    assert [api.project(name)["slug"] for name in names] == slugs


def test_a_slug_never_changes_meaning(api: Api) -> None:
    """API.md Projects S2: a deleted project's slug is not used again and renaming keeps it."""
    api.project("app")
    assert api.patch("/api/projects/1", {"name": "other"}).json["slug"] == "app"
    api.delete("/api/projects/1")
    assert api.project("app")["slug"] == "app-2"
    assert api.project("other")["slug"] == "other"


@pytest.mark.parametrize("name", ["x", "x" * 255, "  padded  ", "日本語のアプリ", "עברית", "🐍" * 255, "a\tb"])
def test_names_of_any_script(api: Api, name: str) -> None:
    """API.md Projects S2: names are 1 to 255 characters once trimmed, of any script."""
    assert api.project(name)["name"] == name.strip()
    assert api.get("/api/projects/1").json["name"] == name.strip()


def test_deleting_a_project_takes_all_of_it(api: Api) -> None:
    """API.md Projects S3: deleting a project deletes its issues and events; it is gone at once, and so is its key."""
    project, other = api.project("a"), api.project("b")
    event = api.send(project, error())
    issue = api.issues(project)[0]
    kept = api.send(other, error())
    assert api.delete("/api/projects/1").status_code == 200
    for path in (
        "/api/projects/1",
        "/api/projects/1/issues",
        "/api/projects/1/stats",
        f"/api/issues/{issue['id']}",
        f"/api/issues/{issue['short_id']}",
        f"/api/issues/{issue['id']}/events",
        f"/api/events/{event}",
    ):
        assert api.get(path).status_code == 404, path
    assert api.envelope(project, envelope({"event_id": "2" * 32})).status_code == 404
    assert api.get(f"/api/events/{kept}").status_code == 200
    assert [row["id"] for row in api.get("/api/projects").json["data"]] == [2]


def test_a_new_project_takes_events_at_once(api: Api) -> None:
    """API.md Projects S3: a key not yet known to a process is looked up in the store before it is refused."""
    nobody = {"id": 1, "sentry_key": "0" * 32}
    assert api.envelope(nobody, envelope({}, "session")).status_code == 404
    api.send(api.project(), error())


OUTCOMES = (
    "stored",
    "duplicate",
    "filtered",
    "rate_limited",
    "invalid",
    "too_large",
    "shed",
    "deleted",
    "quarantined",
    "queued",
)


def test_stats_account_for_every_event(make_api: Callable[..., Api]) -> None:
    """API.md Projects S4: GET /api/projects/{id}/stats: a row a day, newest first, and the sum is exact."""
    api = make_api()
    project = api.project()
    assert api.get("/api/projects/1/stats").json == {"data": []}
    api.send(project, error(), event_id="1" * 32)
    api.send(project, error(), event_id="1" * 32)
    assert api.envelope(project, b"broken\n").status_code == 400
    assert api.envelope(project, envelope({"event_id": "3" * 32, "x": "y" * (1 << 20)})).status_code == 413
    assert api.envelope(project, envelope(b"[1]", event_id="4" * 32)).status_code == 200
    assert api.envelope(project, envelope({}, "session")).status_code == 200
    report = {"discarded_events": [{"reason": "before_send", "category": "error", "quantity": 7}]}
    assert api.envelope(project, envelope(report, "client_report")).status_code == 200
    api.clock.forward(86_400)
    api.send(project, error())
    spool = FakeSpool()
    queueing = make_api(spool=spool)
    queueing.send(project, error(), event_id="5" * 32)
    rows = queueing.get("/api/projects/1/stats").json["data"]
    assert [row["day"] for row in rows] == ["2024-01-16", "2024-01-15"]
    assert all(row["received"] == sum(row[outcome] for outcome in OUTCOMES) for row in rows)
    assert (rows[0]["stored"], rows[0]["queued"], rows[0]["received"]) == (1, 1, 2)
    zero = dict.fromkeys(OUTCOMES, 0)
    expected = {**zero, "day": "2024-01-15", "received": 5, "stored": 1, "duplicate": 1, "invalid": 2, "too_large": 1}
    assert rows[1] == {**expected, "sdk_dropped": {"before_send": 7}}


def test_stats_take_a_range_of_days(api: Api) -> None:
    """API.md Projects S4: `?since=&until=`, days in UTC, both included."""
    project = api.project()
    for _ in range(3):
        api.send(project, error())
        api.clock.forward(86_400)
    path = "/api/projects/1/stats"
    days = ["2024-01-17", "2024-01-16", "2024-01-15"]
    assert [row["day"] for row in api.get(path).json["data"]] == days
    assert [row["day"] for row in api.get(f"{path}?since=2024-01-16").json["data"]] == days[:2]
    assert [row["day"] for row in api.get(f"{path}?until=2024-01-15").json["data"]] == days[2:]
    assert [row["day"] for row in api.get(f"{path}?since=2024-01-16&until=2024-01-16").json["data"]] == days[1:2]
    assert api.get(f"{path}?since=2030-01-01").json == {"data": []}
    assert api.get(f"{path}?until=0001-01-01").json == {"data": []}
    assert api.get(f"{path}?since=2024-01-17&until=2024-01-15").json == {"data": []}
    assert [row["day"] for row in api.get(f"{path}?since=0001-01-01&until=9999-12-31").json["data"]] == days


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("since=yesterday", "since"),
        ("since=2024-1-1", "since"),
        ("since=2024-02-30", "since"),
        ("since=20240115", "since"),
        ("until=", "until"),
        ("until=2024-01-15T00:00:00Z", "until"),
    ],
)
def test_bad_ranges_are_refused(api: Api, query: str, name: str) -> None:
    """API.md Projects S4 and Conventions S2: a bad range of days is 400 and named."""
    api.project()
    answer = api.get("/api/projects/1/stats", query_string=query)
    assert answer.status_code == 400
    assert answer.json["error"].startswith(f"{name}: ")
