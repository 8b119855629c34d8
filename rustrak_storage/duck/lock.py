"""The lock of a dataset that is being exported to."""

import fcntl
import os
from pathlib import Path

from rustrak_storage.duck.errors import DatasetError


def locked(file: Path, dataset: Path) -> int:
    """Return a descriptor that holds the lock of *dataset* until it is closed, or its process ends, however that ends.

    Whoever has it may remove the *file* that it is on, and the folder of that.

    Raises:
        DatasetError: another process has it.
    """
    while True:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:  # the folder was removed meanwhile
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise DatasetError(f"{dataset} is being exported to by another process; wait for it or end it") from None
        if _is_at(file, lock):
            return lock
        os.close(lock)


def _is_at(file: Path, lock: int) -> bool:
    """Tell whether a lock is on what stands at *file*, rather than on what its last owner has removed."""
    try:
        return os.path.samestat(os.fstat(lock), file.stat())
    except FileNotFoundError:
        return False
