"""A PostgreSQL server of a test's own, to be stopped and started; no other server of the machine is touched."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NoReturn

import pytest
from sqlalchemy import URL

from tests.faults.burst import free_port

_INSTALLED = Path("/usr/lib/postgresql")
_OWNER = "postgres"
_WITHIN_S = 120


class Cluster:
    """A server with a data directory and a port of its own, which only this machine reaches, and without a password.

    It syncs to the disk what it commits, as one that somebody relies on does.
    """

    def __init__(self, folder: Path, programs: Path, owner: str | None) -> None:
        """Make it in *folder* and start it, with the programs in *programs*, as the user *owner* if one is named."""
        self._folder = folder
        self._programs = programs
        self._owner = owner
        self._data = folder / "data"
        self._port = free_port()
        self._run("initdb", "-D", self._data, "-U", _OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.start()

    @property
    def url(self) -> URL:
        """The database that every server has."""
        return URL.create("postgresql+psycopg", _OWNER, host="127.0.0.1", port=self._port, database="postgres")

    def start(self) -> None:
        """Start it, and return when it answers: what it kept, it has recovered by then."""
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        self._run("pg_ctl", "-D", self._data, "-l", self._folder / "log", "-o", options, "-w", "start")

    def stop(self, mode: Literal["fast", "immediate"]) -> None:
        """Stop it: *fast* tells clients and rolls back, *immediate* ends as a crash does."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop")

    def _run(self, program: str, *arguments: str | Path) -> None:
        # Output goes to a file: the server inherits it, and would keep a pipe open.
        with (self._folder / "output").open("wb") as output:
            done = subprocess.run(
                [self._programs / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_WITHIN_S,
                check=False,
                cwd=self._folder,
                user=self._owner,
                group=self._owner,
                extra_groups=None if self._owner is None else [],
            )
        if done.returncode:
            log = self._folder / "log"
            texts = [file.read_text(errors="replace") for file in (self._folder / "output", log) if file.exists()]
            raise RuntimeError(f"{program} {arguments[-1]} ended with {done.returncode}:\n" + "\n".join(texts))


@contextlib.contextmanager
def new_cluster() -> Iterator[Cluster]:
    """Make a server, and remove it in the end; skip, or fail where servers are required, if that cannot be."""
    programs, owner = _programs(), _owner()
    with tempfile.TemporaryDirectory(prefix="rustrak-postgres-") as name:  # pytest's own only its user may enter
        folder = Path(name)
        if owner is not None:
            shutil.chown(folder, owner, owner)
        cluster = Cluster(folder, programs, owner)
        try:
            yield cluster
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                cluster.stop("immediate")


def _programs() -> Path:
    """Return the folder of the newest PostgreSQL installed."""
    on_path = shutil.which("initdb")
    found = sorted(_INSTALLED.glob("*/bin/initdb"), key=lambda file: (len(file.parts[-3]), file.parts[-3]))
    if on_path is None and not found:
        _refuse(f"no initdb on the PATH nor below {_INSTALLED}; install PostgreSQL's server")
    return Path(on_path).resolve().parent if on_path is not None else found[-1].parent


def _owner() -> str | None:
    """Return as whom to run it: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(_OWNER)
    except KeyError:
        _refuse(f"root cannot run PostgreSQL, and there is no user {_OWNER}")
    return _OWNER


def _refuse(reason: str) -> NoReturn:
    if os.environ.get("RUSTRAK_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
