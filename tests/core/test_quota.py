"""Quotas as they are written, and what SDKs are told of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.errors import InvalidInputError
from rustrak_core.quota import CATEGORIES, HOUR_S, MINUTE_S, QUOTA_MAX, Quota, used_up


@given(
    each=st.none() | st.integers(1, QUOTA_MAX), named=st.dictionaries(st.sampled_from(CATEGORIES), st.integers(1, 9**9))
)
def test_what_is_written_is_read(each: int | None, named: dict[str, int]) -> None:
    """A number holds for each category that has none of its own."""
    parts = ([] if each is None else [str(each)]) + [f"{name} = {number}" for name, number in named.items()]
    quota = Quota.parse(",".join(parts) or "none")
    assert {name: quota.of(name) for name in CATEGORIES} == {name: named.get(name, each) for name in CATEGORIES}


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "many", "1.5", "error=", "error=0", "errors=5", "5,6", "error=5,error=6", "=5", "٣", "9" * 17],
)
def test_what_is_no_quota_is_refused(text: str) -> None:
    """No number, a negative one, zero, a category that is none."""
    with pytest.raises(InvalidInputError, match="must"):
        Quota.parse(text)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else is raised."""
    try:
        quota = Quota.parse(text)
    except InvalidInputError:
        return
    assert all(quota.of(name) is None or quota.of(name) for name in CATEGORIES)


@pytest.mark.parametrize("given", [{"each": 0}, {"each": -5}, {"named": {"error": 0}}])
def test_a_value_is_never_wrong(given: dict[str, object]) -> None:
    """Also one that was not parsed."""
    with pytest.raises(InvalidInputError):
        Quota(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("window_s", "now_s", "retry_after_s"),
    [(MINUTE_S, 60.0, 60), (MINUTE_S, 119.5, 1), (MINUTE_S, 90.2, 30), (HOUR_S, 10.0, 60), (HOUR_S, 3590.0, 10)],
)
def test_a_pause_ends_with_the_window_and_is_a_minute_at_most(window_s: int, now_s: float, retry_after_s: int) -> None:
    """SDKs stop at once, so they are not told to for long."""
    limit = used_up("error", scope="project", window_s=window_s, now_s=now_s)
    assert limit.retry_after_s == retry_after_s
    assert "error" in limit.categories
