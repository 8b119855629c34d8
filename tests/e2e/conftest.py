"""A real server in its own process, and real clients in their own environments."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CLIENTS = Path(__file__).parent / "clients"
INSTALL_S = 300
RUN_S = 60


class Shop:
    """A project on a server that runs."""

    def __init__(self, url: str, token: str, project: dict[str, Any]) -> None:
        self.url = url
        self._token = token
        self.id: int = project["id"]
        self.dsn: str = project["dsn"]

    def get(self, path: str) -> Any:
        """Read from the API."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def event(self, event_id: str, *, within_s: float = 10) -> dict[str, Any]:
        """Return an event once it is digested."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                event: dict[str, Any] = self.get(f"/api/events/{event_id}?project_id={self.id}")
            except urllib.error.HTTPError as error:
                if error.code != 404 or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)  # digesting happens in another process, and the API is how one learns of it
            else:
                return event


@pytest.fixture(scope="session")
def rustrak(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which all commands share one data directory and a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    return os.environ | {
        "RUSTRAK_DATA_DIR": str(tmp_path_factory.mktemp("rustrak")),
        "RUSTRAK_HOST": "127.0.0.1",
        "RUSTRAK_PORT": str(port),
        "RUSTRAK_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }


def _rustrak(env: dict[str, str], *args: str) -> Any:
    command = [sys.executable, "-m", "rustrak_http.cli", *args, "--json"]
    return json.loads(subprocess.run(command, env=env, check=True, capture_output=True, timeout=RUN_S).stdout)


@pytest.fixture(scope="session")
def serve(rustrak: dict[str, str]) -> Iterator[str]:
    """A server that is ready; its URL."""
    url = rustrak["RUSTRAK_PUBLIC_URL"]
    process = subprocess.Popen([sys.executable, "-m", "rustrak_http.cli", "serve"], env=rustrak)
    try:
        _wait_until_ready(url, process)
        yield url
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(url + "/health/ready", timeout=5).close()
        except OSError:
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not become ready"
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def shop(rustrak: dict[str, str], serve: str, request: pytest.FixtureRequest) -> Shop:
    """A new project, created by the command while the server runs."""
    token = _rustrak(rustrak, "token", "create")["token"]
    return Shop(serve, token, _rustrak(rustrak, "project", "create", request.node.name))


@pytest.fixture(scope="session")
def clients_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where clients are installed; kept between runs under nox."""
    kept = os.environ.get("RUSTRAK_E2E_CLIENTS")
    return Path(kept) if kept else tmp_path_factory.mktemp("clients")


def run_python(clients_dir: Path, requirement: str, dsn: str) -> Any:
    """Report with a version of sentry-sdk, in an environment of its own."""
    home = clients_dir / requirement.replace("=", "-").replace("<", "-").replace("*", "x")
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True, timeout=INSTALL_S)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--upgrade", requirement], check=True, timeout=INSTALL_S
        )
        (home / "complete").touch()
    done = subprocess.run(
        [python, CLIENTS / "report.py", dsn], check=True, stdout=subprocess.PIPE, timeout=RUN_S, cwd=home
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def node_home(clients_dir: Path) -> Path:
    """A folder with the newest @sentry/node and @sentry/cli."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("Node.js and npm are not installed")
    home = clients_dir / "node"
    home.mkdir(exist_ok=True)
    if not (home / "node_modules" / "@sentry" / "cli").exists():
        (home / "package.json").write_text('{"private": true}')
        command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "@sentry/node", "@sentry/cli"]
        subprocess.run(command, cwd=home, check=True, timeout=INSTALL_S, stdout=subprocess.DEVNULL)
    shutil.copy(CLIENTS / "report.js", home)
    return home


def run_node(home: Path, dsn: str) -> Any:
    """Report with @sentry/node."""
    done = subprocess.run(["node", "report.js", dsn], cwd=home, check=True, stdout=subprocess.PIPE, timeout=RUN_S)
    return json.loads(done.stdout)
