"""README's first command, in a clone: it installs, and ends with a server."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A new environment, as README makes one."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True, timeout=120)
    return tmp_path / "venv"


def test_install_and_serve(home: Path, tmp_path: Path) -> None:
    """Done when 1 of the main job: an environment of its own, `pip install .`, and `rustrak serve` answers."""
    subprocess.run([home / "bin" / "pip", "install", "--quiet", ROOT], check=True, timeout=300)
    env = os.environ | {"RUSTRAK_DATA_DIR": str(tmp_path / "data"), "RUSTRAK_PORT": "0"}
    with subprocess.Popen(
        [home / "bin" / "rustrak", "serve", "--json"], env=env, cwd=tmp_path, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            facts = json.loads(process.stdout.readline())
            with urlopen(facts["url"] + "/health", timeout=30) as answer:
                assert json.load(answer) == {"status": "ok"}
            assert facts["dsn"].startswith("http://")
            assert len(facts["token"]) == 40
        finally:
            process.terminate()
            assert process.wait(timeout=60) == 0


def test_wheel_holds_what_it_should(home: Path, tmp_path: Path) -> None:
    """The three packages, typed, with migrations and licence; no tests, no documentation."""
    command = [str(home / "bin" / "pip"), "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    (wheel,) = tmp_path.glob("rustrak-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert folders == {"rustrak_core", "rustrak_storage", "rustrak_http"}
    assert {f"{folder}/py.typed" for folder in folders} <= set(names)
    assert any("/migrations/versions/" in name for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
