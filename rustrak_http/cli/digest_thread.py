"""The digest worker of ``rustrak serve`` as a thread of its one HTTP process, where a database belongs to one."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Self

from rustrak_http.board import Board
from rustrak_http.cli.digest import GRACE_S, SILENT_S, pulse_of, worker_of
from rustrak_http.cli.options import Place

if TYPE_CHECKING:
    from rustrak_core.ports import Store
    from rustrak_http.cli.meter import Meter

_log = logging.getLogger("rustrak.worker")


class DigestThread:
    """Digests into *store* while it is entered; on leaving, the batch at hand is finished.

    An event that no digesting survives ends the process, as it would a worker's; whoever looks after that starts it
    again, and what the thread was at is blamed as ever. But nothing is digested for show first in a copy of the
    process: that would copy the locks of all its other threads.

    Args:
        place: Where the spool is.
        board: Where it gives its signs of life.
        slot: Its slot there.
        meter: Has counted what is digested; None for not.
        store: Shared with the process; this never closes it.
        failed: Called, by the thread, when it ended though nobody asked it to.
    """

    def __init__(
        self,
        place: Place,
        board: Board,
        slot: int,
        meter: "Meter | None",
        store: "Store",
        *,
        failed: Callable[[], None],
    ) -> None:
        self.has_failed = False
        self._place = place
        self._board = board
        self._slot = slot
        self._meter = meter
        self._store = store
        self._failed = failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="digest", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(GRACE_S)

    @property
    def is_silent(self) -> bool:
        """Whether it gave no sign of life for so long that it is stuck."""
        age_s = self._board.state(self._slot).beat_age_s
        return age_s is not None and age_s > SILENT_S

    def _run(self) -> None:
        from rustrak_storage.spool import DirectorySpoolReader

        def recorded(events: int) -> None:
            if self._meter is not None:
                self._meter.tallies.digested(self._slot, events)

        try:
            pulse = pulse_of(lambda trouble: self._board.beat(self._slot, trouble), cpu_time=_clock_of_this_thread())
            with pulse, closing(DirectorySpoolReader(self._place.spool_dir)) as reader:
                worker_of(self._store, reader, pulse, recorded=recorded, rehearsal=None).run(self._stop)
        except Exception:  # noqa: BLE001 - the process ends, and is started again
            _log.exception("digest_thread_failed")
            self.has_failed = True
            self._failed()


def _clock_of_this_thread() -> Callable[[], float]:
    """Return what tells how much of the processor this thread has used; others answer requests meanwhile."""
    if not hasattr(time, "pthread_getcpuclockid"):  # macOS: so much of it all together use when hardly anything goes on
        return time.process_time
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)
