"""Where damaged records go: a folder beside the lanes, bounded, for whoever wants to look into it."""

import contextlib
import os
from pathlib import Path

from rustrak_storage.spool.scan import Found, Window

_MAX_FILES = 100
_MAX_BYTES = 16 * 1024 * 1024


class DamagedFolder:
    """Keeps copies of what could not be read; beyond a hundred, and beyond 16 MiB of one, nothing is copied."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "damaged"

    def pieces(self) -> int:
        """Return how many pieces are there, for whoever looks after the spool; once seen, they may be removed."""
        try:
            return len(list(self.path.iterdir()))
        except OSError:
            return 0

    def keep(self, lane: str, segment: int, found: Found, window: Window) -> None:
        """Copy a stretch of a segment; a copy that fails is not worth an error, for the rest must go on."""
        with contextlib.suppress(OSError):
            self.path.mkdir(exist_ok=True, mode=0o700)
            if self.pieces() >= _MAX_FILES:
                return
            name = f"{lane}-{segment:012}-{found.start:012}.bin"
            fd = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(window.get(found.start, min(found.stop - found.start, _MAX_BYTES)))
