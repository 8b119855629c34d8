"""The tutorial, done as a reader does it: a server, its snippet, and every command."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.docs.pages import PYTHONS, SHELLS, TUTORIAL, blocks_of, shell_env

KEY = "a1b2c3d4e5f67890abcdef1234567890"
TOKEN = "a1b2c3d4e5f67890a1b2c3d4e5f67890a1b2c3d4"
HOST = "127.0.0.1:8080"


class Reader:
    """Someone who follows the tutorial with a server that has its own port, key and token."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self._folder = folder
        dsn = urlsplit(facts["dsn"])
        self._own = {TOKEN: facts["token"], KEY: dsn.username or "", HOST: f"{dsn.hostname}:{dsn.port}"}
        self._shell = ""

    def python(self, code: str) -> str:
        """Save a script and run it; return what it printed."""
        (self._folder / "shop.py").write_text(self._mine(code))
        return self._run([sys.executable, "shop.py"]).strip()

    def shell(self, code: str) -> str:
        """Type into the second terminal; variables stay."""
        code = self._mine(code).replace(".venv/bin/", "")
        output = self._run(["bash", "-euo", "pipefail", "-c", self._shell + code])
        if code.startswith("export "):
            self._shell += code
        return output

    def _mine(self, code: str) -> str:
        for shown, own in self._own.items():
            code = code.replace(shown, own)
        return code

    def _run(self, command: list[str]) -> str:
        return subprocess.run(
            command,
            cwd=self._folder,
            env=shell_env(self._folder),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=240,
        ).stdout


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """Step 1 is done: the server runs, and has printed its first project."""
    env = shell_env(tmp_path) | {"RUSTRAK_PORT": "0"}
    command = [sys.executable, "-m", "rustrak_http.cli", "serve", "--json"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield Reader(tmp_path, json.loads(process.stdout.readline()))
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0


def test_tutorial(reader: Reader) -> None:
    """Each step does what the page says."""
    blocks = [block for block in blocks_of(TUTORIAL) if block.reason is None]
    (script,) = [block.code for block in blocks if block.language in PYTHONS]
    export, issues, events, command, resolve, again = [b.code for b in blocks if b.language in SHELLS]
    reader.shell(export)
    event_id = reader.python(script)
    assert re.fullmatch("[0-9a-f]{32}", event_id)
    (issue,) = eventually(reader, issues, lambda answer: len(answer["data"]) == 1)["data"]
    (shown,) = [json.loads(block.code) for block in blocks if block.language == "json"]
    assert {key: issue[key] for key in shown["data"][0] if key != "..."} == {
        key: value for key, value in shown["data"][0].items() if key != "..."
    }
    (row,) = json.loads(reader.shell(events))["data"]
    assert row["id"].replace("-", "") == event_id
    assert row["user"]["email"] == "ann@example.com"
    assert "not enough pear" in reader.shell(command)
    assert "ValueError: not enough pear" in reader.shell(f"rustrak event {event_id}")
    assert json.loads(reader.shell(resolve))["state"] == "resolved"
    reader.python(script)
    back = eventually(reader, again, lambda answer: answer["event_count"] == 2)
    assert (back["state"], back["regressed_in"]) == ("open", "shop@1.0.0")
    assert back["regressed_at"]


def eventually(reader: Reader, command: str, holds: Any) -> Any:
    """Ask until the worker, another process, has digested what was accepted."""
    answer = None
    for _ in range(100):
        answer = json.loads(reader.shell(command))
        if holds(answer):
            return answer
        reader.shell("sleep 0.1")
    pytest.fail(f"never came: {answer}")
