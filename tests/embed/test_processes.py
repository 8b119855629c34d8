"""The embedded transport in whole processes: `sentry_sdk.init` with all its integrations, forks, and the end."""

import subprocess
import sys
from pathlib import Path

import pytest

from rustrak_core import Tracker
from rustrak_storage import open_store

PRELUDE = """
import logging, os, sys, threading
import sentry_sdk
from rustrak_core import Tracker
from rustrak_core.embed import TrackerTransport
from rustrak_core.errors import StoreUnavailableError
from rustrak_storage import open_store

tracker = Tracker(open_store("sqlite:///errors.db"))
transport = TrackerTransport(tracker, tracker.create_project("shop"), retry_delays_s=())
"""


def run(code: str, folder: Path, *, status: int = 0) -> str:
    """Run a script after the prelude, warnings being errors, and return what it printed."""
    command = [sys.executable, "-W", "error", "-c", PRELUDE + code]
    path = str(Path(__file__).parents[2])
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": path}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def messages(folder: Path) -> dict[str, int]:
    """Return the issues in the folder's database, with their counts."""
    with Tracker(open_store(f"sqlite:///{folder}/errors.db")) as tracker:
        return {issue.message: issue.event_count for issue in tracker.issues("shop")}


def test_at_exit_all_is_recorded(tmp_path: Path) -> None:
    """A script that ends with an error, and flushes nothing, leaves that error in the database."""
    code = """
sentry_sdk.init(transport=transport)
logging.getLogger("shop").error("the till is open")
raise LookupError("no pear")
"""
    run(code, tmp_path, status=1)
    assert messages(tmp_path) == {"the till is open": 1, "no pear": 1}


def test_a_daemon_thread_does_not_keep_the_process(tmp_path: Path) -> None:
    """A process may end although a thread of ours waits."""
    run('sentry_sdk.init(transport=transport)\nsentry_sdk.capture_message("hello")\nsys.exit(3)', tmp_path, status=3)
    assert messages(tmp_path) == {"hello": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_forked_child_records_its_own(tmp_path: Path) -> None:
    """Parent and children record what each captured, once; what waited at the fork is the parent's alone."""
    code = """
sentry_sdk.init(transport=transport)
sentry_sdk.capture_message("before any fork")
sentry_sdk.flush(60)
entered, released = threading.Event(), threading.Event()
record = tracker.store.record
def held(*args, **kwargs):
    entered.set()
    released.wait(60)
    return record(*args, **kwargs)
tracker.store.record = held
sentry_sdk.capture_message("under way")
assert entered.wait(60)
sentry_sdk.capture_message("waiting")
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        del tracker.store.record
        assert transport.dropped == 0 and transport.is_healthy()
        sentry_sdk.capture_message("of a child")
        sentry_sdk.flush(60)
        os._exit(0)
    children.append(child)
statuses = [os.waitpid(child, 0)[1] for child in children]
released.set()
sentry_sdk.capture_message("of the parent")
sentry_sdk.flush(60)
assert statuses == [0, 0, 0], statuses
"""
    run(code, tmp_path)
    expected = {"before any fork": 1, "under way": 1, "waiting": 1, "of a child": 3, "of the parent": 1}
    assert messages(tmp_path) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_forks_under_load(tmp_path: Path) -> None:
    """Forking while other threads capture leaves no lock held in the child."""
    code = """
sentry_sdk.init(transport=transport)
stop = threading.Event()
def capture():
    while not stop.wait(0.002):  # else they starve the recording thread of the interpreter, and that is all one sees
        sentry_sdk.capture_message("of the parent")
threads = [threading.Thread(target=capture, daemon=True) for _ in range(3)]
for thread in threads: thread.start()
for number in range(10):
    child = os.fork()
    if child == 0:
        sentry_sdk.capture_message("of a child")
        transport.flush(60)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
sentry_sdk.flush(60)
"""
    run(code, tmp_path)
    assert messages(tmp_path)["of a child"] == 10


def test_it_never_captures_its_own_errors(tmp_path: Path) -> None:
    """Errors, logs, spans and threads of the recording itself become neither events nor parts of the host's."""
    code = """
from sqlalchemy import create_engine, text
sentry_sdk.init(transport=transport, traces_sample_rate=1.0, enable_logs=True, debug=False)
record, sent = tracker.store.record, []
receive = tracker.receive
def seen(envelope, *args, **kwargs):
    sent.append([item.headers["type"] for item in envelope.items])
    return receive(envelope, *args, **kwargs)
tracker.receive = seen
def noisy(*args, **kwargs):
    logging.getLogger("noisy").error("from within")
    sentry_sdk.capture_message("from within")
    sentry_sdk.capture_exception(RuntimeError("from within"))
    with sentry_sdk.start_span(op="db", name="from within"): pass
    if len(sent) < 3:
        raise StoreUnavailableError("away")
    return record(*args, **kwargs)
tracker.store.record = noisy
with sentry_sdk.start_transaction(name="buy") as transaction:
    for number in range(3):
        sentry_sdk.capture_message("hello")
        transport.flush(60)
    spans = len(transaction._span_recorder.spans)
assert spans == 0, spans
sentry_sdk.flush(60)
sentry_sdk.get_client().close()
assert sum(types.count("event") for types in sent) == 3, sent
assert sum(types.count("transaction") for types in sent) == 1, sent
newest = next(tracker.events("SHOP-1"))
crumbs = tracker.event_json(newest.id)["breadcrumbs"]["values"]
assert not [crumb for crumb in crumbs if "within" in str(crumb)], crumbs
"""
    run(code, tmp_path)
    assert messages(tmp_path) == {"hello": 1}


def test_a_broken_store_ends_nothing(tmp_path: Path) -> None:
    """With a store that always fails the host runs on, and ends with its own status and without our tracebacks."""
    code = """
sentry_sdk.init(transport=transport)
tracker.close()
for number in range(5):
    sentry_sdk.capture_message("hello")
sentry_sdk.flush(60)
assert transport.dropped == 5, transport.dropped
assert not transport.is_healthy()
print("well")
"""
    out = run(code, tmp_path)
    assert "well" in out
    assert "Traceback" not in out


def test_nothing_starts_with_the_import(tmp_path: Path) -> None:
    """Importing, opening a store and making tracker and transport start no thread."""
    run("assert threading.active_count() == 1", tmp_path)


def test_without_sentry_sdk(tmp_path: Path) -> None:
    """Where sentry-sdk is not installed, the error says what to install; the rest of the core needs it not."""
    code = """
import sys
sys.modules["sentry_sdk"] = None
import rustrak_core.tracker
try:
    import rustrak_core.embed
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "pip install sentry-sdk" in done.stdout
