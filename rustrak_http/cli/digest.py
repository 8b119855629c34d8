"""The digest worker of ``rustrak serve``: ``python -m rustrak_http.cli.digest``, a child that is not for calling by hand.

It reads one line of JSON from its standard input (where the spool and the database are), digests until that input ends or
a SIGTERM comes, finishes its batch, and exits. See `rustrak_http.supervisor`.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from rustrak_core.errors import RustrakError
from rustrak_http.cli.logs import log_to_stderr

_log = logging.getLogger("rustrak.worker")

BEAT_S = 1.0


class Heart:
    """Tells the parent, at most once a second, that the worker is alive."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, *_facts: Any) -> None:
        """Write a line to standard output, unless one was written within the last second."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + BEAT_S
            os.write(1, b"\n")


def main() -> int:
    """Digest until told to stop; return the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to parent and child; the parent says when
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    log_to_stderr()
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    place = json.loads(line)
    threading.Thread(target=_stop_at_eof, args=(stop,), name="parent", daemon=True).start()
    try:
        _digest(Path(place["spool_dir"]), place["database_url"], stop)
    except BrokenPipeError:  # the heart found that the parent is gone
        return 0
    except RustrakError as error:
        _log.error("%s", error)  # noqa: TRY400 - the text says what to do
        return 1
    except Exception:
        _log.exception("the digest worker failed")
        return 1
    return 0


def _digest(spool_dir: Path, database_url: str, stop: threading.Event) -> None:
    from rustrak_http.worker import DigestWorker
    from rustrak_storage.factory import open_store
    from rustrak_storage.spool import DirectorySpoolReader

    store = open_store(database_url)
    try:
        reader = DirectorySpoolReader(spool_dir)
        try:
            DigestWorker(store, reader, heartbeat=Heart()).run(stop)
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
