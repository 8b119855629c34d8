"""`rustrak project`."""

import pytest
from falcon import testing

from rustrak_core.errors import UnknownProjectError
from rustrak_core.token import token_hash
from rustrak_http.app import create_app
from rustrak_storage.keys import StoredKeyRing
from tests.cli.conftest import Rustrak

KEY = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
TOKEN = "a1b2c3d4" * 5


def test_create_prints_the_apis_project(rustrak: Rustrak) -> None:
    """`project create NAME --json` prints what GET /api/projects/{id} answers."""
    printed = rustrak.json("project", "create", "My App", "--public-url", "https://errors.example.com/in")
    with rustrak.tracker() as tracker:
        sha256 = token_hash(TOKEN)
        assert sha256 is not None
        tracker.store.create_token(sha256=sha256, prefix=TOKEN[:4], description=None, now=tracker.clock())
        app = create_app(tracker.store, public_url="https://errors.example.com/in")
        answer = testing.TestClient(app).simulate_get(
            f"/api/projects/{printed['id']}", headers={"Authorization": f"Bearer {TOKEN}"}
        )
    assert printed == answer.json
    assert printed["slug"] == "my-app"


def test_create_keeps_a_key_that_applications_have(rustrak: Rustrak) -> None:
    """`--sentry-key` takes either form of a key; the DSN shows it without hyphens, `sentry_key` with them."""
    made = rustrak.json("project", "create", "one", "--sentry-key", KEY.replace("-", "").upper())
    assert made["sentry_key"] == KEY
    assert made["dsn"] == f"http://{KEY.replace('-', '')}@127.0.0.1:8080/1"
    assert "key" in rustrak.fails("project", "create", "two", "--sentry-key", KEY)
    assert "32 hex digits" in rustrak.fails("project", "create", "three", "--sentry-key", "mine")


def test_create_says_the_dsn(rustrak: Rustrak) -> None:
    """Without --json the DSN stands alone on the last line, ready to be copied."""
    done = rustrak("project", "create", "my-app", "--public-url", "http://[::1]:9000/")
    assert done.out.splitlines()[-1].startswith("http://")
    assert done.out.splitlines()[-1].endswith("@[::1]:9000/1")


def test_dsns_name_the_server_that_ran_last(rustrak: Rustrak) -> None:
    """The DSN is that of `rustrak serve` on the same data directory, where it noted its URL."""
    rustrak("project", "create", "my-app")
    (rustrak.data_dir / "public_url").write_text("http://127.0.0.1:9999\n")
    assert rustrak.json("project", "list")["data"][0]["dsn"].endswith("@127.0.0.1:9999/1")


def test_list_reads_all_pages(rustrak: Rustrak) -> None:
    """A list on the command line is never cut at a page of the API."""
    with_one = rustrak.json("project", "create", "p0")
    with rustrak.tracker() as tracker:
        for number in range(1, 120):
            tracker.create_project(f"p{number}")
    data = rustrak.json("project", "list")["data"]
    assert [project["slug"] for project in data] == [f"p{number}" for number in range(120)]
    assert data[0] == with_one


def test_list_in_columns(rustrak: Rustrak) -> None:
    """In a pipe a row is a line, never cut, and no colour comes along."""
    rustrak("project", "create", "x" * 200)
    lines = rustrak("project", "list").out.splitlines()
    assert lines[0].split()[:2] == ["ID", "SLUG"]
    assert len(lines) == 2
    assert lines[1].split()[-1].endswith("@127.0.0.1:8080/1")
    assert "\x1b" not in lines[1]


def test_delete_asks_first(rustrak: Rustrak) -> None:
    """Nothing is deleted without a yes, and no answer is a no."""
    rustrak("project", "create", "my-app")
    done = rustrak("project", "delete", "my-app", code=1)
    assert "Delete project my-app" in done.err
    assert len(rustrak.json("project", "list")["data"]) == 1


def test_delete_by_slug_or_number(rustrak: Rustrak) -> None:
    """A project is named by its number or its slug; what was deleted is printed."""
    first, second = rustrak.json("project", "create", "one"), rustrak.json("project", "create", "two")
    assert rustrak.json("project", "delete", "one", "--yes") == first
    assert rustrak.json("project", "delete", second["id"], "--yes") == second
    assert rustrak.json("project", "list") == {"data": []}
    assert "project list" in rustrak.fails("project", "delete", "two", "--yes")


def test_a_slug_of_digits_can_be_named(rustrak: Rustrak) -> None:
    """Digits are a project's number, else its slug."""
    rustrak("project", "create", "2024")
    assert rustrak.json("project", "delete", "2024", "--yes")["slug"] == "2024"


def test_servers_learn_of_it(rustrak: Rustrak) -> None:
    """A ring of keys on the same data directory knows a project made beside it, and forgets a deleted one, at once."""
    made = rustrak.json("project", "create", "one")
    with rustrak.tracker() as tracker:
        ring = StoredKeyRing(tracker.store, directory=rustrak.data_dir)
        assert ring.key_of(made["id"]) == made["sentry_key"].replace("-", "")
        rustrak("project", "delete", "one", "--yes")
        with pytest.raises(UnknownProjectError):
            ring.key_of(made["id"])
