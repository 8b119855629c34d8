"""The supervisor: children that are forked again when they die, and never outlive their parent."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rustrak_http.board import Board
from tests.serve.support import eventually

# What a parent runs: roles by name, each said on the command line; it tells of itself in lines of JSON.
PARENT = """
import json, os, sys, threading, time
import rustrak_http.supervisor as supervisor
from rustrak_http.board import Board

supervisor.BACKOFF_FIRST_S = 0.01
TOLD = open(sys.argv[1], "a", buffering=1)
GRACE_S = float(sys.argv[2])

def tell(**facts):
    TOLD.write(json.dumps(facts) + "\\n")

def obedient(life):
    over = threading.Event()
    life.when_over(over.set)
    life.beat("well")
    tell(up="obedient", pid=os.getpid(), beat=board.state(0).said)
    over.wait()
    tell(over="obedient", pid=os.getpid())
    return 0

def last(life):
    over = threading.Event()
    life.when_over(over.set)
    tell(up="last", pid=os.getpid())
    over.wait()
    tell(over="last", pid=os.getpid())
    return 0

def stubborn(life):
    tell(up="stubborn", pid=os.getpid())
    time.sleep(60)

def dying(life):
    tell(up="dying", pid=os.getpid(), restarts=board.state(0).restarts)
    return 3

def broken(life):
    tell(up="broken", pid=os.getpid())
    raise RuntimeError("broken on purpose")

def hanging(life):
    life.beat()
    tell(up="hanging", pid=os.getpid(), restarts=board.state(0).restarts)
    time.sleep(60)

def beating(life):
    tell(up="beating", pid=os.getpid())
    over = threading.Event()
    life.when_over(over.set)
    while not over.wait(0.05):
        life.beat()
    return 0

roles = [
    supervisor.Role(name=name, run=globals()[name], grace_s=GRACE_S, silent_s=1.0 if "ing" in name else 1e9)
    for name in sys.argv[3:]
]
board = Board(len(roles))
hurried = supervisor.Supervisor(roles, board).run(
    started=lambda: tell(started=os.getpid()), stopping=lambda: tell(stopping=True)
)
tell(ended=hurried)
"""


class Parent:
    """A parent that runs, and what it and its children told."""

    def __init__(self, folder: Path, *roles: str, grace_s: float = 10) -> None:
        self.told_by = folder / "told"
        self.errors = folder / "errors"
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PARENT, str(self.told_by), str(grace_s), *roles], stderr=errors
            )

    def told(self, key: str, value: Any = None) -> list[dict[str, Any]]:
        """Return what was told under a key so far, or only with that value."""
        with contextlib.suppress(FileNotFoundError):
            lines = [json.loads(line) for line in self.told_by.read_text().splitlines() if line.endswith("}")]
            return [line for line in lines if key in line and value in {None, line[key]}]
        return []

    def wait_for(self, key: str, value: Any = None, *, count: int = 1) -> dict[str, Any]:
        eventually(lambda: len(self.told(key, value)) >= count)
        return self.told(key, value)[-1]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Parent]]:
    parents: list[Parent] = []

    def begin(*roles: str, **how: Any) -> Parent:
        parents.append(Parent(tmp_path, *roles, **how))
        return parents[-1]

    yield begin
    for parent in parents:
        if parent.process.poll() is None:
            parent.process.kill()
            parent.process.wait()


def alive(pid: int) -> bool:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1] not in {"", "Z"}


def test_starts_its_children_and_hears_them(start: Callable[..., Parent]) -> None:
    """Each child runs what its role says, and what it says of itself is on the board for all."""
    parent = start("obedient", "last")
    assert parent.wait_for("up", "obedient")["beat"] == "well"
    first, second = parent.wait_for("up", "obedient")["pid"], parent.wait_for("up", "last")["pid"]
    assert len({first, second, parent.process.pid}) == 3
    assert parent.stop() == 0


def test_stops_them_role_by_role(start: Callable[..., Parent]) -> None:
    """Those of the first role have ended before the next is told; nothing is started after that."""
    parent = start("obedient", "obedient", "last")
    parent.wait_for("up", "obedient", count=2)
    parent.wait_for("up", "last")
    assert parent.stop() == 0
    ended = [line.get("over") for line in parent.told("over")]
    assert ended == ["obedient", "obedient", "last"]
    assert parent.told("stopping")
    assert parent.told("ended", 0)
    assert not any(alive(line["pid"]) for line in parent.told("up"))
    assert parent.errors.read_text() == ""


def test_kills_a_child_that_does_not_stop(start: Callable[..., Parent]) -> None:
    """A child that does not listen is killed when its time is over, and that is said."""
    parent = start("stubborn", grace_s=0.1)
    pid = parent.wait_for("up", "stubborn")["pid"]
    assert parent.stop() == 0
    assert not alive(pid)
    assert "did not stop" in parent.errors.read_text()


def test_a_second_signal_kills_them_at_once(start: Callable[..., Parent]) -> None:
    """The grace is over with it; the parent tells which signal it was."""
    parent = start("stubborn", grace_s=60)
    pid = parent.wait_for("up", "stubborn")["pid"]
    parent.process.send_signal(signal.SIGINT)
    parent.wait_for("stopping")
    assert parent.stop() == 0
    assert parent.told("ended", int(signal.SIGTERM))
    assert not alive(pid)


@pytest.mark.parametrize(("role", "text"), [("dying", "status=3"), ("broken", "broken on purpose")])
def test_starts_again_what_dies(start: Callable[..., Parent], role: str, text: str) -> None:
    """A child that dies is started again, each time a little later, and each time it is said."""
    parent = start(role)
    parent.wait_for("up", role, count=4)
    assert parent.stop() == 0
    assert text in parent.errors.read_text()
    if role == "dying":
        assert [line["restarts"] for line in parent.told("up")][:4] == [0, 1, 2, 3]


def test_starts_again_what_was_killed(start: Callable[..., Parent]) -> None:
    """A child that was killed has a successor; the others go on."""
    parent = start("obedient", "last")
    parent.wait_for("up", "last")
    os.kill(parent.wait_for("up", "obedient")["pid"], signal.SIGKILL)
    parent.wait_for("up", "obedient", count=2)
    assert parent.stop() == 0
    assert len(parent.told("over", "last")) == 1


@pytest.mark.slow
def test_kills_and_starts_again_what_falls_silent(start: Callable[..., Parent]) -> None:
    """A child that gives no sign of life is stuck: it is killed, that is said, and another is started; others live."""
    parent = start("hanging", "beating")
    parent.wait_for("up", "hanging", count=2)
    assert parent.told("up", "hanging")[1]["restarts"] == 1
    assert "child_killed child=hanging reason=no sign of life" in parent.errors.read_text()
    parent.process.kill()
    assert len(parent.told("up", "beating")) == 1
    os.kill(parent.told("up", "hanging")[-1]["pid"], signal.SIGKILL)


@pytest.mark.slow
def test_a_pause_of_all_is_no_silence(start: Callable[..., Parent]) -> None:
    """After Ctrl-Z and a while, children that seem silent to their parent get time to show that they live."""
    parent = start("beating")
    child = parent.wait_for("up", "beating")["pid"]
    for number in (signal.SIGSTOP, signal.SIGCONT):
        os.kill(child, number)
        parent.process.send_signal(number)
        time.sleep(1.5)
    assert parent.stop() == 0
    assert len(parent.told("up", "beating")) == 1


def test_a_signal_to_all_is_the_parents_to_answer(start: Callable[..., Parent]) -> None:
    """Ctrl-C reaches the children too; they wait for their parent to tell them."""
    parent = start("obedient", "last")
    pids = [parent.wait_for("up", role)["pid"] for role in ("obedient", "last")]
    for pid in pids:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
    time.sleep(0.1)
    assert parent.told("over") == []
    assert parent.stop() == 0
    assert len(parent.told("over")) == 2


def test_a_child_does_not_outlive_its_parent(start: Callable[..., Parent]) -> None:
    """Kill -9 of the parent ends the children, each by itself, whoever was forked later."""
    parent = start("obedient", "last")
    pids = [parent.wait_for("up", role)["pid"] for role in ("obedient", "last")]
    parent.process.kill()
    parent.process.wait()
    eventually(lambda: not any(alive(pid) for pid in pids))
    assert len(parent.told("over")) == 2


def test_a_board_is_shared_by_processes() -> None:
    """What a child writes the others read; slots do not touch each other."""
    board = Board(3)
    board.started(1, 7, restarts=2)
    assert board.state(1).beat_age_s is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn where threads run, as pytest's may
        code = os.fork()
    if code == 0:
        board.beat(1, "x" * 200 + "é")
        os._exit(0)
    os.waitpid(code, 0)
    state = board.state(1)
    assert (state.pid, state.restarts, state.said) == (7, 2, "x" * 80)
    assert state.beat_age_s is not None
    assert 0 <= state.beat_age_s < 60
    board.started(1, None, restarts=3)
    assert (board.state(1).pid, board.state(1).said, board.state(1).restarts) == (None, "x" * 80, 3)
    for other in (0, 2):
        assert board.state(other).pid is None
        assert board.state(other).beat_age_s is None
