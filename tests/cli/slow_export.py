"""`rustrak export`, which never ends by itself at a point that is chosen: for tests that end it.

As a module of its own, since processes that gather events import what they are given.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from time import sleep
from typing import Any

from rustrak_core.ports import Store
from rustrak_http.cli import main
from rustrak_storage import factory
from rustrak_storage.duck import exporting, file, folder, reconcile, stage

FOREVER = "(SELECT count(*) FROM range(10000000000) AS a, range(1000) AS b)"
_open_store = factory.open_store


def open_store(url: str) -> Store:
    """Open a store; in a process that gathers events, reading it says so in the file ``gathering``, and never ends."""
    store = _open_store(url)
    if multiprocessing.parent_process() is not None:
        store.export_bare = _gather  # type: ignore[attr-defined]
    return store


def _gather(*_: object, **__: object) -> Sequence[Any]:
    with Path(os.environ["GATHERING"]).open("a", encoding="ascii") as told:
        told.write(f"{os.getpid()}\n")
    sleep(600)
    return []


def _slow_commit() -> None:
    for form in (folder, file):
        form.TAG_DAYS_OF = f"{form.TAG_DAYS_OF} HAVING count(*) < {FOREVER}"  # type: ignore[attr-defined]


def _slow_comparing() -> None:
    reconcile._MEMBERSHIPS = f"SELECT * FROM ({reconcile._MEMBERSHIPS}) WHERE {FOREVER} > 0"


def _slow_loading() -> None:
    select = stage._select
    stage._select = lambda *given: f"SELECT * FROM ({select(*given)}) WHERE {FOREVER} > 0"


def _slow_gathering() -> None:
    exporting.WORTH = 1  # type: ignore[attr-defined]
    factory.open_store = open_store


SLOW = {
    "commit": _slow_commit,
    "comparing": _slow_comparing,
    "loading": _slow_loading,
    "gathering": _slow_gathering,
}

if __name__ == "__main__":
    sys.modules["tests.cli.slow_export"] = sys.modules["__main__"]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which whoever started it may have had it ignore
    SLOW[sys.argv[1]]()
    main(["export", *sys.argv[2:]])
