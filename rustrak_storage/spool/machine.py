"""On which machine a spool's folder is in use: on one at a time, since memory that processes share is of one machine.

On a file system that several machines share, locks may be of one machine too, so that they tell nothing of another. So
the folder says who uses it, in a file that whoever serves there rewrites each second. Who finds another machine's mark
watches for some seconds whether it changes. No clocks are compared, and a mark that was left behind blocks nobody.

A machine is one run of a kernel: containers on it share locks and memory, while after a reboot nobody has either.
"""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import orjson

from rustrak_core.errors import ConfigurationError

_logger = logging.getLogger("rustrak.spool")

WATCH_S = 6.0
"""A mark that has not changed for so long was left behind."""

_FILE = "machine"
_BEAT_S = 0.9
_LOOK_S = 0.2
_MARK_MAX_BYTES = 4096


@attrs.frozen
class Machine:
    """A machine that runs.

    Attributes:
        name: What it calls itself.
        boot: The id of this run of its kernel; empty where the system has none, and then the name decides.
    """

    name: str
    boot: str

    def is_same(self, other: "Machine") -> bool:
        """Tell whether processes of both share locks and memory."""
        return self.boot == other.boot and bool(self.boot or self.name == other.name)


def this_machine() -> Machine:
    """Return the machine that this process runs on."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return Machine(name=socket.gethostname(), boot=boot)


def require_unused(
    directory: Path, *, watch_s: float = WATCH_S, me: Machine | None = None, look_s: float = _LOOK_S
) -> None:
    """Return if no other machine uses the spool's folder, for all that can be seen. Changes nothing.

    It returns at once but where another machine's mark is found; then that is watched.

    Raises:
        ConfigurationError: another machine uses it.
    """
    path, me = directory / _FILE, me or this_machine()
    first = _read(path)
    if not first or (owner := _parsed(first)).is_same(me):
        return
    _logger.warning("spool_of_another_machine machine=%s watched_for_s=%.0f", owner.name, watch_s)
    until = time.monotonic() + watch_s
    while time.monotonic() < until:
        time.sleep(look_s)
        now = _read(path)
        if not now or _parsed(now).is_same(me):
            return
        if now != first:
            raise _in_use(directory, _parsed(now))


class Presence:
    """Says that this machine uses a spool's folder, for as long as it is asked to each second.

    Args:
        directory: The spool's folder, which is there.

    Attributes:
        lost: What to tell, once another machine has taken the folder.
    """

    def __init__(
        self, directory: Path, *, me: Machine | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._path = directory / _FILE
        self._me = me or this_machine()
        self._monotonic = monotonic
        self._beat_at = float("-inf")
        self.lost: ConfigurationError | None = None

    def take(self) -> None:
        """Say that this machine uses the folder, whoever did before."""
        self._write()
        self._beat_at = self._monotonic()

    def beat(self) -> bool:
        """Say that it still does, if it is time to; False once another has taken it, as when this one stood still."""
        now = self._monotonic()
        if self.lost is None and now - self._beat_at >= _BEAT_S:
            self._beat_at = now
            mark = _read(self._path)
            if mark and not (owner := _parsed(mark)).is_same(self._me):
                self.lost = _in_use(self._directory, owner)
            else:
                self._write()
        return self.lost is None

    def leave(self) -> None:
        """Say that this machine does not use the folder any more. Another server on it says so for itself again."""
        mark = _read(self._path)
        if mark and _parsed(mark).is_same(self._me):
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _write(self) -> None:
        """Change the mark; one that cannot be written, as on a full disk, is no reason to accept less."""
        mark = orjson.dumps({"machine": self._me.name, "boot": self._me.boot, "beat": f"{time.time_ns():020}"}) + b"\n"
        with contextlib.suppress(OSError):
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, mark, 0)
                os.ftruncate(fd, len(mark))
            finally:
                os.close(fd)


def _read(path: Path) -> bytes:
    """Return a mark; empty where there is none, or it cannot be read."""
    try:
        with path.open("rb") as file:  # opened anew each time: then a network file system asks its server
            return file.read(_MARK_MAX_BYTES)
    except OSError:
        return b""


def _parsed(mark: bytes) -> Machine:
    """Return whose *mark* it is; what cannot be read is of a machine without a name."""
    try:
        facts = orjson.loads(mark)
        return Machine(name=str(facts["machine"])[:255], boot=str(facts["boot"]))
    except (ValueError, KeyError, TypeError):
        return Machine(name="unknown", boot="unknown")


def _in_use(directory: Path, owner: Machine) -> ConfigurationError:
    return ConfigurationError(
        f"the spool folder {directory} is in use on another machine, {owner.name}; stop Rustrak there first, or give "
        "each machine a data directory of its own with --data-dir (RUSTRAK_DATA_DIR): machines share a database, "
        "never a spool"
    )
