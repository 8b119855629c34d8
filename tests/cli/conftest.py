"""The `rustrak` command within this process, on a data directory of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from rustrak_core.tracker import Tracker
from rustrak_http.cli import main
from rustrak_storage import open_store


@attrs.frozen
class Done:
    """What a command left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Rustrak:
    """Runs the command; anything that a process would print as a traceback is raised."""

    def __init__(self, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.data_dir = data_dir
        self._capsys = capsys

    def __call__(self, *args: object, code: int = 0) -> Done:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(arg) for arg in args])
        out, err = self._capsys.readouterr()
        done = Done(int(ended.value.code or 0), out, err)
        assert done.code == code, done
        return done

    def json(self, *args: object) -> Any:
        return self(*args, "--json").json

    def fails(self, *args: object, code: int = 1) -> str:
        """Run a command that must fail with one clear line, and return the line."""
        done = self(*args, code=code)
        assert "Traceback" not in done.err
        if code == 1:
            assert done.err.count("\n") == 1, done.err
            assert done.err.startswith("rustrak: ")
        return done.err

    @contextmanager
    def tracker(self) -> Iterator[Tracker]:
        """Open the same database beside the command."""
        with Tracker(open_store(f"sqlite:///{self.data_dir}/rustrak.db")) as tracker:
            yield tracker


@pytest.fixture
def rustrak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rustrak:
    monkeypatch.setenv("RUSTRAK_DATA_DIR", str(tmp_path / "data"))
    for name in ("RUSTRAK_DATABASE_URL", "RUSTRAK_PUBLIC_URL", "SENTRY_DSN"):
        monkeypatch.delenv(name, raising=False)
    return Rustrak(tmp_path / "data", capsys)
