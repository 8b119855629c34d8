"""Which issues a merge, or its undo, is about: the rules that every backend keeps, apart from where issues are kept."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import attrs

from rustrak_core.errors import InvalidInputError
from rustrak_core.issue import MERGED_MAX


@attrs.frozen(kw_only=True)
class Node:
    """An issue, as somebody named it, by its place among those that were merged.

    Attributes:
        root: The issue that answers for it: itself unless it was merged.
    """

    id: int
    project_id: int
    root: int


@attrs.frozen
class Branch:
    """What is taken out of an issue together.

    Attributes:
        top: The issue that comes back.
        below: What was merged into it and stays so.
    """

    top: int
    below: Sequence[int]

    @property
    def all(self) -> Sequence[int]:
        """The issue that comes back, and what stays merged into it."""
        return (self.top, *self.below)


def check_count(sources: Sequence[object]) -> None:
    """Return if so many issues can be merged, or taken apart, at once.

    Raises:
        InvalidInputError: they are none, or too many.
    """
    if not 1 <= len(sources) <= MERGED_MAX:
        raise InvalidInputError("issue_ids", f"must name 1 to {MERGED_MAX} issues")


def to_merge(target: Node, named: Sequence[Node]) -> list[int]:
    """Return the issues that are to be merged into the one that answers for *target*, each once.

    Raises:
        InvalidInputError: one is that issue itself, or belongs to another project.
    """
    for index, node in enumerate(named):
        if node.id == target.root:
            raise InvalidInputError(f"issue_ids[{index}]", "is the issue itself; name those to merge into it")
        if node.project_id != target.project_id:
            raise InvalidInputError(f"issue_ids[{index}]", "belongs to another project; merge issues of one project")
    return list(dict.fromkeys(node.root for node in named if node.root != target.root))


def to_unmerge(named: Sequence[Node], parents: Mapping[int, int]) -> list[Branch]:
    """Return what is to be taken out of an issue, in an order in which that can be done.

    Args:
        named: What is to come back.
        parents: For each issue that leads to it, the one that that was merged into.

    Raises:
        InvalidInputError: one is not merged into that issue.
    """
    for index, node in enumerate(named):
        if node.id not in parents:
            raise InvalidInputError(
                f"issue_ids[{index}]", "is not merged into this issue; `merged` names those that are"
            )
    children = _children(parents)
    tops = dict.fromkeys(node.id for node in named)
    branches = []
    for top in sorted(tops, key=lambda one: -_depth(one, parents)):
        branches.append(Branch(top, _below(top, children)))
        children[parents[top]].remove(top)
    return branches


def below(issue: int, parents: Mapping[int, int]) -> list[int]:
    """Return what was merged into *issue*, or into one of these; *parents* as in `to_unmerge`."""
    return _below(issue, _children(parents))


def refuse_merged(named: Node, root: str) -> None:
    """Return if *named* is not merged: deleting by the name of another would surprise.

    Raises:
        InvalidInputError: it was merged into the issue whose short id is *root*.
    """
    if named.id != named.root:
        raise InvalidInputError("issue_id", f"was merged into {root}; delete {root}, or unmerge it first")


def _depth(issue: int, parents: Mapping[int, int]) -> int:
    depth = 0
    while issue in parents:
        issue = parents[issue]
        depth += 1
    return depth


def _children(parents: Mapping[int, int]) -> dict[int, list[int]]:
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent in parents.items():
        children[parent].append(child)
    return children


def _below(issue: int, children: Mapping[int, Sequence[int]]) -> list[int]:
    found: list[int] = []
    waiting = [issue]
    while waiting:
        below = children.get(waiting.pop(), ())
        found += below
        waiting += below
    return found
