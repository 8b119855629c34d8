"""The folder for what does not fit into memory while datasets are read."""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Lock

_PREFIX = "rustrak-spill-"
_LOCK = "lock"

_making = Lock()
_made: dict[int, str] = {}
"""By process, since one that was forked has none of its own yet."""


def spill_folder() -> str:
    """Return this process's folder, made when it is first asked for; "" where there can be none, and nothing spills.

    It is for its user alone, and not shared by processes: DuckDB lets statements read what is in it, and the rows of
    events are. It is one for all datasets of a process, since DuckDB opens a file twice only with the same settings.
    Those that this user's processes left because they were killed are removed first.
    """
    own = os.getpid()
    with _making:
        if own not in _made:
            with suppress(OSError):
                _remove_left()
            try:
                _made[own] = _make()
            except OSError:
                _made[own] = ""
            else:
                atexit.register(_remove, own, _made[own])
        return _made[own]


def _make() -> str:
    """Make a folder with a lock in it that is held until the process ends, and never seen without being held."""
    folder = tempfile.mkdtemp(prefix=_PREFIX)  # of mode 0700
    lock = os.open(f"{folder}/new", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Path(folder, "new").rename(Path(folder, _LOCK))
    except OSError:  # no locks on that disk: it is used all the same, and nobody takes it for one that was left
        os.close(lock)
    return folder


def _remove_left() -> None:
    """Remove folders of this user whose processes are gone, which the lock tells: numbers of processes come again."""
    for entry in os.scandir(tempfile.gettempdir()):
        with suppress(OSError):
            if entry.name.startswith(_PREFIX) and entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                _remove_if_left(entry.path)


def _remove_if_left(folder: str) -> None:
    lock = os.open(f"{folder}/{_LOCK}", os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _remove(maker: int, folder: str) -> None:
    """Remove it at the exit of the process that made it; that of a fork, which has the same list, leaves it alone."""
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)
