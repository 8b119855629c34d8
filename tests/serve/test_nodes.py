"""Nodes of one database, each with a data directory: what is changed on one is in force on another within seconds.

How soon exactly is said by the tests of `StoredKeyRing`, `TokenGate` and `Digester`, whose clocks stand still.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from rustrak_http.gate import REFUSAL_S
from rustrak_storage import keys
from tests.databases import new_database, text_of
from tests.serve.support import Served, exception

pytestmark = [pytest.mark.slow, pytest.mark.needs_server]

RULES = """
[[rule]]
type = "*Timeout*"
fingerprint = ["network"]
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Served]]:
    """Two servers, each with its workers, that have both met the project and the token."""
    folder: Path = tmp_path_factory.mktemp("nodes")
    with new_database("postgres") as url:
        options = "--database-url", text_of(url)
        with Served(folder / "a", *options) as here, Served(folder / "b", *options, like=here) as there:
            for node in (here, there):
                assert node.send(uuid4(), message="warm") == 200
                assert node.get("/api/projects")["data"]
            yield here, there


def in_force_s(node: Served, condition: object, what: str) -> None:
    """Wait until *condition* holds, and print how long it took."""
    begun = time.monotonic()
    node.wait_for(condition, what, within_s=60)
    print(f"{what}: after {time.monotonic() - begun:.1f} s")


def test_a_project_is_known_and_forgotten_everywhere(nodes: tuple[Served, Served]) -> None:
    """Events for a new project are taken at once by the other node, and refused seconds after it was deleted."""
    here, there = nodes
    status, project = here.ask("POST", "/api/projects", {"name": "Brief"})
    assert status == 201
    key = project["dsn"].partition("://")[2].partition("@")[0]

    def send() -> int:
        return there.send(uuid4(), project=(project["id"], key), **exception("BriefError"))

    assert send() == 200
    there.wait_for(lambda: here.get(f"/api/projects/{project['id']}")["event_count"] == 1, "the event")
    assert here.ask("DELETE", f"/api/projects/{project['id']}")[0] == 200
    in_force_s(there, lambda: all(send() == 404 for _ in range(12)), "a deleted project, in each process")
    assert there.ask("GET", f"/api/projects/{project['id']}")[0] == 404


def test_a_token_is_valid_and_revoked_everywhere(nodes: tuple[Served, Served]) -> None:
    """A token is taken by the other node as soon as it is made, and refused as soon as it is deleted."""
    here, there = nodes
    status, token = here.ask("POST", "/api/tokens", {})
    assert status == 201
    assert there.ask("GET", "/api/projects", token=token["token"])[0] == 200
    assert here.ask("DELETE", f"/api/tokens/{token['id']}")[0] == 200
    assert there.ask("GET", "/api/projects", token=token["token"])[0] == 401


def test_rules_are_gone_by_everywhere(nodes: tuple[Served, Served]) -> None:
    """Rules that were put on a node are gone by in the worker of the other."""
    here, there = nodes
    path = f"/api/projects/{here.project_id}/grouping"
    assert here.ask("PUT", path, {"rules": RULES})[0] == 200

    def is_grouped_so() -> bool:
        event_id = uuid4()
        assert there.send(event_id, **exception("ReadTimeout")) == 200
        there.wait_for(lambda: there.ask("GET", f"/api/events/{event_id}")[0] == 200, "the event")
        return bool(there.get(f"/api/events/{event_id}")["grouping"]["decided_by"] == "rule")

    in_force_s(there, is_grouped_so, "rules")


def test_what_is_remembered_is_asked_for_again_within_five_seconds() -> None:
    """A key is trusted, and a refusal remembered, for less than what is promised for all nodes."""
    assert keys.KNOWN_S + keys.AWAY_S <= 5
    assert max(keys.REFUSED_S, REFUSAL_S) <= 5
