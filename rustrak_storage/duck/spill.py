"""The folder for what does not fit into memory while datasets are read."""

import atexit
import os
import shutil
import tempfile
from threading import Lock

_making = Lock()
_made: dict[int, str] = {}
"""By process, since one that was forked has none of its own yet."""


def spill_folder() -> str:
    """Return this process's folder, made when it is first asked for; "" where there can be none, and nothing spills.

    It is for its user alone, and not shared by processes: DuckDB lets statements read what is in it, and the rows of
    events are. It is one for all datasets of a process, since DuckDB opens a file twice only with the same settings.
    """
    own = os.getpid()
    with _making:
        if own not in _made:
            try:
                _made[own] = tempfile.mkdtemp(prefix="rustrak-")  # of mode 0700
            except OSError:
                _made[own] = ""
            else:
                atexit.register(_remove, own, _made[own])
        return _made[own]


def _remove(maker: int, folder: str) -> None:
    """Remove it at the exit of the process that made it; that of a fork, which has the same list, leaves it alone."""
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)
