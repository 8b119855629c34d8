"""What importing the packages loads, and that they are where they should be."""

import subprocess
import sys
from pathlib import Path

import pytest

from rustrak_storage.factory import open_store

HEAVY = ("falcon", "sqlalchemy", "alembic", "duckdb", "waitress", "click", "rich", "sentry_sdk")


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that *statement* loads in a new interpreter."""
    code = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["rustrak_core", "rustrak_core.tracker", "rustrak_core.grouping"])
def test_the_core_is_light(module: str) -> None:
    """Done when 7 of the main job: the core loads no web framework, no database and no command line."""
    assert not loaded_by(f"import {module}") & set(HEAVY)


def test_importing_starts_no_thread() -> None:
    """A host that imports us, or makes a tracker, gets no thread unasked."""
    code = "import threading, rustrak_core, rustrak_core.tracker, rustrak_http.app; print(threading.active_count())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["1"]


def test_only_datasets_load_duckdb() -> None:
    """Neither the command line nor what `rustrak serve` runs does."""
    modules = "rustrak_http.cli.serve, rustrak_http.cli.digest, rustrak_http.cli.export, rustrak_http.cli.ask"
    loaded = loaded_by(f"import {modules}, rustrak_storage.sql, rustrak_storage.spool, rustrak_http.app")
    assert "duckdb" not in loaded


def test_a_store_loads_no_dialect_of_another_database(tmp_path: Path) -> None:
    """Each process of a server would keep SQLAlchemy's dialects of MariaDB and PostgreSQL, megabytes, for nothing."""
    url = f"sqlite:///{tmp_path / 'rustrak.db'}"
    open_store(url).close()  # what makes tables loads them all
    code = (
        "import sys; from rustrak_storage.factory import open_store; "
        "from rustrak_storage.sql.upsert import adding; from rustrak_storage.sql import schema; "
        "open_store(sys.argv[1]).close(); adding('sqlite', schema.counter, 'quantity'); "
        "print(*{name for name in sys.modules if name.startswith('sqlalchemy.dialects.')})"
    )
    command = [sys.executable, "-c", code, url]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    dialects = {name.split(".")[2] for name in done.stdout.split()}
    assert "sqlite" in dialects
    assert not dialects & {"mysql", "postgresql"}
