"""What is done to a database as a whole, apart from a store's own work: values, and how far it has come."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import attrs

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows how far something has come: takes what is done and how many steps there are, gives what tells of more steps."""


@contextmanager
def no_bar(_what: str, _total: int) -> Iterator[Callable[[int], None]]:
    """Show nothing."""
    yield lambda _steps: None


@attrs.frozen(kw_only=True)
class Upgraded:
    """A schema was brought to this version.

    Attributes:
        before: The revision that it had; None where there was none.
        after: The one that it has, this version's.
    """

    before: str | None
    after: str


@attrs.frozen(kw_only=True)
class Finding:
    """Something in a database that is not as it must be.

    Attributes:
        check: Which check found it, in a word or two, as in ``event-counts``.
        found: What is wrong, and where. Holds no text that applications sent.
        todo: What to do.
    """

    check: str
    found: str
    todo: str


@attrs.frozen(kw_only=True)
class Checked:
    """What looking at a database showed.

    Attributes:
        schema: Its revision; None where it has none.
        newest: The revision that this version needs.
        looked_at: How many rows of each kind were looked at, in the order of the checks.
        findings: What is wrong; none where all is well.
        cut: Checks that found more than is told.
    """

    schema: str | None
    newest: str
    looked_at: Mapping[str, int]
    findings: Sequence[Finding]
    cut: Sequence[str] = ()


@attrs.frozen(kw_only=True)
class CopiedTable:
    """A table of a copy, which was read again and is as in the source.

    Attributes:
        rows: How many it has.
        checksum: Of all rows, in whatever order; 32 hex digits.
    """

    table: str
    rows: int
    checksum: str
