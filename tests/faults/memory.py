"""How much memory and disk a server takes, asked of Linux."""

from pathlib import Path

from tests.serve.support import Served


def pss_bytes(served: Served) -> dict[str, int]:
    """Return the memory of each role of a server, pages that processes share counted once; ``total`` too."""
    return pss_of(roles(served))


def roles(served: Served) -> dict[str, list[int]]:
    """Return the process ids of each role; looking for them takes far longer than asking for their memory."""
    return {"parent": [served.process.pid], "http": served.pids("http"), "digest": served.pids("digest")}


def pss_of(processes: dict[str, list[int]]) -> dict[str, int]:
    """Return the memory of processes by role, and ``total``."""
    figures = {role: sum(map(_pss, pids)) for role, pids in processes.items()}
    return {**figures, "total": sum(figures.values())}


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def folder_bytes(folder: Path) -> int:
    """Return the size of all files in *folder*."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # drained meanwhile
            continue
    return total
