"""``/api/projects/{id}/grouping``: rules and the pinned mechanism, and what they do to events that come in."""

from collections.abc import Callable
from typing import Any

import pytest

from rustrak_core.ambient import utc_now
from tests.http.conftest import Api, both_backends, error

RULES = '[[rule]]\ntype = ["ConnectionError", "*Timeout*"]\nfingerprint = ["network"]\n'
PIN = 'mechanism = "message@1"\n'


def at(project: dict[str, Any]) -> str:
    return f"/api/projects/{project['id']}/grouping"


def issue_of(api: Api, event: str) -> Any:
    return api.get(f"/api/events/{event}").json["issue_id"]


@both_backends
def test_a_project_without_rules(api: Api, project: dict[str, Any]) -> None:
    """GET says which mechanism is in force, and that nothing was set."""
    assert api.get(at(project)).json == {
        "project_id": project["id"],
        "mechanism": "anchor@1",
        "pinned": None,
        "used": [],
        "rules": "",
        "rules_count": 0,
        "changed_at": None,
        "problem": None,
    }
    api.send(project, error())
    assert api.get(at(project)).json["used"] == ["anchor@1"]


@both_backends
def test_rules_hold_for_the_next_event(api: Api, project: dict[str, Any]) -> None:
    """PUT takes effect at once where events are recorded within the request, and GET shows what was put."""
    before = [issue_of(api, api.send(project, error(name))) for name in ("ConnectionError", "ReadTimeout")]
    assert len(set(before)) == 2
    answer = api.put(at(project), {"rules": RULES})
    assert answer.status_code == 200
    assert answer.json == api.get(at(project)).json
    assert (answer.json["rules"], answer.json["rules_count"]) == (RULES, 1)
    assert answer.json["changed_at"] == "2024-01-15T10:30:00Z"
    events = [api.send(project, error(name)) for name in ("ConnectionError", "ReadTimeout")]
    (together,) = {issue_of(api, event) for event in events}
    assert together not in before
    explained = api.get(f"/api/events/{events[0]}").json["grouping"]
    assert (explained["decided_by"], explained["rules"]) == ("rule", ["rule 1 (line 1): sets the fingerprint"])
    assert explained["note"] is None
    assert api.put(at(project), {"rules": ""}).json["rules_count"] == 0
    assert issue_of(api, api.send(project, error("ReadTimeout"))) == before[1]
    explained = api.get(f"/api/events/{events[0]}").json["grouping"]
    assert explained["parts"] == []
    assert explained["note"].startswith("By the project's rules of today, its key would be anchor@1:")


@both_backends
def test_a_pinned_mechanism(api: Api, project: dict[str, Any]) -> None:
    """PATCH changes the pin alone, PUT may hold one; known errors are found by the mechanism that came first."""
    known = issue_of(api, api.send(project, error("OSError", "disk 7 is full")))
    api.put(at(project), {"rules": RULES})
    answer = api.patch(at(project), {"mechanism": "message@1"})
    assert answer.status_code == 200
    assert answer.json["rules"] == f"{PIN}\n{RULES}"
    assert (answer.json["mechanism"], answer.json["pinned"]) == ("message@1", "message@1")
    assert answer.json["used"] == ["anchor@1"]
    again = api.send(project, error("OSError", "disk 8 is full"))
    assert issue_of(api, again) == known
    assert api.get(f"/api/events/{again}").json["grouping"]["mechanism"] == "anchor@1"
    fresh = api.send(project, error("KeyError", "'pear'"))
    assert api.get(f"/api/events/{fresh}").json["grouping"]["mechanism"] == "message@1"
    assert api.get(at(project)).json["used"] == ["anchor@1", "message@1"]
    answer = api.patch(at(project), {"mechanism": None})
    assert (answer.json["rules"], answer.json["pinned"]) == (RULES, None)
    assert answer.json["mechanism"] == "anchor@1"
    assert api.put(at(project), {"rules": PIN}).json["pinned"] == "message@1"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"rules": "[[rule]]\nmask = 'x'\n\n[[rule]]\ntipe = 1"}, "rules: line 5: `tipe` is unknown"),
        ({"rules": 'mechanism = "anchor@99"'}, "rules: line 1: `mechanism` is one of message@1, anchor@1"),
        ({"rules": "[[rule]]\nmask = '('"}, "rules: line 2: `mask` is no regular expression"),
        ({"rules": "[[rule"}, "rules: line 1: no TOML"),
        ({"rules": "#" * 65_537}, "rules: line 1: longer than 65,536 bytes"),
        ({"rules": "[[rule]]\nmask = 'x'\n" * 201}, "rules: line 401: more than 200 rules"),
        ({"rules": 5}, "rules: must be a string"),
        ({"rules": None}, "rules: must be a string"),
        ({}, "rules: required"),
        ({"rules": "", "mechanism": None}, "mechanism: unknown"),
        (b'{"rules": "\\ud800"}', "rules: line 1: a lone surrogate"),
        ([], "body: must be a JSON object"),
    ],
)
def test_refused_rules_name_the_line(api: Api, project: dict[str, Any], body: Any, fault: str) -> None:
    """What is no rule is 400 with its line, and what there was stays."""
    kept = api.put(at(project), {"rules": RULES}).json
    answer = api.put(at(project), body)
    assert answer.status_code == 400
    assert answer.json["error"].startswith(fault)
    assert api.get(at(project)).json == kept


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"mechanism": "anchor@99"}, "mechanism: must be one of message@1, anchor@1, or null"),
        ({"mechanism": 1}, "mechanism: must be a string or null"),
        ({}, "mechanism: required"),
        ({"mechanism": None, "rules": ""}, "rules: unknown"),
    ],
)
def test_refused_pins(api: Api, project: dict[str, Any], body: Any, fault: str) -> None:
    """A pin names a mechanism or none, and nothing else."""
    answer = api.patch(at(project), body)
    assert answer.status_code == 400
    assert answer.json["error"].startswith(fault)


@both_backends
def test_rules_of_another_version_lose_no_event(
    api: Api, project: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Events come in without rules that cannot be read; one line in the log says so, without them, and the API why."""
    api.store.set_grouping(project["id"], "[[rule]]\nmask = 'x'\nsecret = 'y'", now=utc_now())
    for number in range(5):
        api.clock.forward(70)
        event = api.send(project, error(value=f"{number}"))
        assert api.get(f"/api/events/{event}").json["grouping"]["mechanism"] == "anchor@1"
    lines = [record.getMessage() for record in caplog.records if record.name == "rustrak.grouping"]
    assert lines == [f"rules_unreadable project={project['id']} line=3"]
    shown = api.get(at(project)).json
    assert shown["problem"].startswith("the rules are not in force, since line 3: `secret` is unknown")
    assert (shown["rules_count"], shown["mechanism"]) == (0, "anchor@1")
    answer = api.patch(at(project), {"mechanism": "message@1"})
    assert (answer.status_code, answer.json["error"][:14]) == (400, "rules: line 3:")


@pytest.mark.parametrize("number", ["9", "x", "0"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
def test_no_such_project(api: Api, number: str, method: str) -> None:
    """What does not exist is 404, also where the body would be wrong."""
    assert api(method, f"/api/projects/{number}/grouping", b"nonsense").status_code == 404


def test_methods(api: Api, project: dict[str, Any]) -> None:
    """The route says which methods it takes."""
    answer = api.post(at(project), {})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, PUT, PATCH, HEAD, OPTIONS")


def test_another_process_is_heard_of_soon(make_api: Callable[..., Api]) -> None:
    """An application goes by rules that another one set two seconds ago."""
    here, there = make_api(), make_api()
    project = here.project()
    first = issue_of(here, here.send(project, error("ReadTimeout")))
    there.put(at(project), {"rules": RULES})
    assert issue_of(here, here.send(project, error("ReadTimeout"), event_id="a" * 32)) == first
    here.clock.forward(2)
    assert issue_of(here, here.send(project, error("ReadTimeout"), event_id="b" * 32)) != first
