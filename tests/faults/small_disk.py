"""A file system in memory, which is full soon."""

import subprocess
from pathlib import Path


class SmallDisk:
    """A file system in memory, of a size that can change."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resize(self, size_bytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size_bytes}", self.path], check=True)

    def make_read_only(self) -> None:
        subprocess.run(["mount", "-o", "remount,ro", self.path], check=True)
