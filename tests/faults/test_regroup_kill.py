"""`rustrak regroup` killed in the middle: run again it goes on, and taken back, all is as it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.project import ProjectId
from rustrak_core.times import from_micros
from rustrak_storage import open_store

pytestmark = pytest.mark.slow

EVENTS = int(os.environ.get("RUSTRAK_TEST_REGROUP_EVENTS", "6000"))
RULES = """
[[rule]]
type = "Error1?"
fingerprint = ["ten together"]

[[rule]]
tags.region = "eu"
fingerprint = ["{{ default }}", "eu"]
"""
# All that is seen; `era` only ever grows, and so do ids that were used.
LIVE = "i.deleted_at IS NULL AND i.leads_to IS NULL"
ROWS = {
    "issue": f"SELECT i.* FROM rustrak_issue i WHERE {LIVE} ORDER BY id",
    "key": "SELECT * FROM rustrak_grouping_key ORDER BY value, mechanism",
    "event": "SELECT * FROM rustrak_event ORDER BY id",
    "facet": f"SELECT f.* FROM rustrak_facet f JOIN rustrak_issue i ON i.id = f.issue_id WHERE {LIVE} ORDER BY 1, 2, 3",
    "facet_key": f"SELECT f.* FROM rustrak_facet_key f JOIN rustrak_issue i ON i.id = f.issue_id WHERE {LIVE} "
    "ORDER BY 1, 2",
    "user": f"SELECT u.* FROM rustrak_issue_user u JOIN rustrak_issue i ON i.id = u.issue_id WHERE {LIVE} "
    "ORDER BY 1, 2",
    "counter": "SELECT * FROM rustrak_counter",
    "project": "SELECT id, slug, event_count, issue_count FROM rustrak_project",
}


def event(number: int) -> AcceptedEvent:
    kind = number * number % 40
    frames = [{"module": "shop.orders", "function": f"ship{kind}", "in_app": True}]
    value = {"type": f"Error{kind}", "value": f"order {number} failed", "stacktrace": {"frames": frames}}
    payload = {
        "exception": {"values": [value]},
        "tags": {"region": ("eu", "us", "ap")[number % 3], "n": str(number)},
        "user": {"id": number % 100},
        "release": f"1.{number % 7}",
    }
    return AcceptedEvent(
        project_id=ProjectId(1),
        event_id=UUID(int=number + 1),
        received_at=from_micros(1_700_000_000_000_000 + number),
        payload=json.dumps(payload).encode(),
    )


def dump(file: Path) -> dict[str, Any]:
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        rows = {
            name: [{**row, "era": None} for row in connection.execute(text(query)).mappings()]
            for name, query in ROWS.items()
        }
    engine.dispose()
    return rows


class Command:
    """Runs `rustrak regroup` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *args: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "rustrak_http.cli", "regroup", *map(str, args), "--data-dir", str(self.folder)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *args: object) -> str:
        process = self.start(*args)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        return out.decode()


def killed(process: subprocess.Popen[bytes], file: Path, size: int) -> bool:
    """Kill the process once *file* is of *size*; return whether it had not ended before."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and process.poll() is None:
        if file.exists() and file.stat().st_size >= size:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.002)
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


def test_killed(tmp_path: Path) -> None:
    """Killed several times on the way, there and back, it ends as if it had not been."""
    file, undo, rules = tmp_path / "rustrak.db", tmp_path / "undo.jsonl", tmp_path / "rules.toml"
    rules.write_text(RULES)
    store = open_store(f"sqlite:///{file}")
    store.create_project("shop", sentry_key="1" * 8 + "-1111-1111-1111-" + "1" * 12, now=from_micros(0))
    for start in range(0, EVENTS, 500):
        store.record([digest(event(number)) for number in range(start, min(start + 500, EVENTS))])
    store.close()
    before = dump(file)
    rustrak = Command(tmp_path)
    apply = ("--project", "shop", "--rules", rules, "--apply", "--undo-file", undo)
    kills = 0
    for _ in range(3):
        size = undo.stat().st_size if undo.exists() else 1000
        kills += killed(rustrak.start(*apply), undo, size + 3000)
    assert kills >= 2
    done = json.loads(rustrak.run(*apply, "--json"))
    assert done["undo_file"] == str(undo)
    told = json.loads(rustrak.run("--project", "shop", "--dry-run", "--json"))
    assert (told["events"], told["moved"], told["rekeyed"], told["merged"]) == (EVENTS, 0, 0, 0)
    after = dump(file)
    assert after["event"] != before["event"]
    assert sum(row["event_count"] for row in after["issue"]) == EVENTS
    undoing = rustrak.start("--undo", undo)
    time.sleep(1.5)
    undoing.send_signal(signal.SIGKILL)
    undoing.communicate(timeout=60)
    if undoing.returncode != 0:
        rustrak.run("--undo", undo)
    assert dump(file) == before
