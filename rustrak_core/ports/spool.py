"""What a spool must do: keep what was accepted, and give it to digest."""

import enum
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Protocol

import attrs

from rustrak_core.accepted import Accepted, SpoolAdvance, SpoolPosition
from rustrak_core.errors import RustrakError
from rustrak_core.project import ProjectId


@attrs.frozen(kw_only=True)
class SpooledBatch:
    """What a spool gives to digest: records of one lane, in the order in which they were accepted.

    Attributes:
        advance: What to commit with it.
        damaged: How many records were set aside, since their checksum did not hold. What they still count for is in
            *accepted*: their counts, and each event of theirs counted as ``quarantined``.
        unknown: Of how many of those not even that can be told.
    """

    accepted: Sequence[Accepted]
    advance: SpoolAdvance
    damaged: int = 0
    unknown: int = 0


@attrs.frozen(kw_only=True)
class SpoolStats:
    """How much waits in a spool.

    Attributes:
        oldest_at: When its oldest record was accepted (UTC), None where it is empty.
        damaged: How many damaged pieces are kept aside; no more are kept from some number on.
    """

    size_bytes: int
    segments: int
    oldest_at: datetime | None = None
    damaged: int = 0


class Intake(Protocol):
    """Takes what was accepted. When `accept` returns, it is kept for good."""

    def accept(self, accepted: Accepted) -> None:
        """Keep *accepted*; return when it would survive a crash and, for a spool, a power cut.

        Raises:
            OverloadError: there is no room; nothing was kept.
            SpoolUnavailableError, StoreUnavailableError: it cannot be kept just now; nothing was kept.
        """
        ...


class EagerIntake(Protocol):
    """Takes what was accepted without having the caller wait, so that one thread can have many requests under way."""

    def submit(self, accepted: Accepted, settled: Callable[[RustrakError | None], None]) -> None:
        """Keep *accepted*, which has events, after the next `push`.

        *settled* is called once, later, by any thread: with None when *accepted* would survive a power cut, else with
        why nothing of it was kept. It must be quick, and raise nothing.

        Raises:
            OverloadError: there is no room; nothing will be kept, and *settled* not be called.
            SpoolUnavailableError: it cannot be kept just now; likewise.
        """
        ...

    def push(self) -> None:
        """Begin to write what was submitted. Whoever submits calls it when he has no more at the moment."""
        ...


class Spool(Intake, Protocol):
    """Accepted events, durable until they are digested. Many threads accept; one reader at a time takes a lane."""

    def stats(self) -> SpoolStats:
        """Return how much waits, over all lanes."""
        ...

    def queued(self, project_id: ProjectId, positions: Sequence[SpoolPosition]) -> dict[date, int]:
        """Return how many events of a project wait behind *positions*, by day of receipt in UTC."""
        ...

    def waiting(self) -> int:
        """Return how many events wait, over all lanes, as far as the readers have noted."""
        ...

    def check(self) -> None:
        """Return if the spool could accept now.

        Raises:
            SpoolUnavailableError: it cannot be written.
            OverloadError: it is full, or the disk nearly is.
        """
        ...

    def close(self) -> None:
        """Write what is pending, and release files and locks."""
        ...


class Stage(enum.IntEnum):
    """How far whoever digests a lane has come with a batch."""

    RESTING = 0
    """With none: what happens now is no batch's fault."""
    DIGESTING = 1
    RECORDING = 2


@attrs.frozen(kw_only=True)
class Tried:
    """What somebody was at with a lane when he was last heard of.

    Attributes:
        start: Where the batch begins; None at the lane's beginning.
        stage: How far he had come.
        records: How many records the batch has.
        index: The record that was being digested, from 0.
        tries: How often its first record had been tried before, and not survived.
        poisons: How many records in a row before the batch could not be recorded as they are.
    """

    start: SpoolPosition | None
    stage: Stage
    records: int
    index: int
    tries: int
    poisons: int = 0


class Attempt(Protocol):
    """A note of what is being tried on a lane. It outlives the process that makes it, by a crash too; not the machine.

    It costs next to nothing, and raises nothing.
    """

    def last(self) -> Tried | None:
        """Return what was noted last, perhaps by a process that is no more; None where nothing was."""
        ...

    def begin(self, start: SpoolPosition | None, *, records: int, tries: int, poisons: int = 0) -> None:
        """Note that a batch is about to be digested."""
        ...

    def reach(self, index: int) -> None:
        """Note which of its records is next."""
        ...

    def record(self) -> None:
        """Note that it is digested, and about to be recorded."""
        ...

    def rest(self, *, tries: int) -> None:
        """Note that the batch is let go, its first record having been tried so often."""
        ...


class SpoolReader(Protocol):
    """The digesting end of a spool: it holds the lanes it reads, so that no other reader has them."""

    def lanes(self) -> Sequence[str]:
        """Return the lanes that this reader holds, having taken those that were free."""
        ...

    def read(self, lane: str, *, after: SpoolPosition | None, max_events: int, max_bytes: int) -> SpooledBatch | None:
        """Return the next records behind *after* (None: from the start), at least one, or None where there are none."""
        ...

    def forget(self, upto: SpoolPosition) -> None:
        """Remove what lies before *upto*, which is committed."""
        ...

    def attempt(self, lane: str) -> Attempt:
        """Return the note of what is being tried on a lane that this reader holds; the reader's own to close."""
        ...

    def quarantine(self, batch: SpooledBatch, *, why: str, now: datetime) -> None:
        """Keep the events of *batch*, for good, where nothing digests them; doing so again changes nothing.

        Commit the batch's end only afterwards, with each event counted as ``quarantined``.

        Raises:
            SpoolUnavailableError: they cannot be kept just now.
        """
        ...

    def close(self) -> None:
        """Give the lanes back."""
        ...
