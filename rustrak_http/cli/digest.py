"""The digest worker of ``rustrak serve``, a child of it."""

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING

from rustrak_core.errors import RustrakError
from rustrak_core.ports import SpoolReader
from rustrak_http.cli.logs import tell_repeats
from rustrak_http.cli.memory import TRIM_EVERY_S, give_back_memory, settle_memory
from rustrak_http.cli.options import Place
from rustrak_http.pulse import Pulse
from rustrak_http.rehearsal import Rehearsal
from rustrak_http.supervisor import Life
from rustrak_http.worker import Beat, DigestWorker

if TYPE_CHECKING:
    from rustrak_core.ports import Store
    from rustrak_http.cli.meter import Meter
    from rustrak_http.cli.shared import SharedStore

_log = logging.getLogger("rustrak.worker")

GRACE_S = 20.0
SILENT_S = 30.0
"""A worker that gave no sign of life for so long is stuck."""

STUCK_S = 20.0
"""It gives none once an event was digested for so long."""

BACKOFF_MAX_S = 2.0
"""Each event that no worker survives costs three of them, and others wait meanwhile."""

# In a burst, accepting comes first: what waits in the spool is safe, while what cannot be accepted is lost.
_NICENESS = 5


def digest(
    place: Place,
    shared: "SharedStore",
    life: Life,
    *,
    workers: int,
    meter: "Meter | None" = None,
    answers_metrics: bool = False,
) -> int:
    """Digest until *life* is over, finish the batch at hand, and return the exit status.

    Args:
        shared: The store of *place*.
        workers: How many share the spool, this one among them.
        meter: Has counted what is digested; None for not.
        answers_metrics: Whether to answer on the meter's own port, as where no HTTP process does.
    """
    from rustrak_storage.spool import DirectorySpoolReader

    os.nice(_NICENESS)
    stop = threading.Event()
    life.when_over(stop.set)

    pulse = pulse_of(life.beat)

    def recorded(events: int) -> None:
        if meter is not None:
            meter.tallies.digested(life.slot, events)

    with pulse:
        try:
            store = shared.opened()
        except RustrakError as error:
            _log.error("worker_not_started reason=%s", error)
            return 1
        with closing(store), closing(DirectorySpoolReader(place.spool_dir, readers=workers)) as reader:
            settle_memory()
            worker = worker_of(store, reader, pulse, recorded=recorded, rehearsal=Rehearsal(stuck_s=STUCK_S))
            with _answering(place, store, meter) if answers_metrics else nullcontext():
                worker.run(stop)
    return 0


def pulse_of(beat: Callable[[str], None], *, cpu_time: Callable[[], float] = time.process_time) -> Pulse:
    """Return a worker's pulse, which calls *beat* while the worker is not stuck.

    Args:
        beat: Gives a sign of life, and says what keeps the worker from recording.
        cpu_time: Tells how much of the processor the worker has used, in seconds.
    """
    trimmed_at = time.monotonic()

    def keep_house(trouble: str) -> None:
        nonlocal trimmed_at
        beat(trouble)
        tell_repeats()
        if time.monotonic() - trimmed_at >= TRIM_EVERY_S:
            give_back_memory()
            trimmed_at = time.monotonic()

    pulse = Pulse(keep_house, stuck_s=STUCK_S, cpu_time=cpu_time)
    pulse.trouble = "starting"
    return pulse


def worker_of(
    store: "Store",
    reader: SpoolReader,
    pulse: Pulse,
    *,
    recorded: Callable[[int], None],
    rehearsal: Rehearsal | None,
) -> DigestWorker:
    """Return a worker that *pulse* beats for; see `DigestWorker` for the rest."""

    def heartbeat(sign: Beat) -> None:
        pulse.trouble = sign.trouble or ""

    return DigestWorker(store, reader, heartbeat=heartbeat, progress=pulse.step, recorded=recorded, rehearsal=rehearsal)


def _answering(place: Place, store: "Store", meter: "Meter | None") -> AbstractContextManager[None]:
    from rustrak_storage.spool import Survey

    if meter is None:
        return nullcontext()
    return meter.answering(meter.figures(place, store, Survey(place.spool_dir)))
