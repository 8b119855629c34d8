"""A disk that is full or fails, below the spool and below the store: refused is refused, accepted is there later."""

import contextlib
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.faults.accounts import hold, totals
from tests.faults.small_disk import SmallDisk
from tests.serve.support import SERVE, Served, new_ids

_MIB = 2**20
PADDING = "x" * 100_000


def send_all(served: Served, ids: list[UUID]) -> dict[UUID, int]:
    """Send events of 100 KB, and return what each was answered."""
    return {event_id: served.send(event_id, message="big", extra={"padding": PADDING}) for event_id in ids}


@contextlib.contextmanager
def failing_writes(pids: list[int]) -> Iterator[None]:
    """Have the kernel refuse what processes write to files."""
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    yield
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.slow
def test_the_spool_s_disk_is_full(tmp_path: Path, small_disk: SmallDisk) -> None:
    """With all of the data on a full disk, events get 429 and are counted as shed; with room again they are taken."""
    data_dir = small_disk.path / "data"
    with Served(data_dir, "--spool-min-free-bytes", "1") as served:
        answers = send_all(served, new_ids(200))
        taken = {event_id for event_id, status in answers.items() if status == 200}
        assert 0 < len(taken) < len(answers)
        assert set(answers.values()) == {200, 429}
        small_disk.resize(256 * _MIB)
        more = new_ids(20)
        for event_id in more:  # each process looks for itself, five times a second
            served.wait_for(lambda event_id=event_id: served.send(event_id, message="again") == 200, "room")
        hold(served, taken | set(more))
        served.wait_for(lambda: totals(served)["shed"] >= len(answers) - len(taken), "count of what was shed")
        hold(served, taken | set(more))
        served.wait_for(served.is_ready, "readiness")
        assert served.stop() == 0


@pytest.mark.slow
def test_the_store_s_disk_is_full(tmp_path: Path, small_disk: SmallDisk) -> None:
    """Accepting goes on into the spool, on another disk, and all is stored once there is room."""
    small_disk.resize(2 * _MIB)
    url = f"sqlite:///{small_disk.path}/rustrak.db"
    noise = Path("/dev/urandom")
    with Served(tmp_path / "data", "--database-url", url) as served, noise.open("rb") as random:
        ids = new_ids(100)
        for event_id in ids:
            assert served.send(event_id, message="big", extra={"noise": random.read(40_000).hex()}) == 200
        served.wait_for(lambda: "disk is full" in served.stderr.read_text(), "full disk")
        assert totals(served)["queued"] > 0
        small_disk.resize(256 * _MIB)
        hold(served, ids)
        served.wait_for(served.is_ready, "readiness")
        assert served.stop() == 0


@pytest.mark.slow
def test_the_spool_s_disk_fails(tmp_path: Path) -> None:
    """An event that cannot be written is refused, never acknowledged; afterwards all goes on without a restart."""
    with Served(tmp_path) as served:
        before, after = new_ids(20), new_ids(20)
        assert set(send_all(served, before).values()) == {200}
        with failing_writes(served.pids("http")):
            refused = send_all(served, new_ids(20))
        assert all(status >= 429 for status in refused.values()), refused
        served.wait_for(lambda: set(send_all(served, after).values()) == {200}, "a disk that works")
        hold(served, [*before, *after])
        served.wait_for(served.is_ready, "readiness")
        assert served.stop() == 0


@pytest.mark.slow
def test_a_disk_that_is_read_only(tmp_path: Path, small_disk: SmallDisk) -> None:
    """A server that could not keep what it takes does not start: it names the folder, and changes nothing."""
    data_dir = small_disk.path / "data"
    store = f"--database-url=sqlite:///{tmp_path}/store.db"
    with Served(data_dir, "--spool-min-free-bytes", "1", store) as served:
        assert served.send(new_ids(1)[0], message="early") == 200
        assert served.stop() == 0
    before = {path: path.stat().st_mtime_ns for path in data_dir.rglob("*")}
    small_disk.make_read_only()
    command = [*SERVE, "--port", "0", "--data-dir", str(data_dir), store]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert str(data_dir / "spool") in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in data_dir.rglob("*")} == before
