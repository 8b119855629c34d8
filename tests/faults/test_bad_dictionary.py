"""A dictionary that is missing or damaged: named with what to do, before anything is accepted, and nothing touched."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rustrak_storage.factory import open_store
from rustrak_storage.testing.values import create_project, digested
from tests.serve.support import SERVE


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Return a data directory whose events were packed with a dictionary."""
    store = open_store(f"sqlite:///{tmp_path}/rustrak.db")
    project = create_project(store, "x")
    store.record([digested(project, n, payload=b'{"number": %d, "of": "many alike"}' % n) for n in range(1, 501)])
    store.close()
    return tmp_path


def asked(data_dir: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(data_dir / "rustrak.db")) as database, database:
        return database.execute(statement).fetchall()


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ("DELETE FROM rustrak_dictionary", "dictionary 1, with which they were packed, is missing from the table"),
        (
            "UPDATE rustrak_dictionary SET data = CAST(substr(data, 1, 1000) AS BLOB)",
            "dictionary 1, with which they were packed, is damaged in the table",
        ),
    ],
)
def test_serve_refuses(data_dir: Path, damage: str, text: str) -> None:
    """A start ends with a line that names the dictionary and what to restore; the directory stays as it was."""
    assert asked(data_dir, "SELECT COUNT(*) FROM rustrak_payload WHERE dictionary = 1") == [(500,)]
    asked(data_dir, damage)
    dump = list(sqlite3.connect(data_dir / "rustrak.db").iterdump())
    before = sorted(path.name for path in data_dir.iterdir() if "rustrak.db" not in path.name)
    command = [*SERVE, "--port", "0", "--data-dir", str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert text in done.stderr
    assert "restore that table from a copy of the database" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in data_dir.iterdir() if "rustrak.db" not in path.name) == before
    assert list(sqlite3.connect(data_dir / "rustrak.db").iterdump()) == dump
