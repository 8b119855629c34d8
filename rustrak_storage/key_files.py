"""The files behind the ring of keys: a generation number, and the keys that were known last."""

import contextlib
import fcntl
import json
import logging
import mmap
import os
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from rustrak_core.errors import ConfigurationError

_logger = logging.getLogger("rustrak.keys")
_KEY = re.compile(r"[0-9a-f]{32}")

Keys = dict[int, tuple[str, int]]


class Generation(Protocol):
    """A number that changes whenever projects do."""

    def get(self) -> int:
        """Return it."""
        ...

    def advance(self) -> None:
        """Count it up; on return every process sees the new one, also after a crash."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


class MemoryGeneration(Generation):
    """The generation of one process."""

    def __init__(self) -> None:
        self._value = 0
        self._lock = threading.Lock()

    def get(self) -> int:
        """Return it."""
        return self._value

    def advance(self) -> None:
        """Count it up."""
        with self._lock:
            self._value += 1

    def close(self) -> None:
        """Do nothing."""


class FileGeneration(Generation):
    """The generation of a folder: eight bytes of a file, read through shared memory. Never remove or cut that file."""

    def __init__(self, directory: Path) -> None:
        path = directory / "keys.generation"
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                with _flock(self._fd):
                    if os.fstat(self._fd).st_size < 8:
                        os.pwrite(self._fd, (1).to_bytes(8, "little"), 0)
                        os.fsync(self._fd)
                self._map = mmap.mmap(self._fd, 8, access=mmap.ACCESS_READ)
            except BaseException:
                os.close(self._fd)
                raise
        except OSError as error:
            message = f"{path} cannot be used: {error.strerror}; make the data directory writable for this user"
            raise ConfigurationError(message) from error
        self._view = memoryview(self._map).cast("Q")
        self._lock = threading.Lock()

    def get(self) -> int:
        """Return it; no system call."""
        return self._view[0]

    def advance(self) -> None:
        """Count it up, and see it to the disk."""
        with self._lock, _flock(self._fd):
            value = int.from_bytes(os.pread(self._fd, 8, 0), "little") + 1
            os.pwrite(self._fd, value.to_bytes(8, "little"), 0)
            os.fsync(self._fd)

    def close(self) -> None:
        """Release the file and its memory."""
        self._view.release()
        self._map.close()
        os.close(self._fd)


class KeyFile:
    """``keys.json``: project ids with their keys and the generation under which the store confirmed them.

    It is a help for when the store is away: if it cannot be read or written, that is logged, and nothing else happens.
    Only its owner may read it. Processes take turns in writing, each keeping what the others wrote.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "keys.json"
        self._lock_path = directory / "keys.lock"
        self._lock = threading.Lock()

    def load(self) -> Keys:
        """Return what is there; nothing where it cannot be read."""
        try:
            found = json.loads(self._path.read_bytes())
            return {
                int(number): (key, int(generation))
                for number, (key, generation) in found.items()
                if _KEY.fullmatch(key)
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            _logger.warning("keys_unreadable error=%s", type(error).__name__)
            return {}

    def change(self, changes: Mapping[int, tuple[str, int] | None]) -> None:
        """Keep each key with its generation, and forget those that are None; of two, the later generation stands."""
        try:
            with self._lock, self._locked():
                keys = self.load()
                for number, entry in changes.items():
                    if entry is None:
                        keys.pop(number, None)
                    elif number not in keys or keys[number][1] <= entry[1]:
                        keys[number] = entry
                self._replace(keys)
        except OSError as error:
            _logger.warning("keys_unwritable errno=%s", error.errno)

    def _replace(self, keys: Keys) -> None:
        draft = self._path.with_name(f".keys.{os.getpid()}.json")
        try:
            fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(json.dumps({str(number): entry for number, entry in keys.items()}).encode())
            draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with _flock(fd):
                yield
        finally:
            os.close(fd)


@contextlib.contextmanager
def _flock(fd: int) -> Iterator[None]:
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)
