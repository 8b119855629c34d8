"""What the processes of a server use, asked of Linux; elsewhere it is not known, and None."""

import importlib.metadata
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from tests.faults.memory import pss_bytes, pss_of, roles
from tests.serve.support import Served

_TICKS = os.sysconf("SC_CLK_TCK")
ROLES = ("parent", "http", "digest")


def cpu_s(pids: list[int]) -> float | None:
    """Return the processor time that processes have used."""
    used = [_cpu_s(pid) for pid in pids]
    return None if None in used else sum(each for each in used if each is not None)


def _cpu_s(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_of(served: Served) -> dict[str, int] | None:
    """Return the memory (PSS) of each of `ROLES`, and ``total``, in bytes."""
    figures = pss_bytes(served)
    return figures if figures["total"] else None


class MemoryWatch:
    """Looks at the memory of a server every so often, from a thread of its own; for new processes once a second.

    Attributes:
        samples: Each like the answer of `memory_of`.
    """

    def __init__(self, served: Served, *, every_s: float) -> None:
        self._served = served
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory-watch")
        self.samples: list[dict[str, int]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def peak(self) -> dict[str, int] | None:
        """Return the sample with the most memory in all."""
        return max(self.samples, key=lambda sample: sample["total"], default=None)

    def _run(self) -> None:
        looked_at, processes = time.monotonic(), roles(self._served)
        while not self._over.wait(self._every_s):
            if time.monotonic() - looked_at > 1:
                looked_at, processes = time.monotonic(), roles(self._served)
            sample = pss_of(processes)
            if not sample["total"]:
                return
            self.samples.append(sample)


def stored_bytes(data_dir: Path) -> int:
    """Return the size of the SQLite database in *data_dir*, its log included."""
    return sum(file.stat().st_size for file in data_dir.glob("rustrak.db*"))


def environment() -> dict[str, Any]:
    """Return what figures depend on."""
    return {
        "version": importlib.metadata.version("rustrak"),
        "commit": _commit(),
        "python": sys.version.split()[0],
        "system": f"{os.uname().sysname} {os.uname().machine}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_average": os.getloadavg()[0],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _commit() -> str:
    """Return the commit that is checked out, empty where git does not say."""
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
