"""README and documentation as pages with blocks of code."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    if not {"_build", "changes"} & set(path.relative_to(ROOT).parts)
)
TUTORIAL = "docs/tutorial.md"
ASK = "docs/ask-your-errors.md"
IN_ORDER = {TUTORIAL, ASK}
"""Tutorials, whose steps follow one another; each has a test of its own."""
SHELLS = {"sh", "bash", "shell", "console", "zsh"}
PYTHONS = {"python", "py", "pycon"}

_FENCE = re.compile(
    r"(?:^<!--\s*not run:(?P<reason>.*?)-->\s*?\n+)?"
    r"^(?P<indent>[ ]*)(?P<fence>`{3,}|:{3,})(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        reason: Why it is not run, as a comment above it says; None where there is none, so that it must run.
    """

    page: str
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a page, in their order."""
    text = (ROOT / page).read_text()
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start("fence")) + 1,
            language=found["info"].split()[0].lower() if found["info"].split() else "",
            code=re.sub(rf"^{found['indent']}", "", found["code"], flags=re.MULTILINE),
            reason=found["reason"] and found["reason"].strip(),
        )
        for found in _FENCE.finditer(text)
    ]


ALL = [block for page in PAGES for block in blocks_of(page)]


def shell_env(folder: Path) -> dict[str, str]:
    """Return an environment with a data directory in *folder*, and with `rustrak` on the path, installed or not."""
    command = folder / "bin" / "rustrak"
    if not command.exists():
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rustrak_http.cli "$@"\n')
        command.chmod(0o755)
    paths = os.pathsep.join([str(command.parent), str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": paths, "PYTHONPATH": str(ROOT), "RUSTRAK_DATA_DIR": str(folder / "data")}
