"""The tutorial "Ask your errors", done as a reader does it, from an export to a chart."""

import subprocess
import sys
from pathlib import Path

from tests.docs.pages import ASK, PYTHONS, blocks_of, shell_env


def test_ask_your_errors(tmp_path: Path) -> None:
    """Each step does what the page says."""

    def run(*command: str) -> str:
        return subprocess.run(
            command, cwd=tmp_path, env=shell_env(tmp_path), check=True, stdout=subprocess.PIPE, text=True, timeout=240
        ).stdout

    said = []
    for number, block in enumerate(block for block in blocks_of(ASK) if block.reason is None):
        if block.language in PYTHONS:
            (tmp_path / f"step_{number}.py").write_text(block.code)
            said.append(run(sys.executable, f"step_{number}.py"))
        else:
            said.append(run("bash", "-euo", "pipefail", "-c", block.code))
    _trouble, export, names, top, lift, weeks, types, page = said
    assert "600 new events; 600 events of 3 issues" in export
    assert "top-issues" in names
    assert top.index("KeyError") < top.index("TimeoutError") < top.index("ValueError")
    assert lift.splitlines()[1].split()[:2] == ["region", "eu"]
    assert "TimeoutError" in weeks
    assert sum(int(line.split()[1]) for line in types.splitlines()) == 600
    assert "report.html" in page
    assert (tmp_path / "timeouts.png").read_bytes().startswith(b"\x89PNG")
    assert "SHOP-1" in (tmp_path / "report.html").read_text()
