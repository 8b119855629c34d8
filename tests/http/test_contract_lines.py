"""Every line of the contract, API.md, has a test whose docstring names it."""

import re
from pathlib import Path

_LINES = {
    "Conventions": "D1 D2 D3 S1 S2 S3 S4 S5 S6 S7 S8 S9",
    "Projects": "D1 D2 S1 S2 S3 S4",
    "Issues": "D1 D2 S1 S2 S3 S4 S5 S6",
    "Events": "D1 D2 S1 S2",
    "Tokens": "D1 S1 D2 S2",
    "Health": "D1 S1",
    "Ingestion": "D1 S1 S2 S3 S4 S5",
}
_NAMED = re.compile(r"API\.md ([A-Z][a-z]+) ([DS][0-9](?:, [DS][0-9])*)")


def test_each_line_has_a_test() -> None:
    """A promise without a test is one that nobody would see broken."""
    named = {
        (section, line)
        for path in Path(__file__).parent.parent.rglob("test_*.py")
        for section, lines in _NAMED.findall(path.read_text(encoding="utf-8"))
        for line in lines.split(", ")
    }
    promised = {(section, line) for section, lines in _LINES.items() for line in lines.split()}
    assert promised - named == set()
    assert {line for line in named if line[0] in _LINES} - promised == set()
