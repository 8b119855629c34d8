"""The digest worker of ``rustrak serve``, a child of it."""

import logging
import os
import threading
import time
from contextlib import closing

from rustrak_core.errors import RustrakError
from rustrak_http.cli.logs import tell_repeats
from rustrak_http.cli.memory import give_back_memory, settle_memory
from rustrak_http.cli.options import Place
from rustrak_http.pulse import Pulse
from rustrak_http.rehearsal import Rehearsal
from rustrak_http.supervisor import Life
from rustrak_http.tallies import Tallies
from rustrak_http.worker import Beat, DigestWorker

_log = logging.getLogger("rustrak.worker")

GRACE_S = 20.0
SILENT_S = 30.0
"""A worker that gave no sign of life for so long is stuck."""

STUCK_S = 20.0
"""It gives none once an event was digested for so long."""

TRIM_EVERY_S = 20.0
"""How often freed memory is given back to the system."""

BACKOFF_MAX_S = 2.0
"""Each event that no worker survives costs three of them, and others wait meanwhile."""

# In a burst, accepting comes first: what waits in the spool is safe, while what cannot be accepted is lost.
_NICENESS = 5


def digest(place: Place, life: Life, *, workers: int, tallies: Tallies | None = None) -> int:
    """Digest until *life* is over, finish the batch at hand, and return the exit status.

    Args:
        workers: How many share the spool, this one among them.
        tallies: Where to count what is digested.
    """
    from rustrak_storage.factory import open_store
    from rustrak_storage.spool import DirectorySpoolReader

    os.nice(_NICENESS)
    stop = threading.Event()
    life.when_over(stop.set)

    trimmed_at = time.monotonic()

    def beat(trouble: str) -> None:
        nonlocal trimmed_at
        life.beat(trouble)
        tell_repeats()
        if time.monotonic() - trimmed_at >= TRIM_EVERY_S:
            give_back_memory()
            trimmed_at = time.monotonic()

    pulse = Pulse(beat, stuck_s=STUCK_S)
    pulse.trouble = "starting"

    def heartbeat(sign: Beat) -> None:
        pulse.trouble = sign.trouble or ""

    def recorded(events: int) -> None:
        if tallies is not None:
            tallies.digested(life.slot, events)

    with pulse:
        try:
            store = open_store(place.database_url)
        except RustrakError as error:
            _log.error("worker_not_started reason=%s", error)
            return 1
        with closing(store), closing(DirectorySpoolReader(place.spool_dir, readers=workers)) as reader:
            settle_memory()
            worker = DigestWorker(
                store,
                reader,
                heartbeat=heartbeat,
                progress=pulse.step,
                recorded=recorded,
                rehearsal=Rehearsal(stuck_s=STUCK_S),
            )
            worker.run(stop)
    return 0
