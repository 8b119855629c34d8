"""The backend on the page "Write a backend" is installed as another package would be, and keeps the contract."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rustrak_storage import testing
from tests.docs.pages import PYTHONS, ROOT, blocks_of

PAGE = "docs/how-to/write-a-backend.md"


def install(folder: Path) -> None:
    """Put the page's files into *folder*, with what an installer would write for its entry point."""
    blocks = blocks_of(PAGE)
    backend, tests = [block.code for block in blocks if block.language in PYTHONS]
    (project,) = [tomllib.loads(block.code)["project"] for block in blocks if block.language == "toml"]
    (folder / "rustrak_journal.py").write_text(backend)
    (folder / "test_journal.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    about = folder / "rustrak_journal-1.0.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1.0\n")
    (points,) = project["entry-points"].items()
    lines = [f"[{points[0]}]", *(f"{name} = {value}" for name, value in points[1].items())]
    about.joinpath("entry_points.txt").write_text("\n".join(lines) + "\n")


def test_it_inherits_all() -> None:
    """The page names every class of the contract, also those for stores that can do more."""
    text = (ROOT / PAGE).read_text()
    contracts = {name for name in testing.__all__ if name.endswith("Contract")}
    assert set(re.findall(r"testing\.(\w+Contract)", text)) == contracts


@pytest.mark.slow
def test_it_keeps_the_contract(tmp_path: Path) -> None:
    """All of the contract's tests pass on it, and a command works on it by its URL."""
    install(tmp_path)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "RUSTRAK_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_journal.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=900, check=False)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0, done.stdout[-4000:]
    assert passed is not None
    assert int(passed[1]) > 150
    assert "failed" not in done.stdout
    rustrak = [sys.executable, "-m", "rustrak_http.cli", "project"]
    url = ["--database-url", f"journal:///{tmp_path}/errors.journal"]
    said = [
        subprocess.run(
            [*rustrak, *arguments, *url], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=True
        ).stdout
        for arguments in (["create", "shop"], ["list"])
    ]
    assert "shop" in said[1]
