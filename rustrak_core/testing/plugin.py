"""The pytest plugin: the fixture ``grouping_snapshot`` and the option ``--update-grouping``.

Installed with Rustrak, and loaded by pytest on its own.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rustrak_core.grouping import Rules

__all__ = ["GroupingSnapshot", "grouping_snapshot", "pytest_addoption"]

_OPTION = "--update-grouping"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes snapshots anew."""
    group = parser.getgroup("rustrak", "grouping of errors")
    group.addoption(_OPTION, action="store_true", help="write the snapshots of grouping keys anew")


class GroupingSnapshot:
    """Grouping keys as they were when a person last looked at them, in a JSON file beside the test.

    The file holds what each key is made of, so that a review shows what a rule changes.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        path = request.path
        self._file = path.parent / "grouping_snapshots" / f"{path.stem}.{request.node.name}.json"
        self._update = bool(request.config.getoption(_OPTION))

    def check(self, events: Mapping[str, Mapping[str, Any]], rules: "Rules | None" = None) -> None:
        """Assert that the keys of *events*, by name, are those of the snapshot; without one, write it.

        Args:
            events: Payloads by name.
            rules: The project's rules.

        Raises:
            AssertionError: some keys are others; ``--update-grouping`` accepts them.
        """
        from rustrak_core import grouping  # noqa: PLC0415 - pytest starts quicker without, in runs that need none

        now = {name: _shown(grouping.key(event, rules)) for name, event in events.items()}
        if self._update or not self._file.exists():
            self._file.parent.mkdir(exist_ok=True)
            self._file.write_text(json.dumps(now, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            return
        then = json.loads(self._file.read_text(encoding="utf-8"))
        if then != now:
            changed = [name for name in {**then, **now} if then.get(name) != now.get(name)]
            lines = [f"{len(changed)} keys are not those of {self._file.name}; {_OPTION} accepts them"]
            for name in changed:
                lines += [
                    f"  {name}",
                    f"    was {then.get(name, 'not there')}",
                    f"    is  {now.get(name, 'not there')}",
                ]
            raise AssertionError("\n".join(lines))


def _shown(key: Any) -> dict[str, Any]:
    return {"key": str(key), "parts": [[part.name, part.value] for part in key.explanation.parts]}


@pytest.fixture
def grouping_snapshot(request: pytest.FixtureRequest) -> GroupingSnapshot:
    """Give the snapshot of grouping keys of this test; `GroupingSnapshot.check` compares with it."""
    return GroupingSnapshot(request)
