"""What people type to search issues, as words and tags (API.md, Issues, ``?q=``)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.page import Keyset, Page, page_size, search_terms, walk


@pytest.mark.parametrize(
    ("text", "words", "tags"),
    [
        ("", (), ()),
        ("  null   pointer ", ("null", "pointer"), ()),
        ("browser.name:Chrome", (), (("browser.name", "Chrome"),)),
        ("shop timeout server_name:web-1", ("shop", "timeout"), (("server_name", "web-1"),)),
        ("http://example.com file:/etc", ("http://example.com", "file:/etc"), ()),
        ("TypeError: x", ("TypeError:", "x"), ()),
        ("a:b:c", (), (("a", "b:c"),)),
        ("schlüssel:wert :x", ("schlüssel:wert", ":x"), ()),
    ],
)
def test_words_and_tags(text: str, words: tuple[str, ...], tags: tuple[tuple[str, str], ...]) -> None:
    """``key:value`` is a tag, where the key is of the letters allowed and the value does not begin with a slash."""
    assert search_terms(text) == (words, tags)


@given(st.text())
def test_nothing_typed_is_lost(text: str) -> None:
    """Every piece between blanks becomes a word or a tag."""
    words, tags = search_terms(text)
    assert sorted([*words, *(f"{key}:{value}" for key, value in tags)]) == sorted(text.split())


@given(st.integers(0, 350), st.none() | st.integers(0, 400))
def test_walking_pages(total: int, limit: int | None) -> None:
    """A walk yields each row once, in order, at most as many as wanted, and reads no page more than needed."""
    reads: list[int] = []
    size = page_size(limit)

    def read(after: Keyset | None) -> Page[int]:
        start = 0 if after is None else after.values[0]
        reads.append(start)
        end = min(start + size, total)
        return Page(items=range(start, end), after=Keyset(values=(end,)) if end < total else None)

    wanted = total if limit is None else min(total, limit)
    assert list(walk(read, limit)) == list(range(wanted))
    assert len(reads) == max(1, -(-wanted // size))
