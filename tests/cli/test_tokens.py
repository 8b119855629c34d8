"""`rustrak token`."""

import io

import pytest
from falcon import testing

from rustrak_http.app import create_app
from tests.cli.conftest import Rustrak


def test_create_prints_the_apis_token(rustrak: Rustrak) -> None:
    """`token create --json` prints the API's token, whole this once, and it works."""
    made = rustrak.json("token", "create", "--description", "CI/CD Pipeline")
    assert made["description"] == "CI/CD Pipeline"
    assert len(made["token"]) == 40
    with rustrak.tracker() as tracker:
        client = testing.TestClient(create_app(tracker.store))
        listed = client.simulate_get("/api/tokens", headers={"Authorization": f"Bearer {made['token']}"})
    assert listed.status_code == 200
    expected = made | {"token": f"{made['token'][:4]}...****", "last_used_at": listed.json["data"][0]["last_used_at"]}
    assert listed.json["data"] == [expected]
    assert rustrak.json("token", "list")["data"] == listed.json["data"]


def test_create_prints_the_token_alone(rustrak: Rustrak) -> None:
    """On stdout stands the token only, so that `TOKEN=$(rustrak token create)` works."""
    done = rustrak("token", "create")
    assert len(done.out.strip()) == 40
    assert done.out.strip() not in done.err


def test_list_masks(rustrak: Rustrak) -> None:
    """A list never shows a token again."""
    secret = rustrak("token", "create", "--description", "for\x1b[31m me").out.strip()
    out = rustrak("token", "list").out
    assert f"{secret[:4]}...****" in out
    assert secret not in out
    assert "\x1b" not in out


def test_delete(rustrak: Rustrak, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is deleted by its number, and printed as it was."""
    made = rustrak.json("token", "create")
    monkeypatch.setattr("sys.stdin", io.StringIO())
    unanswered = rustrak("token", "delete", made["id"], code=1).err
    assert unanswered.startswith("Delete token 1?")
    assert "--yes" in unanswered
    assert rustrak.json("token", "delete", made["id"], "--yes")["id"] == made["id"]
    assert rustrak.json("token", "list") == {"data": []}
    assert "rustrak token list" in rustrak.fails("token", "delete", made["id"], "--yes")


def test_a_description_that_is_too_long(rustrak: Rustrak) -> None:
    """The answer names the field, as the API's does."""
    assert "description" in rustrak.fails("token", "create", "--description", "x" * 256)
