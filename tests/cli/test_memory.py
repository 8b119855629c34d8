"""What long-lived processes do for their memory."""

import subprocess
import sys

import pytest

PROBE = """
from pathlib import Path
from rustrak_http.cli.memory import give_back_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])

pieces = [bytes(2000) for _ in range(20_000)]
last = bytes(2000)  # behind them, so that the heap does not shrink by itself
full = resident()
pieces.clear()
freed = resident()
give_back_memory()
print(full, freed, resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have neither glibc nor /proc")
def test_freed_memory_goes_back() -> None:
    """Small pieces that were freed are the system's again, not kept for later, as after a training they would be."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    full, freed, after = map(int, done.stdout.split())
    assert freed > full * 0.9
    assert after < full * 0.7
