"""API.md, Conventions S6: how lists are paged, and what their queries may say."""

import itertools
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.http.conftest import Api, both_backends, error


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=abc", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=1.0", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=5&limit=6", "limit"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=%ff%00", "cursor"),
        ("sort=name", "sort"),
        ("order=up", "order"),
        ("state=closed", "state"),
        ("state=", "state"),
        ("level=awful", "level"),
        ("environment=", "environment"),
        ("release=a&release=b", "release"),
        ("q=%00", "q"),
        (f"q={'+'.join(['a'] * 33)}", "q"),
        (f"q={'a' * 1001}", "q"),
    ],
)
def test_bad_query_values_are_named(api: Api, query: str, name: str) -> None:
    """API.md Conventions S2: a bad query value: 400, naming the path of the fault."""
    api.project()
    answer = api.get("/api/projects/1/issues", query_string=query)
    assert answer.status_code == 400
    assert answer.json["error"].startswith(f"{name}: ")


def test_unknown_query_parameters_are_ignored(api: Api) -> None:
    """A parameter that we do not have is no fault: caches and proxies add some."""
    assert api.get("/api/projects?utm=1&%ff=%00").status_code == 200


def _pages(api: Api, path: str, limit: int) -> list[list[Any]]:
    pages = []
    target = f"{path}{'&' if '?' in path else '?'}limit={limit}"
    while True:
        answer = api.get(target)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json["data"])
        if "next_cursor" not in answer.json:
            assert "link" not in answer.headers
            return pages
        link = re.fullmatch(r'<(http://[^>]+)>; rel="next"', answer.headers["link"])
        assert link is not None
        parts = urlsplit(link[1])
        assert f"cursor={answer.json['next_cursor']}" in parts.query
        target = f"{parts.path}?{parts.query}"


@both_backends
@pytest.mark.parametrize("sort", ["", "sort=first_seen&order=asc", "sort=event_count", "order=asc&q=boom"])
def test_lists_page_by_keyset(api: Api, sort: str) -> None:
    """API.md Conventions S6: `next_cursor` and a `Link` where more follows; no row repeats or vanishes."""
    project = api.project()
    for number in range(7):
        api.clock.forward(1)
        for _ in range(1 + number % 3):
            api.send(project, error(f"Error{number}", f"boom {number}"))
    path = f"/api/projects/{project['id']}/issues?{sort}"
    whole = _pages(api, path, 100)
    assert len(whole) == 1
    for limit in (1, 3, 7):
        pages = _pages(api, path, limit)
        assert list(itertools.chain(*pages)) == whole[0]
        assert all(len(page) == limit for page in pages[:-1])
        assert len(pages[-1]) > 0


@both_backends
def test_projects_tokens_and_events_page_too(api: Api) -> None:
    """API.md Conventions S6: lists page by keyset, all of them."""
    for number in range(5):
        api.project(f"app {number}")
        api.post("/api/tokens", {"description": str(number)})
    for _ in range(5):
        api.clock.forward(1)
        api.send(api.get("/api/projects/1").json, error())
    for path in ("/api/projects", "/api/tokens", "/api/issues/1/events", "/api/issues/APP-0-1/events"):
        whole = _pages(api, path, 100)[0]
        assert len(whole) >= 5
        assert list(itertools.chain(*_pages(api, path, 2))) == whole


@both_backends
def test_rows_that_come_or_go_move_no_other_row(api: Api) -> None:
    """API.md Conventions S6: rows that come or go meanwhile make no other row repeat or vanish."""
    for number in range(1, 7):
        api.project(f"app {number}")
    first = api.get("/api/projects?limit=3").json
    api.delete("/api/projects/2")
    api.delete("/api/projects/3")
    api.project("late")
    second = api.get(f"/api/projects?limit=3&cursor={first['next_cursor']}").json
    assert [row["id"] for row in second["data"]] == [4, 5, 6]
    third = api.get(f"/api/projects?limit=3&cursor={second['next_cursor']}").json
    assert [row["name"] for row in third["data"]] == ["late"]


@both_backends
def test_a_cursor_is_good_for_its_own_list_only(api: Api) -> None:
    """API.md Conventions S6: a cursor made up, or given to another sort or filter, is 400."""
    for name in ("a", "b"):
        project = api.project(name)
        api.send(project, error("A"))
        api.send(project, error("B"))
    path = "/api/projects/1/issues"
    cursor = api.get(f"{path}?limit=1&level=error").json["next_cursor"]
    assert api.get(f"{path}?limit=1&level=error&cursor={cursor}").status_code == 200
    assert api.get(f"{path}?limit=9&level=error&cursor={cursor}").status_code == 200
    for other in (
        f"{path}?cursor={cursor}",
        f"{path}?level=fatal&cursor={cursor}",
        f"{path}?level=error&sort=event_count&cursor={cursor}",
        f"{path}?level=error&order=asc&cursor={cursor}",
        f"{path}?level=error&q=x&cursor={cursor}",
        f"/api/projects/2/issues?level=error&cursor={cursor}",
        f"/api/projects?cursor={cursor}",
        f"{path}?level=error&cursor={cursor[:-2]}",
        f"{path}?level=error&cursor={cursor}A",
    ):
        answer = api.get(other)
        assert answer.status_code == 400
        assert answer.json["error"].startswith("cursor: ")
