"""The supervisor: a child that is started again when it dies, and never outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rustrak_http import supervisor as supervisor_module
from rustrak_http.supervisor import Supervisor

OBEDIENT = "import sys; line = sys.stdin.readline(); print(line, end='', flush=True); sys.stdin.read()"
STUBBORN = "import sys, time; print('up', flush=True); time.sleep(60)"
DYING = "import sys; print('dying', flush=True); sys.exit(3)"


def eventually(condition: Callable[[], Any], within_s: float = 10) -> None:
    """Return once *condition* holds; another process makes it so."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def supervise(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Supervisor]]:
    monkeypatch.setattr(supervisor_module, "BACKOFF_FIRST_S", 0.01)
    running: list[Supervisor] = []

    def start(code: str) -> Supervisor:
        supervisor = Supervisor([sys.executable, "-c", code], greeting=b"hello", name="child")
        running.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for supervisor in running:
        supervisor.stop(timeout_s=0)


def alive(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1] not in {"", "Z"}


def test_greets_its_child_and_hears_it(supervise: Callable[[str], Supervisor]) -> None:
    """The child gets its line, and what it writes is a sign of life."""
    supervisor = supervise(OBEDIENT)
    assert supervisor.state().pid is not None
    eventually(lambda: supervisor.state().beat_age_s is not None)
    assert supervisor.state().said == "hello"
    assert supervisor.state().restarts == 0


def test_stops_its_child(supervise: Callable[[str], Supervisor]) -> None:
    """The end of its standard input tells a child to stop; nothing is started after that, and a second stop is fine."""
    supervisor = supervise(OBEDIENT)
    eventually(lambda: supervisor.state().beat_age_s is not None)
    pid = supervisor.state().pid
    assert pid is not None
    assert supervisor.stop(timeout_s=10)
    assert supervisor.stop(timeout_s=10)
    assert supervisor.state().pid is None
    assert not alive(pid)


def test_kills_a_child_that_does_not_stop(
    supervise: Callable[[str], Supervisor], caplog: pytest.LogCaptureFixture
) -> None:
    """A child that does not listen is killed when its time is over, and that is said."""
    supervisor = supervise(STUBBORN)
    eventually(lambda: supervisor.state().beat_age_s is not None)
    assert not supervisor.stop(timeout_s=0.05)
    assert supervisor.state().pid is None
    assert "did not stop" in caplog.text


def test_starts_again_what_dies(supervise: Callable[[str], Supervisor], caplog: pytest.LogCaptureFixture) -> None:
    """A child that dies is started again, each time a little later, and each time it is said."""
    supervisor = supervise(DYING)
    eventually(lambda: supervisor.state().restarts >= 3)
    supervisor.stop(timeout_s=5)
    assert "child ended with status 3" in caplog.text


def test_starts_again_what_was_killed(supervise: Callable[[str], Supervisor]) -> None:
    """A child that was killed has a successor."""
    supervisor = supervise(OBEDIENT)
    first = supervisor.state().pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    eventually(lambda: supervisor.state().pid not in {None, first})
    assert supervisor.stop(timeout_s=10)


def test_goes_on_when_nothing_can_be_started(
    supervise: Callable[[str], Supervisor], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no process can be started just now, it is tried again."""
    supervisor = supervise(OBEDIENT)
    refused: list[bool] = []
    real = subprocess.Popen

    def refuse_twice(*args: Any, **kwargs: Any) -> Any:
        if len(refused) < 2:
            refused.append(True)
            raise OSError("no memory")
        return real(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", refuse_twice)
    first = supervisor.state().pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    eventually(lambda: supervisor.state().pid not in {None, first})
    assert "cannot be started: no memory" in caplog.text
    assert supervisor.stop(timeout_s=10)


def test_a_child_does_not_outlive_its_parent(tmp_path: Path) -> None:
    """Kill -9 of the parent ends the child, since its standard input ends."""
    pid_file = tmp_path / "pid"
    child = (
        f"import os, sys; open({str(pid_file)!r}, 'w').write(str(os.getpid())); print('', flush=True); sys.stdin.read()"
    )
    code = (
        "import sys, time; from rustrak_http.supervisor import Supervisor;"
        f"Supervisor([sys.executable, '-c', {child!r}], greeting=b'', name='child').start(); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    eventually(lambda: pid_file.exists() and pid_file.read_text())
    pid = int(pid_file.read_text())
    parent.kill()
    parent.wait()
    eventually(lambda: not alive(pid))
