"""Terms of events, and scores by them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.grouping.similar import terms_of
from rustrak_core.similar import SCORE_MIN, TERM_LENGTH, TERMS_MAX, Scored, Scorer, Term, best

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = ("exception", "values", "stacktrace", "frames", "function", "module", "type", "value", "message", "transaction")
EVENT = st.dictionaries(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(NAMES), JSON) | JSON)
TERMS = st.lists(st.builds(Term, st.just("word"), st.sampled_from("abcdefgh")), unique=True, max_size=8)


def texts(event: dict[str, Any]) -> set[str]:
    return {f"{term.kind}:{term.text}" for term in terms_of(event)}


def test_terms() -> None:
    """Types of all exceptions, words of messages without their values, frames by stable names, the transaction."""
    frames = [{"module": "shop.app", "function": "buy"}, {"filename": "a/orders.3f9c2a11.js", "function": "pay"}]
    values = [
        {"type": "KeyError", "value": "'pear'"},
        {"type": "shop.PaymentError", "value": "Order 17 failed", "stacktrace": {"frames": frames}},
    ]
    found = texts({"exception": {"values": values}, "transaction": "/buy", "platform": "python"})
    assert {"type:KeyError", "type:PaymentError", "word:order", "word:failed", "transaction:/buy"} < found
    assert {"function:buy", "module:shop.app", "frame:shop.app in buy", "function:pay"} < found
    assert not any("17" in text or "pear" in text or "3f9c2a11" in text for text in found)


def test_a_message_has_terms() -> None:
    """Without an exception, the kind of event and the words of its template tell."""
    event = {"logentry": {"message": "no %s left", "params": ["pear"], "formatted": "no pear left"}}
    assert texts(event) == {"type:Message", "word:no", "word:left"} | (texts(event) & {"word:s"})


@given(EVENT)
def test_whatever_it_holds(event: dict[str, Any]) -> None:
    """Any payload has terms, bounded in number and length, the same each time."""
    found = terms_of(event)
    assert len(found) == len(set(found)) <= TERMS_MAX
    assert all(len(term.text) <= TERM_LENGTH for term in found)
    assert terms_of(event) == found


@given(TERMS, TERMS, st.integers(2, 50))
def test_scores(mine: list[Term], its: list[Term], issues: int) -> None:
    """A score is from 0 to 1: 0 where nothing is shared, 1 where all is; and what explains it adds up to at most 1."""
    held_by = {term: 2 + index for index, term in enumerate({*mine, *its})}
    scored = Scorer(mine, held_by, issues).score(7, {*mine} & {*its}, len(its))
    assert 0 <= scored.score <= 1
    assert (scored.score == 0) == (not {*mine} & {*its})
    assert not mine or {*mine} != {*its} or scored.score == 1
    assert sum(reason.share for reason in scored.why) <= 1.01
    assert [reason.share for reason in scored.why] == sorted((reason.share for reason in scored.why), reverse=True)


def test_rare_terms_weigh_more() -> None:
    """Of two issues that share one term each, the one that shares the rarer term is more similar."""
    rare, frequent = Term("function", "price"), Term("type", "Error")
    scorer = Scorer([rare, frequent], {rare: 2, frequent: 90}, 100)
    assert scorer.score(1, [rare], 2).score > 3 * scorer.score(2, [frequent], 2).score
    assert scorer.score(1, [rare], 2).score > scorer.score(1, [rare], 60).score


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_best(limit: int) -> None:
    """The best come first, each issue once, of two alike the older one; what is hardly alike is left out."""
    given_ = [(3, 0.5), (1, 0.2), (2, 0.5), (1, 0.9), (4, SCORE_MIN / 2)]
    scored = [Scored(issue=number, score=score, why=()) for number, score in given_]
    assert [each.issue for each in best(scored, limit)] == [1, 2, 3][:limit]
