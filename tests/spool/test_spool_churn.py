"""Processes that come, go and are killed, over one folder."""

import random
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from rustrak_core.accepted import SpoolPosition
from rustrak_storage.spool import DirectorySpoolReader
from tests.spool.helpers import numbers

ROOT = Path(__file__).parents[2]
WRITER = textwrap.dedent("""
    import os, sys, threading
    from pathlib import Path
    from rustrak_storage.spool import DirectorySpool
    from tests.spool.helpers import accepted
    spool = DirectorySpool(Path(sys.argv[1]), min_free_bytes=1, segment_bytes=20_000)
    def run(thread):
        for number in range(int(sys.argv[2]) + thread * 100_000, 10**9):
            spool.accept(accepted(number, size=300))
            os.write(1, b"%d\\n" % number)
    for thread in range(4):
        threading.Thread(target=run, args=(thread,), daemon=True).start()
    threading.Event().wait()
""")


class Recorder:
    """A reader and the store behind it; it is broken off at random, and the next one goes on from what is committed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.positions: dict[str, SpoolPosition] = {}
        self.events: list[int] = []
        self.damaged = 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        chance = random.Random(7)
        while not self.stop.is_set():
            reader = DirectorySpoolReader(self.directory)
            self.round(reader, until=time.monotonic() + chance.random() / 2)
            reader.close()

    def round(self, reader: DirectorySpoolReader, *, until: float) -> None:
        while time.monotonic() < until:
            for lane in reader.lanes():
                batch = reader.read(lane, after=self.positions.get(lane), max_events=50, max_bytes=100_000)
                if batch is None:
                    if lane in self.positions:
                        reader.forget(self.positions[lane])
                    continue
                self.events += numbers(list(batch.accepted))
                self.damaged += batch.damaged
                self.positions[lane] = batch.advance.end
                reader.forget(batch.advance.end)
            time.sleep(0.005)


@pytest.mark.slow
def test_nothing_is_lost_or_doubled(directory: Path) -> None:
    """Writers are killed and started over and over, readers broken off: what was acknowledged is recorded, once."""
    acknowledged: set[int] = set()
    recorder = Recorder(directory)
    recorder.thread.start()
    for life in range(1, 6):
        command = [sys.executable, "-c", WRITER, str(directory), str(life * 10**6)]
        writers = [
            subprocess.Popen([*command[:-1], str(life * 10**6 + each * 500_000)], stdout=subprocess.PIPE, cwd=ROOT)
            for each in range(2)
        ]
        for writer in writers:
            assert writer.stdout is not None
            lines = [writer.stdout.readline() for _ in range(100)]
            writer.kill()
            lines += writer.stdout.readlines()
            writer.stdout.close()
            writer.wait()
            acknowledged |= {int(line) for line in lines if line.endswith(b"\n")}
    recorder.stop.set()
    recorder.thread.join()
    last = DirectorySpoolReader(directory)
    deadline = time.monotonic() + 30
    while last.lanes() and time.monotonic() < deadline:
        recorder.round(last, until=time.monotonic() + 0.2)
    last.close()
    assert [path.name for path in directory.iterdir()] == ["FORMAT"], "lanes without a writer are removed"
    assert recorder.damaged == 0
    assert len(recorder.events) == len(set(recorder.events))
    assert acknowledged <= set(recorder.events)
    assert len(acknowledged) >= 5 * 2 * 100 - 10
