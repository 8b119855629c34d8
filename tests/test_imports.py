"""What importing the packages loads, and that they are where they should be."""

import subprocess
import sys

import pytest

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
