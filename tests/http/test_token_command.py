"""API.md, Tokens D2: a token made outside of the API is good for it."""

import json
from pathlib import Path

from click.testing import CliRunner

from rustrak_http.app import create_app
from rustrak_http.cli import cli
from rustrak_storage.factory import open_store
from tests.http.conftest import Api, Clock


def test_the_command_line_makes_a_token(tmp_path: Path) -> None:
    """API.md Tokens D2, S2: beside the dashboard, and until there is one, the command line makes a token."""
    result = CliRunner().invoke(cli, ["token", "create", "--json"], env={"RUSTRAK_DATA_DIR": str(tmp_path)})
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    store = open_store(f"sqlite:///{tmp_path}/rustrak.db")
    api = Api(create_app(store), Clock(), store)
    assert api.get("/api/projects", token=made["token"]).status_code == 200
    store.close()
