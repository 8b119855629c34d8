"""What tests of faults share."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.small_disk import SmallDisk

_MIB = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={8 * _MIB}", "rustrak-test", str(path)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)
