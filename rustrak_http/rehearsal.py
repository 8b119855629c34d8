"""Digesting once for show, in a process that may die of it: for a while after an event has ended a digest worker.

Events that are poison come in numbers, since whatever sends one goes on. To start a worker again three times for each
would hold up the others; to lose a copy of it costs some milliseconds.
"""

import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.digested import Digested
from rustrak_core.ports import SpooledBatch
from rustrak_http.lane import Lane

CAREFUL_S = 60.0
"""How long after the last event that nobody survived all are digested for show first."""


class Rehearsal:
    """Digests batches in a forked copy of this process. For a process that runs little else, as ``rustrak serve`` has.

    Args:
        stuck_s: How long digesting an event may take; the copy does not survive one that takes longer.
        careful_s: How long rehearsals go on after the last that ended badly.
    """

    def __init__(
        self,
        *,
        stuck_s: float,
        careful_s: float = CAREFUL_S,
        digesting: Callable[[AcceptedEvent], Digested] = digest,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stuck_s = stuck_s
        self._careful_s = careful_s
        self._digest = digesting
        self._monotonic = monotonic
        self._until = float("-inf")

    @property
    def is_wanted(self) -> bool:
        """Whether to rehearse."""
        return self._monotonic() < self._until

    def be_careful(self) -> None:
        """Rehearse for a while from now: an event has ended a process."""
        self._until = self._monotonic() + self._careful_s

    def survives(self, lane: Lane, batch: SpooledBatch) -> bool:
        """Return whether a process survives digesting *batch*; else the attempt says at which record it ended."""
        try:
            with _quiet():
                pid = os.fork()
        except OSError:  # no processes or memory left: then without
            return True
        if pid == 0:
            self._be(lane, batch)
        _, status = os.waitpid(pid, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            return True
        self.be_careful()
        return False

    def _be(self, lane: Lane, batch: SpooledBatch) -> None:
        """Be the copy; never returns. Nothing may be written, sent or closed here: all of it is the worker's."""
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            for index, each in enumerate(batch.accepted):
                lane.attempt.reach(index)
                signal.setitimer(signal.ITIMER_REAL, self._stuck_s)
                for event in each.events:
                    with suppress(Exception):  # the worker sees it too, and survives it
                        self._digest(event)
            os._exit(0)
        finally:
            os._exit(1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Have newer Pythons not warn that another thread runs: the copy takes no lock that it could hold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
