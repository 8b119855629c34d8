"""Done when 4 of the main job: any Sentry SDK works by changing its DSN; here, real ones do."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Shop, run_node, run_python

pytestmark = pytest.mark.e2e

# What pip calls the newest is asked for without a version, so that a release that breaks us is noticed.
PYTHON_SDKS = ["sentry-sdk", "sentry-sdk==1.45.*"]


def assert_reported(shop: Shop, reported: dict[str, Any], *, functions: list[str]) -> None:
    """Both events can be read through the API, whole, and the issues that they opened; nothing sent was refused."""
    assert reported["answers"]
    assert {status for _, status in reported["answers"]} == {200}
    event = shop.event(reported["exception"])
    error = event["exception"]["values"][-1]
    assert (error["type"], error["value"]) == ("OutOfStockError", "not enough pear: wanted 2")
    assert [frame["function"] for frame in error["stacktrace"]["frames"]][-len(functions) :] == functions
    assert (event["release"], event["environment"]) == ("shop@1.2.3", "e2e")
    assert dict(event["tags"])["customer"] == "acme"
    assert (event["user"]["id"], event["user"]["email"]) == ("42", "ann@example.com")
    assert "pear put into the cart" in [crumb.get("message") for crumb in event["breadcrumbs"]["values"]]
    message = shop.event(reported["message"])
    assert message["level"] == "warning"
    issues = shop.get(f"/api/projects/{shop.id}/issues?sort=first_seen&order=asc")["data"]
    assert [(issue["type"], issue["message"], issue["event_count"]) for issue in issues] == [
        ("OutOfStockError", "not enough pear: wanted 2", 1),
        ("Message", "shop is open: ünïcödé 你好", 1),
    ]
    assert event["issue_id"] == issues[0]["id"]
    rows = shop.get(f"/api/issues/{issues[0]['short_id']}/events")["data"]
    assert [row["id"].replace("-", "") for row in rows] == [reported["exception"].replace("-", "")]
    day = shop.get(f"/api/projects/{shop.id}/stats")["data"][0]
    assert (day["received"], day["stored"]) == (2, 2)


@pytest.mark.parametrize("requirement", PYTHON_SDKS)
def test_sentry_python(shop: Shop, clients_dir: Path, requirement: str) -> None:
    """sentry-sdk reports an exception, a message, an attachment, a session and a transaction."""
    reported = run_python(clients_dir, requirement, shop.dsn)
    assert_reported(shop, reported, functions=["<module>", "order", "take"])


def test_sentry_node(shop: Shop, node_home: Path) -> None:
    """@sentry/node reports the same, in chunked bodies without a type."""
    reported = run_node(node_home, shop.dsn)
    assert reported["flushed"]
    assert_reported(shop, reported, functions=["order", "take"])


def test_sentry_cli(shop: Shop, node_home: Path, tmp_path: Path) -> None:
    """@sentry/cli sends an event from a shell."""
    note = tmp_path / "note.txt"
    note.write_text("attached")
    command = [str(node_home / "node_modules" / ".bin" / "sentry-cli"), "send-event", "--no-environ"]
    command += ["--message", "backup failed: %s", "--message-arg", "disk full", "--level", "fatal"]
    command += ["--tag", "host:db1", "--release", "ops@7", "--env", "e2e"]
    done = subprocess.run(
        command, env=os.environ | {"SENTRY_DSN": shop.dsn}, check=True, capture_output=True, text=True, timeout=60
    )
    found = re.search(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", done.stdout)
    assert found, done.stdout
    event = shop.event(found[0])
    assert (event["level"], event["release"], event["environment"]) == ("fatal", "ops@7", "e2e")
    assert dict(event["tags"])["host"] == "db1"
    issue = shop.get(f"/api/issues/{event['issue_id']}")
    assert (issue["type"], issue["message"]) == ("Message", "backup failed: disk full")
