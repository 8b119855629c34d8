"""Lines of an undo file: what is written is read again, and what is no line is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.digested import GroupingKey
from rustrak_core.errors import MalformedUndoError
from rustrak_core.issue import IssueId
from rustrak_core.ports import Place, Refiled
from rustrak_core.project import ProjectId
from rustrak_core.regroup.undo import End, Heirs, Line, UndoHeader, read_line, write_line

NUMBERS = st.integers(1, 2**63 - 1)
ISSUES = NUMBERS.map(IssueId)
KEYS = st.builds(
    GroupingKey, mechanism=st.text(min_size=1, max_size=64), value=st.binary(min_size=16, max_size=16).map(bytes.hex)
)
PLACES = st.builds(Place, ISSUES, KEYS)
LEADS = st.dictionaries(KEYS, ISSUES, max_size=3)
REFILED = st.builds(
    Refiled,
    moved=st.dictionaries(st.tuples(PLACES, PLACES), st.lists(NUMBERS, max_size=5).map(tuple), max_size=3),
    learned=LEADS,
    dropped=LEADS,
    handed=LEADS,
    opened=st.lists(ISSUES, max_size=3).map(tuple),
    retired=st.dictionaries(ISSUES, ISSUES, max_size=3),
)
HEADER = UndoHeader(project_id=ProjectId(1), slug="shop", mark="x", rules="", before="", sets_rules=False)


@given(line=st.one_of(REFILED, st.builds(Heirs, st.dictionaries(ISSUES, KEYS, max_size=3)), st.just(End("done"))))
def test_written_and_read(line: Line) -> None:
    """A line comes back as it was."""
    data = write_line(line)
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1
    assert read_line(data, 2) == line


def test_header() -> None:
    """A header is the first line, and no other."""
    assert read_line(write_line(HEADER), 1) == HEADER
    for data, number in ((write_line(HEADER), 2), (write_line(End("done")), 1)):
        with pytest.raises(MalformedUndoError, match=f"line {number} "):
            read_line(data, number)


@given(
    data=st.one_of(
        st.binary(max_size=40),
        st.sampled_from(["moved", "heirs", "end", "rustrak_undo"]).map(
            lambda name: b'{"%s": [[1, 2]]}' % name.encode()
        ),
        st.builds(lambda line, at: write_line(line)[:at], REFILED, st.integers(0, 60)),
    )
)
def test_what_is_no_line(data: bytes) -> None:
    """Whatever else there is, is refused as such, or read as what it says."""
    with suppress(MalformedUndoError):
        again = write_line(read_line(data, 7))
        assert read_line(again, 7) == read_line(data, 7)
