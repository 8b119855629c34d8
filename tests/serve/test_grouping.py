"""A project's rules, put over HTTP, as a server of several processes goes by them."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.serve.support import Served, exception

pytestmark = pytest.mark.slow

RULES = """
[[rule]]  # a region that is away is one issue
type = ["ConnectionError", "*Timeout*"]
tags.region = "eu-*"
fingerprint = ["network", "{{ tags.region }}"]
"""


def change(served: Served, method: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Send a change of the project's grouping, and return status and answer."""
    with contextlib.closing(served.connect()) as client:
        path = f"/api/projects/{served.project_id}/grouping"
        client.request(method, path, json.dumps(body), {"Authorization": f"Bearer {served.token}"})
        response = client.getresponse()
        return response.status, json.loads(response.read())


def send(served: Served, kind: str, value: str) -> UUID:
    """Send an error from eu-west, and return its id."""
    event_id = uuid4()
    assert served.send(event_id, **exception(kind, value), tags={"region": "eu-west"}) == 200
    return event_id


def digested(served: Served, event_id: UUID, within_s: float = 20) -> Any:
    """Return an event once it can be read."""
    until = time.monotonic() + within_s
    while True:
        try:
            return served.get(f"/api/events/{event_id}")
        except AssertionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def test_rules_reach_the_worker(tmp_path: Path) -> None:
    """What is received two seconds after rules were put is grouped by them, and explained, also by the command line."""
    with Served(tmp_path / "data", "--workers", "2") as served:
        before = [digested(served, send(served, kind, "x")) for kind in ("ReadTimeout", "ConnectionError")]
        assert before[0]["issue_id"] != before[1]["issue_id"]
        status, refused = change(served, "PUT", {"rules": RULES.replace("fingerprint", "fingerprnt")})
        assert (status, refused["error"][:32]) == (400, "rules: line 5: `fingerprnt` is u")
        status, kept = change(served, "PUT", {"rules": RULES})
        assert (status, kept["rules_count"], kept["used"]) == (200, 1, ["anchor@1"])
        time.sleep(2.1)
        after = [digested(served, send(served, kind, "y")) for kind in ("ReadTimeout", "ConnectionError")]
        assert after[0]["issue_id"] == after[1]["issue_id"] not in {event["issue_id"] for event in before}
        grouping = after[0]["grouping"]
        assert (grouping["decided_by"], grouping["rules"]) == ("rule", ["rule 1 (line 2): sets the fingerprint"])
        assert [part["value"] for part in grouping["parts"]] == ["network", "eu-west"]
        command = [sys.executable, "-m", "rustrak_http.cli", "explain", after[0]["id"], "--data-dir", tmp_path / "data"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "A rule of the project sets a fingerprint" in said

        status, pinned = change(served, "PATCH", {"mechanism": "message@1"})
        assert (status, pinned["pinned"], pinned["rules_count"]) == (200, "message@1", 1)
        time.sleep(2.1)
        event = digested(served, send(served, "KeyError", "'pear'"))
        assert event["grouping"]["mechanism"] == "message@1"
        assert served.get(f"/api/projects/{served.project_id}/grouping")["used"] == ["anchor@1", "message@1"]
        assert served.stop() == 0
        assert served.stderr.read_text() == ""
