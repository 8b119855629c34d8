"""Keeps child processes running: the HTTP processes and the digest worker of ``rustrak serve``.

The parent is small: one thread that holds no database open, loaded what the children need, and forks them, so that they
share that memory. A child that ends is forked again. Each holds the reading end of a pipe on which nothing is ever
written; its end means: finish what you do, and stop. Since the operating system closes the pipe of a process that dies,
a child never outlives its parent for long, whatever kills that.
"""

import contextlib
import logging
import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Self

import attrs

from rustrak_http.board import Board

_log = logging.getLogger("rustrak.supervisor")

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 10.0
STEADY_S = 30.0
"""A child that lived for so long is restarted without delay."""

_LOOK_EVERY_S = 1.0
_SURE_AFTER_S = 5.0


class Life:
    """What a child knows of its own: when it is over, and how to say that it goes on.

    Attributes:
        slot: The number of its place, which its predecessor had too; from 0.
    """

    def __init__(self, board: Board, slot: int, until_eof: int) -> None:
        self._board = board
        self.slot = slot
        self._until_eof = until_eof

    def beat(self, said: str = "") -> None:
        """Give a sign of life, about once a second, and say what ails the child, if anything does."""
        self._board.beat(self.slot, said)

    def when_over(self, call: Callable[[], None]) -> None:
        """Have *call* called, by a thread of its own, when the parent says so or is gone."""
        threading.Thread(target=self._wait, args=(call,), name="parent", daemon=True).start()

    def _wait(self, call: Callable[[], None]) -> None:
        while os.read(self._until_eof, 4096):
            pass
        call()


@attrs.frozen(kw_only=True)
class Role:
    """What a child does.

    Attributes:
        name: What log lines, and on Linux ``ps``, call it; at most nine characters.
        run: Does it, until its life is over, and returns the exit status.
        grace_s: How long it may take to stop; then it is killed.
        silent_s: How long it may give no sign of life; then it is stuck, killed, and started again.
        backoff_max_s: How long to wait at most before it is started again.
    """

    name: str
    run: Callable[[Life], int]
    grace_s: float
    silent_s: float = math.inf
    backoff_max_s: float = BACKOFF_MAX_S


class _Member:
    """A child, or the place of one."""

    def __init__(self, role: Role, slot: int) -> None:
        self.role = role
        self.slot = slot
        self.pid: int | None = None
        self.life: int | None = None
        self.born = 0.0
        self.delay_s = BACKOFF_FIRST_S
        self.due = 0.0
        self.restarts = 0
        self.silent_since: float | None = None

    def end_life(self) -> None:
        if self.life is not None:
            os.close(self.life)
            self.life = None


class Supervisor:
    """Forks children, forks them again when they die, and stops them in good order.

    Args:
        roles: One a child, each in the slot of *board* of the same number. They are stopped in this order: those of one
            name together, and the next when these have ended.
        board: Where it is noted how they are.
    """

    def __init__(self, roles: Sequence[Role], board: Board) -> None:
        self._members = [_Member(role, slot) for slot, role in enumerate(roles)]
        self._board = board
        self._signals = _Signals()

    def run(
        self,
        *,
        started: Callable[[], None] = lambda: None,
        goes_on: Callable[[], bool] = lambda: True,
        stopping: Callable[[], None] = lambda: None,
    ) -> int:
        """Keep the children running until a SIGTERM or SIGINT, and stop them; a second one kills them at once.

        Call it from the main thread of a process that has no other.

        Args:
            started: Called when they have been started.
            goes_on: Asked about once a second; once it says no, all are stopped as by a signal.
            stopping: Called when they are about to be stopped.

        Returns:
            The number of the second signal, if there was one, else 0.
        """
        with self._signals as signals:
            for member in self._members:
                self._launch(member)
            started()
            while not signals.stops and goes_on():
                signals.wait(self._next_look_s())
                self._reap()
                self._kill_silent()
                self._relaunch()
            stopping()
            self._stop()
            return signals.hurried

    def _next_look_s(self) -> float:
        due = [member.due - time.monotonic() for member in self._members if member.pid is None]
        return max(0.0, min([_LOOK_EVERY_S, *due]))

    def _launch(self, member: _Member) -> None:
        until_eof, member.life = os.pipe()
        member.born = time.monotonic()
        self._board.started(member.slot, None, restarts=member.restarts)  # before the child can look
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:  # no processes or memory left: try again later
            _log.error("child_not_started child=%s reason=%s", member.role.name, error)
            os.close(until_eof)
            member.end_life()
            self._postpone(member)
            return
        if pid == 0:
            self._be(member, until_eof)
        os.close(until_eof)
        member.pid = pid
        self._board.started(member.slot, pid, restarts=member.restarts)

    def _be(self, member: _Member, until_eof: int) -> None:
        """Be the child, in the process just forked; never returns."""
        status = 1
        try:
            self._signals.forget()
            for other in self._members:  # else a sibling would hold up the end of their lives
                other.end_life()
            _name_process(f"rustrak-{member.role.name}")
            status = member.role.run(Life(self._board, member.slot, until_eof))
        except BaseException:  # noqa: BLE001 - the last to see it; the parent starts another
            _log.exception("child_failed child=%s", member.role.name)
        finally:
            with contextlib.suppress(Exception):
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        for member in self._members:
            if member.pid is None:
                continue
            pid, status = os.waitpid(member.pid, os.WNOHANG)
            if pid:
                self._bury(member)
                _log.error(
                    "child_ended child=%s status=%s again_in_s=%.1f",
                    member.role.name,
                    os.waitstatus_to_exitcode(status),
                    member.due - time.monotonic(),
                )

    def _kill_silent(self) -> None:
        """Kill who is stuck. Silence must last: after all were paused, as by Ctrl-Z, everyone seems silent at first."""
        now = time.monotonic()
        for member in self._members:
            age = self._board.state(member.slot).beat_age_s
            silent_s = min(now - member.born, math.inf if age is None else age)
            if member.pid is None or silent_s <= member.role.silent_s:
                member.silent_since = None
            elif member.silent_since is None:
                member.silent_since = now
            elif now - member.silent_since >= min(_SURE_AFTER_S, member.role.silent_s):
                _log.error("child_killed child=%s reason=no sign of life for %.0f s", member.role.name, silent_s)
                member.silent_since = None
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGKILL)

    def _bury(self, member: _Member) -> None:
        member.pid = None
        member.end_life()
        self._board.started(member.slot, None, restarts=member.restarts)
        self._postpone(member)

    def _postpone(self, member: _Member) -> None:
        now = time.monotonic()
        if now - member.born > STEADY_S:
            member.delay_s = BACKOFF_FIRST_S
        member.due = now + member.delay_s
        member.delay_s = min(member.delay_s * 2, member.role.backoff_max_s)

    def _relaunch(self) -> None:
        now = time.monotonic()
        for member in self._members:
            if member.pid is None and member.due <= now:
                member.restarts += 1
                self._launch(member)

    def _stop(self) -> None:
        waiting = list(self._members)
        while waiting:
            name = waiting[0].role.name
            group = [member for member in waiting if member.role.name == name]
            waiting = [member for member in waiting if member.role.name != name]
            for member in group:
                member.end_life()
            self._wait_for(group, time.monotonic() + group[0].role.grace_s)

    def _wait_for(self, group: Sequence[_Member], deadline: float) -> None:
        while alive := [member for member in group if member.pid is not None]:
            if time.monotonic() >= deadline or self._signals.stops > 1:
                for member in alive:
                    self._kill(member)
                return
            for member in alive:
                if member.pid is not None and os.waitpid(member.pid, os.WNOHANG)[0]:
                    member.pid = None
                    self._board.started(member.slot, None, restarts=member.restarts)
            if any(member.pid is not None for member in group):
                self._signals.wait(max(0.0, min(_LOOK_EVERY_S, deadline - time.monotonic())))

    def _kill(self, member: _Member) -> None:
        if member.pid is not None:
            _log.warning(
                "child_killed child=%s reason=did not stop in time; what it had not committed is done again",
                member.role.name,
            )
            os.kill(member.pid, signal.SIGKILL)
            os.waitpid(member.pid, 0)
            member.pid = None


class _Signals:
    """SIGTERM, SIGINT and SIGCHLD, noted by their handlers, and waited for."""

    def __init__(self) -> None:
        self.stops = 0
        self.hurried = 0
        self._before: dict[int, object] = {}
        self._wakeup: tuple[int, int] | None = None

    def __enter__(self) -> Self:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._wakeup = reader, writer
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]
        self._close()

    def wait(self, timeout_s: float) -> None:
        """Return when a signal came, or after *timeout_s*."""
        if self._wakeup is not None and select.select([self._wakeup[0]], [], [], timeout_s)[0]:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._wakeup[0], 4096):
                    pass

    def forget(self) -> None:
        """Let go of signals in a child: Ctrl-C and systemd tell all of us, but the parent says when to stop."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        self._close()

    def _close(self) -> None:
        if self._wakeup is not None:
            for fd in self._wakeup:
                os.close(fd)
            self._wakeup = None

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self.hurried = number if self.stops else 0
            self.stops += 1


def _name_process(name: str) -> None:
    """Have ``ps`` and ``top`` show what a process does, where the system allows it by a file."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name[:15], encoding="ascii")
