"""How alike two issues are, by the terms that their events hold, and why: scores without a model, and explained.

A term that few issues of a project hold says much where two of them hold it, and one that most hold says next to
nothing: its weight is ``log(1 + issues / issues that hold it)``. The score is the cosine of both issues' weights, from
0 to 1. What the terms of the other issue weigh that this one lacks is not looked up: they count as much as those of
this one do on average.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from rustrak_core.issue import Issue

TERMS_MAX: Final = 64
"""How many terms of an issue are kept."""

TERM_LENGTH: Final = 80
REASONS_MAX: Final = 5
SCORE_MIN: Final = 0.05
"""Issues that have no more in common are not similar."""

_WORDS: Final = {
    "type": "the type {}",
    "word": 'the word "{}"',
    "function": "the function {}",
    "module": "the module or file {}",
    "frame": "the frame {}",
    "transaction": "the transaction {}",
}


@attrs.frozen
class Term:
    """Something that an event holds by which its issue is found again.

    Attributes:
        kind: ``type``, ``word`` (of the message's template), ``function``, ``module``, ``frame`` or ``transaction``.
        text: At most 80 characters.
    """

    kind: str
    text: str


@attrs.frozen(kw_only=True)
class Reason:
    """A term that two issues have in common.

    Attributes:
        share: How much of what they have in common it is, from 0 to 1.
        issues: How many issues of the project hold it.
    """

    term: Term
    share: float
    issues: int

    @property
    def text(self) -> str:
        """It in words."""
        said = _WORDS[self.term.kind].format(self.term.text)
        return f"{said}, in no other issue" if self.issues <= 2 else f"{said}, in {self.issues} issues"


@attrs.frozen(kw_only=True)
class SimilarIssue:
    """An issue that may be the same bug as another.

    Attributes:
        score: From 0, nothing in common, to 1.
        why: The terms in common that weigh most, the heaviest first; at most five.
    """

    issue: Issue
    score: float
    why: tuple[Reason, ...]


@attrs.frozen(kw_only=True)
class Scored:
    """How alike an issue, by its number, is to the one asked about; see `SimilarIssue`."""

    issue: int
    score: float
    why: tuple[Reason, ...]


class Scorer:
    """Scores issues by what they have in common with one.

    Args:
        terms: The terms of that one.
        held_by: For each of them, how many issues of the project hold it.
        issues: How many issues the project has.
    """

    def __init__(self, terms: Sequence[Term], held_by: Mapping[Term, int], issues: int) -> None:
        self._held_by = held_by
        self.weights = {term: weight(held_by.get(term, 1), issues) for term in terms}
        self._whole = sum(each * each for each in self.weights.values())
        self._mean = self._whole / len(self.weights) if self.weights else 0.0

    def score(self, issue: int, shared: Iterable[Term], size: int) -> Scored:
        """Return how alike *issue* is, which holds *size* terms, *shared* among them."""
        weighed = sorted(((self.weights[term] ** 2, term) for term in set(shared)), key=_heaviest_first)
        common = sum(each for each, _ in weighed)
        its_whole = common + self._mean * max(size - len(weighed), 0)
        score = common / math.sqrt(self._whole * its_whole) if common else 0.0
        why = tuple(
            Reason(term=term, share=round(each / common, 3), issues=max(self._held_by.get(term, 0), 2))
            for each, term in weighed[:REASONS_MAX]
            if common
        )
        return Scored(issue=issue, score=round(min(score, 1.0), 3), why=why)


def weight(held_by: int, issues: int) -> float:
    """Return what a term weighs that *held_by* of so many *issues* hold."""
    return math.log(1 + max(issues, held_by, 1) / max(held_by, 1))


def best(scored: Iterable[Scored], limit: int) -> list[Scored]:
    """Return the most similar of *scored*, the best first and of two alike the older one; each issue once."""
    found: dict[int, Scored] = {}
    for each in sorted(scored, key=lambda one: (-one.score, one.issue)):
        if each.score >= SCORE_MIN:
            found.setdefault(each.issue, each)
    return list(found.values())[:limit]


def _heaviest_first(weighed: tuple[float, Term]) -> tuple[float, str, str]:
    return -weighed[0], weighed[1].kind, weighed[1].text
