"""What the digest worker knows of a lane: how far it is recorded, how much to read at once, and what it suspects.

A process that digests notes what it is at. One that starts and finds that the last one did not survive a batch goes for
the record that was being digested, or halves the batch until one is left; a record that was tried three times, and
survived by nobody, is poison.
"""

import logging
from typing import Self

import attrs

from rustrak_core.accepted import SpoolPosition
from rustrak_core.ports import Attempt, Stage, Tried

_logger = logging.getLogger("rustrak.worker")

MAX_TRIES = 3
POISON_ALARM = 20
"""So many in a row that cannot be recorded are not bad events, but a store that does not work."""


@attrs.define(kw_only=True)
class Lane:
    """A lane as the worker sees it.

    Attributes:
        position: How far it is recorded.
        attempt: Where it notes what it is at.
        max_events: How many events to read at once.
        tries: How often the next record was tried in vain; it is read alone then.
        before_suspect: How many records stand before one that was tried in vain once; None where none is suspected.
        poisons_in_a_row: How many records in a row could not be recorded as they are.
        store_suspected: The last worker did not survive recording, rather than digesting.
    """

    position: SpoolPosition | None
    name: str
    attempt: Attempt
    max_events: int
    tries: int = 0
    before_suspect: int | None = None
    poisons_in_a_row: int = 0
    store_suspected: bool = False

    @classmethod
    def met(cls, name: str, position: SpoolPosition | None, attempt: Attempt, *, max_events: int) -> Self:
        """Return the lane *name*, recorded up to *position*, and what is suspected after *attempt*'s last."""
        lane = cls(name=name, position=position, attempt=attempt, max_events=max_events)
        lane.learn()
        return lane

    @property
    def is_suspicious(self) -> bool:
        """Whether the next record, or one that follows soon, is suspected."""
        return self.tries > 0 or self.before_suspect is not None

    def learn(self) -> None:
        """Suspect whatever the last attempt at what comes next did not survive."""
        tried = self.attempt.last()
        if tried is None or tried.start != self.position:
            return
        self._suspect(tried)
        if tried.stage is not Stage.RESTING:
            _logger.error(
                "digesting_not_survived lane=%s stage=%s records=%d index=%d tries=%d",
                self.name,
                tried.stage.name.lower(),
                tried.records,
                tried.index,
                self.tries,
            )
            self.let_go()

    @property
    def limit(self) -> int:
        """How many events to read now."""
        if self.tries:
            return 1
        return self.max_events if self.before_suspect is None else self.before_suspect

    @property
    def is_poisoned(self) -> bool:
        """Whether the next record was tried often enough, and the store is not to blame."""
        return self.tries >= MAX_TRIES and not (self.store_suspected and self.is_alarming)

    @property
    def is_alarming(self) -> bool:
        """Whether so many could not be recorded that it must be the store."""
        return self.poisons_in_a_row >= POISON_ALARM

    def begin(self, records: int) -> None:
        """Note that a batch of so many records is about to be digested."""
        self.attempt.begin(self.position, records=records, tries=self.tries, poisons=self.poisons_in_a_row)

    def let_go(self) -> None:
        """Note that the batch at hand is let go: what ends the process now is not its fault."""
        self.attempt.rest(tries=self.tries)

    def halve(self, records: int) -> None:
        """Read half of a batch next time."""
        self.max_events = max(1, min(self.max_events, records) // 2)

    def grow(self, most: int) -> None:
        """Read more next time, up to *most* events."""
        self.max_events = min(self.max_events * 2, most)

    def move(self, position: SpoolPosition, records: int) -> None:
        """Go on behind *records*, which are recorded up to *position*."""
        self.position = position
        self.tries = 0
        if self.before_suspect is not None:
            self.before_suspect -= records
            if self.before_suspect <= 0:
                self.tries, self.before_suspect = 1 if self.before_suspect == 0 else 0, None

    def _suspect(self, tried: Tried) -> None:
        self.tries, self.poisons_in_a_row = tried.tries, tried.poisons
        self.store_suspected = tried.stage is Stage.RECORDING
        if tried.stage is Stage.RESTING:
            return
        if tried.stage is Stage.DIGESTING and tried.index:
            self.before_suspect, self.tries = tried.index, 0
        elif tried.stage is Stage.DIGESTING or tried.records <= 1:
            self.tries = tried.tries + 1
        else:
            self.halve(tried.records)
