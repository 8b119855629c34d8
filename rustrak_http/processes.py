"""What a process uses, as Linux tells (other systems have no files that say it), and may use."""

import os
import resource
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class Usage:
    """Memory and files of a process; None where that is not known.

    Attributes:
        resident_bytes: Of memory, parts that it shares with others too.
        proportional_bytes: Likewise, shared parts divided by the number of those who share them.
        open_fds: Open files, sockets among them.
    """

    resident_bytes: int | None = None
    proportional_bytes: int | None = None
    open_fds: int | None = None


def usage(pid: int, *, proc: Path = Path("/proc")) -> Usage | None:
    """Return what a process uses, None where there is none of that id, or the system does not say."""
    folder = proc / str(pid)
    try:
        resident = int((folder / "statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
    return Usage(resident_bytes=resident, proportional_bytes=_proportional(folder), open_fds=_open_fds(folder))


def raise_file_limit() -> int:
    """Allow as many open files as this user may have, and return how many: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS says no to more than kern.maxfilesperproc
            return soft
    return wanted


def _proportional(folder: Path) -> int | None:
    try:
        lines = (folder / "smaps_rollup").read_text("ascii").splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, ValueError, IndexError):
        return None


def _open_fds(folder: Path) -> int | None:
    try:
        return sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        return None
