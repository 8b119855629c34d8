"""What a recorder remembers of rows that exist."""

from hypothesis import given
from hypothesis import strategies as st

from rustrak_storage.sql.facets import Known

# Integers of this size are their own hashes: several of them share a place.
_ROWS = st.integers(min_value=-(2**19), max_value=2**19)


def test_knows_nothing_at_first() -> None:
    known = Known()
    assert 0 not in known
    assert 1 not in known


@given(told=st.lists(st.lists(_ROWS)), others=st.lists(_ROWS))
def test_knows_the_last_that_it_was_told_and_never_another(told: list[list[int]], others: list[int]) -> None:
    known = Known()
    for rows in told:
        known.update(set(map(hash, rows)))
        if len({hash(row) for row in rows}) == 1:
            assert rows[0] in known
    hashes = {hash(row) for rows in told for row in rows}
    assert all(hash(row) in hashes for row in others if row in known)


def test_remembers_most_of_what_fits() -> None:
    known = Known()
    rows = [(number, b"user", 0) for number in range(10_000)]
    known.update({hash(row) for row in rows})
    assert sum(row in known for row in rows) > 9_000
