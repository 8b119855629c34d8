"""Every block of Python and of shell in README and docs runs, or a comment above it says why it cannot."""

import subprocess
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

from tests.docs.pages import ALL, IN_ORDER, PAGES, PYTHONS, ROOT, SHELLS, Block, shell_env

# A block that nobody runs must be noticed when it is written: whoever adds one changes this number, or lets it run.
NOT_RUN = 15


def runnable(languages: set[str]) -> list[Block]:
    """Return the blocks to run; tutorials have tests of their own."""
    return [b for b in ALL if b.language in languages and b.reason is None and b.page not in IN_ORDER]


@pytest.mark.parametrize("page", sorted({block.page for block in runnable(PYTHONS)}))
def test_python_blocks_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of a page runs, block after block, in one namespace and an empty folder."""
    monkeypatch.chdir(tmp_path)
    sybil = Sybil([PythonCodeBlockParser(), SkipParser()], path=str(ROOT))
    skipped = {block.line for block in ALL if block.page == page and block.reason is not None}
    ran = 0
    document = sybil.parse(ROOT / page)
    document.namespace["__name__"] = "example"
    for example in document.examples():
        if example.line not in skipped:
            example.evaluate()
            ran += 1
    assert ran == sum(block.page == page for block in runnable(PYTHONS))


@pytest.mark.parametrize("block", runnable(SHELLS), ids=lambda block: block.place)
def test_shell_blocks_run(block: Block, tmp_path: Path) -> None:
    """A block of shell runs, with `rustrak` on the path and a data directory of its own."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.code],
        cwd=tmp_path,
        env=shell_env(tmp_path),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}\n{done.stdout}{done.stderr}"


def test_blocks_that_do_not_run_are_counted() -> None:
    """Each has a reason, and there are no more of them than we know."""
    left_out = [block for block in ALL if block.reason is not None]
    assert all(block.reason for block in left_out)
    assert len(left_out) == NOT_RUN, "\n".join(f"{block.place}: {block.reason}" for block in left_out)


def test_no_block_is_overlooked() -> None:
    """Every block says its language, and every page is looked at."""
    assert not [block.place for block in ALL if not block.language]
    others = {"text", "json", "nginx", "ini", "toml", "yaml", "javascript", "sql", "{toctree}", "{glossary}"}
    assert {block.language for block in ALL} <= SHELLS | PYTHONS | others
    assert {"README.md", *IN_ORDER} <= set(PAGES)
