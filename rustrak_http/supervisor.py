"""Keeps a child process running: the digest worker of ``rustrak serve``.

The child gets one line on its standard input, its configuration, and then nothing until the end of file, which means:
finish what you do, and stop. Since the operating system closes the pipe of a process that dies, a child never outlives
its parent, whatever kills it. On its standard output it writes a line now and then, as a sign of life.
"""

import contextlib
import logging
import subprocess
import threading
import time
from collections.abc import Sequence

import attrs

_log = logging.getLogger("rustrak.supervisor")

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 10.0
STEADY_S = 30.0
"""A child that lived for so long is restarted without delay."""


@attrs.frozen(kw_only=True)
class ChildState:
    """How the child is.

    Attributes:
        pid: Its process id; None where none runs just now.
        beat_age_s: Seconds since its last sign of life, of this child or the one before; None where there was none yet.
        said: The line of that sign of life.
        restarts: How often it was started again.
    """

    pid: int | None
    beat_age_s: float | None
    said: str
    restarts: int


class Supervisor:
    """Starts a child process, starts it again when it dies, and stops it."""

    def __init__(self, command: Sequence[str], *, greeting: bytes, name: str) -> None:
        """Prepare to run *command*; `start` starts it.

        Args:
            greeting: The line that the child reads first, without its newline. Secrets go here: unlike arguments and
                environment, nobody else can read it.
            name: What log lines call the child.
        """
        self._command = list(command)
        self._greeting = greeting + b"\n"
        self._name = name
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._last_beat: tuple[float, str] | None = None
        self._restarts = 0
        self._thread = threading.Thread(target=self._supervise, name=f"supervise-{name}", daemon=True)

    def start(self) -> None:
        """Start the child, and a thread that looks after it."""
        self._launch()
        self._thread.start()

    def state(self) -> ChildState:
        """Return how the child is."""
        child, beat = self._child, self._last_beat
        return ChildState(
            pid=child.pid if child is not None and child.poll() is None else None,
            beat_age_s=None if beat is None else time.monotonic() - beat[0],
            said="" if beat is None else beat[1],
            restarts=self._restarts,
        )

    def stop(self, *, timeout_s: float) -> bool:
        """Ask the child to finish and stop; kill it after *timeout_s* seconds. Return False if it was killed."""
        with self._lock:
            self._stopping.set()
            child = self._child
        if child is None:
            return True
        _close_stdin(child)
        try:
            child.wait(timeout_s)
            clean = True
        except subprocess.TimeoutExpired:
            _log.warning(
                "%s did not stop within %s s and is killed; what it had not committed is done again",
                self._name,
                timeout_s,
            )
            child.kill()
            child.wait()
            clean = False
        self._thread.join(1.0)
        return clean

    def _supervise(self) -> None:
        delay_s = BACKOFF_FIRST_S
        while True:
            born = time.monotonic()
            child = self._child
            if child is not None:
                self._watch(child)
                if self._stopping.is_set():
                    return
                if time.monotonic() - born > STEADY_S:
                    delay_s = BACKOFF_FIRST_S
                _log.error(
                    "%s ended with status %s; it is started again in %.1f s", self._name, child.returncode, delay_s
                )
            if self._stopping.wait(delay_s):
                return
            delay_s = min(delay_s * 2, BACKOFF_MAX_S)
            self._restarts += 1
            try:
                self._launch()
            except OSError as error:  # no processes or memory left: try again later
                _log.error("%s cannot be started: %s", self._name, error)

    def _launch(self) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            self._child = None
            child = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own
            self._child = child
        if child.stdin is not None:
            with contextlib.suppress(OSError):  # it died at once; the thread will see
                child.stdin.write(self._greeting)
                child.stdin.flush()

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        """Note signs of life until the child ends."""
        if child.stdout is not None:
            with child.stdout as beats:
                while line := beats.readline(1024):
                    self._last_beat = time.monotonic(), line.decode("utf-8", "replace").strip()
        child.wait()
        _close_stdin(child)


def _close_stdin(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        with contextlib.suppress(OSError):
            child.stdin.close()
