"""The digest worker of ``rustrak serve``: ``python -m rustrak_http.cli.digest``, a child, not for calling by hand.

It reads one line of JSON from its standard input (where the spool and the database are), digests until that input ends,
finishes its batch, and exits. See `rustrak_http.supervisor`.
"""

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from rustrak_core.errors import RustrakError
from rustrak_http.cli.logs import log_to_stderr
from rustrak_http.cli.memory import settle_memory
from rustrak_http.worker import Beat, DigestWorker

_log = logging.getLogger("rustrak.worker")

# In a burst, accepting comes first: what waits in the spool is safe, while what cannot be accepted is lost.
_NICENESS = 5


def beat(sign: Beat) -> None:
    """Tell the parent that the worker is alive, and what keeps it from its work, if anything."""
    os.write(1, f"{sign.trouble or ''}\n".encode())


def main() -> int:
    """Digest until told to stop; return the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C and systemd tell parent and child; the parent says when
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    stop = threading.Event()
    log_to_stderr()
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    place = json.loads(line)
    threading.Thread(target=_stop_at_eof, args=(stop,), name="parent", daemon=True).start()
    try:
        _digest(Path(place["spool_dir"]), place["database_url"], stop)
    except BrokenPipeError:  # a sign of life found that the parent is gone
        return 0
    except RustrakError as error:
        _log.error("%s", error)
        return 1
    except Exception:  # noqa: BLE001 - the last to see it; the parent starts us again
        _log.exception("the digest worker failed")
        return 1
    return 0


def _digest(spool_dir: Path, database_url: str, stop: threading.Event) -> None:
    from rustrak_storage.factory import open_store
    from rustrak_storage.spool import DirectorySpoolReader

    store = open_store(database_url)
    try:
        reader = DirectorySpoolReader(spool_dir)
        try:
            settle_memory()
            DigestWorker(store, reader, heartbeat=beat).run(stop)
        finally:
            reader.close()
    finally:
        store.close()


def _stop_at_eof(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(status)  # the thread that waits for the parent holds standard input's lock, which finalising would want
