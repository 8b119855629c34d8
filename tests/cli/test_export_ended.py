"""`rustrak export`, ended early from outside: at once, and nothing of it is left."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from rustrak_storage.duck import Dataset
from tests.cli.conftest import Rustrak
from tests.cli.slow_export import SLOW
from tests.cli.test_dataset import wait_until_it_works

ROOT = Path(__file__).parent.parent.parent
FORMS = {"folder": "errors", "file": "errors.duckdb"}
CASES = [
    ("folder", "commit", signal.SIGINT),
    ("folder", "gathering", signal.SIGINT),
    ("file", "commit", signal.SIGTERM),
    *(
        pytest.param(*case, marks=pytest.mark.slow)
        for case in (
            ("file", "commit", signal.SIGINT),
            ("file", "comparing", signal.SIGINT),
            ("folder", "loading", signal.SIGTERM),
            ("file", "gathering", signal.SIGTERM),
        )
    ),
]


@pytest.fixture
def dest(request: pytest.FixtureRequest, rustrak: Rustrak, tmp_path: Path) -> Path:
    """A dataset of one event, whose store has more by now."""
    rustrak("project", "create", "my-app")
    send(rustrak, "first")
    (tmp_path / "there").mkdir()
    dest = tmp_path / "there" / FORMS[request.getfixturevalue("form")]
    rustrak("export", dest)
    send(rustrak, "second")
    send(rustrak, "third")
    return dest


def send(rustrak: Rustrak, message: str) -> None:
    with rustrak.tracker() as tracker:
        tracker.ingest_event({"message": message, "tags": {"region": "eu"}}, "my-app")


def everything(folder: Path) -> set[str]:
    """Return all files below *folder*, but for the lock that a dataset keeps."""
    return {str(file) for file in folder.rglob("*") if file.is_file() and file.name != ".export.lock"}


def messages(dest: Path) -> set[str]:
    with Dataset.open(dest) as dataset:
        return {message for (message,) in dataset.sql("SELECT message FROM events").rows()}


def begun(at: str, dest: Path, gathering: Path) -> "subprocess.Popen[str]":
    """Begin an export to *dest* that never ends at a point, and return it once it is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.cli.slow_export", at, str(dest), "--processes", "2"],
        cwd=ROOT,
        env=os.environ | {"GATHERING": str(gathering)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (60, 60)),  # noqa: PLW1509 - no threads here
    )
    try:
        if at == "gathering":
            wait_for(lambda: gathering.exists() and len(gathering.read_text().splitlines()) == 2)
        else:
            wait_until_it_works(process.pid)
    except BaseException:
        process.kill()
        raise
    return process


def wait_for(condition: object) -> None:
    until = monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert monotonic() < until
        sleep(0.05)


@pytest.mark.parametrize(("form", "at", "number"), CASES)
def test_it_ends_at_once(dest: Path, tmp_path: Path, form: str, at: str, number: signal.Signals) -> None:
    """With 130 and no word, also where a terminal sends a Ctrl-C to its other processes; the dataset is as it was."""
    before = everything(dest.parent)
    gathering = tmp_path / "gathering"
    with begun(at, dest, gathering) as process:
        try:
            if number == signal.SIGINT:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out, err.strip()) == (130, "", "")
    for pid in gathering.read_text().split() if at == "gathering" else ():
        assert not Path(f"/proc/{pid}").exists()
    assert everything(dest.parent) == before
    assert messages(dest) == {"first"}


ENDING = """
import os, signal, sys
from rustrak_http.cli.ending import ended_in_order

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with ended_in_order():
    pass
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
try:
    with ended_in_order():
        os.kill(os.getpid(), signal.SIGHUP)
        print("ignored")
        try:
            os.kill(os.getpid(), getattr(signal, sys.argv[1]))
            print("not ended")
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            print("cleared away")
finally:
    os.kill(os.getpid(), signal.SIGTERM)
    print("ended")
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_who_cannot_wait(number: str) -> None:
    """Further signals do not end what clears away; what is ignored, as under nohup, is not heard at all."""
    done = subprocess.run(
        [sys.executable, "-c", ENDING, number], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split("\n") == ["ignored", "cleared away", "ended", ""]
    assert done.stderr.endswith("KeyboardInterrupt\n")


def test_every_point_is_tried() -> None:
    """A new one needs a case above."""
    assert {getattr(case, "values", case)[1] for case in CASES} == set(SLOW)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_the_next_one_is_whole(rustrak: Rustrak, dest: Path, tmp_path: Path, form: str) -> None:
    """One that was killed amid it, whose processes may live on for a moment, is nothing to the next."""
    gathering = tmp_path / "gathering"
    with begun("gathering", dest, gathering) as process:
        process.kill()
    try:
        assert "2 new events; 3 events" in rustrak("export", dest).out
        assert messages(dest) == {"first", "second", "third"}
    finally:
        for pid in gathering.read_text().split():
            os.kill(int(pid), signal.SIGKILL)
