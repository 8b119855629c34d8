"""What ``rustrak serve`` refuses to start with: one line that says what to do, nothing accepted, nothing touched."""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rustrak_storage.spool import DirectorySpool, Presence
from rustrak_storage.spool.machine import WATCH_S, Machine
from rustrak_storage.spool.record import FORMAT_VERSION, SegmentHead
from tests.faults.accounts import hold
from tests.faults.small_disk import SmallDisk
from tests.serve.support import SERVE, Served, new_ids
from tests.spool.helpers import FREE_BYTES, accepted, segments, used_by

OTHER = Machine(name="web-2.example", boot="9a1d7f52-0000-4000-8000-2f1e5a9d3c11")
FOREIGN = b"A thesis, of which there is no copy.\n" * 100


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Return a data directory in whose spool three events wait."""
    directory = tmp_path / "data"
    spool = DirectorySpool(directory / "spool", min_free_bytes=FREE_BYTES)
    for number in range(3):
        spool.accept(accepted(number))
    spool.close()
    return directory


def contents(directory: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in directory.rglob("*")}


def refused(data_dir: Path, *options: str, code: int = 1, **env: str) -> str:
    """Start a server that must not start, and return what it says."""
    command = [*SERVE, "--port", "0", "--data-dir", str(data_dir), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **env})
    assert (done.returncode, done.stdout) == (code, ""), done
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("given", ["many", "0", "-5", "1.5", "error=0", "errors=5", ""])
def test_a_quota_that_is_none(data_dir: Path, given: str) -> None:
    """No number, none above zero, or of no known category: the option is named, and what to write."""
    before = contents(data_dir)
    text = refused(data_dir, "--quota-server-hour", given, code=2)
    assert "--quota-server-hour" in text
    assert "write as in 5000, error=5000,attachment=100, or none" in " ".join(text.split())
    assert contents(data_dir) == before


def test_a_quota_in_the_environment(data_dir: Path) -> None:
    """It is checked as one on the command line is."""
    text = refused(data_dir, code=2, RUSTRAK_QUOTA_PROJECT_MINUTE="-1")
    assert "RUSTRAK_QUOTA_PROJECT_MINUTE" in text or "--quota-project-minute" in text


def newer_format(spool: Path) -> None:
    (spool / "FORMAT").write_text(f"rustrak spool {FORMAT_VERSION + 1}\n")


def newer_segment(spool: Path) -> None:
    segments(spool)[0].with_name("000000000009.seg").write_bytes(SegmentHead(version=FORMAT_VERSION + 1).pack())


def foreign_segment(spool: Path) -> None:
    segments(spool)[0].with_name("000000000009.seg").write_bytes(FOREIGN)


def foreign_folder(spool: Path) -> None:
    (spool / "FORMAT").unlink()
    (spool / "thesis.txt").write_bytes(FOREIGN)


def foreign_file(spool: Path) -> None:
    spool.rename(spool.with_name("elsewhere"))
    spool.write_bytes(FOREIGN)


@pytest.mark.parametrize(
    ("prepare", "texts"),
    [
        (newer_format, ["spool is a spool of another version", "drain it", "RUSTRAK_DATA_DIR"]),
        (newer_segment, ["000000000009.seg was written by a newer Rustrak", "upgrade this one"]),
        (foreign_segment, ["000000000009.seg is not a file of this spool", "move it away"]),
        (foreign_folder, ["holds files but is not a spool", "RUSTRAK_DATA_DIR", "move these files away"]),
        (foreign_file, ["is a file, but the spool needs a folder there", "move the file"]),
    ],
)
def test_a_spool_that_is_not_for_us(data_dir: Path, prepare: Callable[[Path], None], texts: list[str]) -> None:
    """Of a newer version, or someone else's: it stays as it was, and no database is made either."""
    prepare(data_dir / "spool")
    before = contents(data_dir)
    said = refused(data_dir)
    assert all(text in said for text in texts), said
    assert len(said.splitlines()) == 1
    assert contents(data_dir) == before


@pytest.mark.slow
def test_another_machine_s_spool(data_dir: Path) -> None:
    """A folder on a file system that machines share is one machine's: the other is named."""
    mark = data_dir / "spool" / "machine"
    before = contents(data_dir) | {mark: b""}
    with used_by(data_dir / "spool", OTHER):
        said = refused(data_dir)
    assert f"in use on another machine, {OTHER.name}" in said
    assert "--data-dir" in said
    assert contents(data_dir) | {mark: b""} == before


@pytest.mark.slow
def test_a_machine_that_is_gone(tmp_path: Path) -> None:
    """What another machine left behind is watched for some seconds; then all goes on, and no one's hand is needed."""
    (early, late) = new_ids(2)
    with Served(tmp_path) as first:
        assert first.send(early, message="early") == 200
        first.kill()
    mark = tmp_path / "spool" / "machine"
    mark.write_text(json.dumps({"machine": OTHER.name, "boot": OTHER.boot, "beat": "1"}))
    with Served(tmp_path, like=first) as served:
        assert f"spool_of_another_machine machine={OTHER.name}" in served.stderr.read_text()
        assert OTHER.boot not in mark.read_text()
        assert served.send(late, message="late") == 200
        hold(served, [early, late])
        assert served.stop() == 0
    assert not mark.exists()
    assert WATCH_S < 10, "a start after a crash takes longer than it needs to"


@pytest.mark.slow
def test_a_spool_that_another_machine_takes(tmp_path: Path) -> None:
    """Who stood still, as a machine that was suspended, and finds another's mark, ends and says so; nothing is lost."""
    ids = new_ids(20)
    with Served(tmp_path) as served:
        for event_id in ids:
            assert served.send(event_id, message="before") == 200
        Presence(tmp_path / "spool", me=OTHER).take()
        assert served.wait() == 1
    assert f"in use on another machine, {OTHER.name}" in served.stderr.read_text()
    with Served(tmp_path, like=served) as again:
        hold(again, ids)
        assert again.stop() == 0


@pytest.mark.slow
def test_a_disk_that_is_full(tmp_path: Path, small_disk: SmallDisk) -> None:
    """No lane can be made in the spool: it is named, with the system's reason."""
    folder = small_disk.path / "data"
    spool = DirectorySpool(folder / "spool", min_free_bytes=FREE_BYTES)
    spool.accept(accepted(1))
    held = spool  # its lane is taken, so that another one would be needed
    with contextlib.suppress(OSError), (small_disk.path / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    before = contents(folder)
    said = refused(folder, "--database-url", f"sqlite:///{tmp_path}/store.db")
    assert "spool" in said
    assert "No space left on device" in said
    assert "free space" in said
    assert contents(folder) == before
    held.close()
