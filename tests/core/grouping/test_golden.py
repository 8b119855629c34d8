"""Keys that are stored must stay what they are: on every Python, in every process, for all time."""

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from rustrak_core import grouping
from rustrak_core.grouping import Rules
from tests.core.grouping.cases import CASES

GOLDEN = Path(__file__).with_name("golden.json")
RULES = Rules(mechanism="anchor@1")

PROGRAM = """
import json
from rustrak_core import grouping
from tests.core.grouping.cases import CASES
rules = grouping.Rules(mechanism="anchor@1")
print(json.dumps({name: str(grouping.key(event, rules)) for name, event in CASES.items()}))
"""


def keys() -> dict[str, str]:
    return {name: str(grouping.key(event, RULES)) for name, event in CASES.items()}


def test_a_released_mechanism_never_changes() -> None:
    """`golden.json` is written once and only added to: a case that changes breaks the issues of those who upgrade."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert keys() == golden


@pytest.mark.parametrize("module", ["template", "engines", "names", "where", "chain"])
def test_no_pattern_follows_python_s_unicode_tables(module: str) -> None:
    """Classes of characters are those of ASCII, or listed: Unicode's change with the release of Python."""
    patterns = vars(import_module(f"rustrak_core.grouping.anchor.{module}")).values()
    for pattern in (each for each in patterns if isinstance(each, re.Pattern)):
        assert pattern.flags & re.ASCII or not re.search(r"\\[wWsSdDbB]", pattern.pattern), pattern


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_keys_are_the_same_in_every_process(seed: str) -> None:
    """How a process orders its sets and dictionaries does not matter."""
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True, text=True)
    assert json.loads(done.stdout) == keys()
