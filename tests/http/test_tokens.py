"""API.md, Tokens."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from rustrak_core.token import Token, verify
from rustrak_http.gate import TokenGate
from tests.http.conftest import TOKEN, Api, Clock, both_backends

pytestmark = both_backends


def test_tokens_are_listed_masked(api: Api) -> None:
    """API.md Tokens D1: GET /api/tokens: `token` is shown as `a1b2...****`."""
    row = api.get("/api/tokens").json["data"][0]
    documented = {"id": 1, "token": "a1b2...****", "description": "tests", "created_at": "2024-01-15T10:30:00Z"}
    assert row.items() >= documented.items()


def test_a_token_is_shown_once_and_can_be_deleted(api: Api) -> None:
    """API.md Tokens D1: POST (201) shows the full token once; DELETE /api/tokens/{id}."""
    answer = api.post("/api/tokens", {"description": "My Token"})
    assert answer.status_code == 201
    made = answer.json
    assert made["description"] == "My Token"
    assert re.fullmatch("[0-9a-f]{40}", made["token"])
    assert api.get("/api/projects", token=made["token"]).status_code == 200
    masked = f"{made['token'][:4]}...****"
    assert api.get("/api/tokens").json["data"][1]["token"] == masked
    deleted = api.delete(f"/api/tokens/{made['id']}")
    assert (deleted.status_code, deleted.json["token"]) == (200, masked)
    assert api.get("/api/projects", token=made["token"]).status_code == 401
    assert api.delete(f"/api/tokens/{made['id']}").status_code == 404


def test_only_a_hash_is_kept(api: Api) -> None:
    """API.md Tokens S1: 40 hex digits; only a SHA-256 and four digits are stored; compared in constant time."""
    secret = api.post("/api/tokens", {}).json["token"]
    seen: list[bytes] = []

    def find(sha256: bytes) -> Token | None:
        seen.append(sha256)
        return api.store.token_by_hash(sha256)

    gate = TokenGate(Watched(api.store, token_by_hash=find), clock=api.clock)
    token = gate.check(f"Bearer {secret}")
    assert secret.encode() not in seen[0]
    assert verify(secret, token.sha256)
    assert token.prefix == secret[:4]
    assert secret not in repr(token)


@pytest.mark.parametrize("body", [{}, {"description": None}])
def test_a_description_may_be_absent(api: Api, body: dict[str, Any]) -> None:
    """API.md Tokens S1: `description` may be absent (`null`)."""
    made = api.post("/api/tokens", body)
    assert (made.status_code, made.json["description"]) == (201, None)
    assert api.get("/api/tokens").json["data"][1]["description"] is None


@pytest.mark.parametrize("text", ["", "日本語", "x" * 255])
def test_descriptions_of_any_script(api: Api, text: str) -> None:
    """A description is shown as it was given."""
    api.post("/api/tokens", {"description": text})
    assert api.get("/api/tokens").json["data"][1]["description"] == text


@pytest.mark.parametrize("text", [1, ["x"], "x" * 256, "a\u0000", "\ud800"])
def test_bad_descriptions_are_refused(api: Api, text: Any) -> None:
    """API.md Conventions S2: a wrong description is 400 and named, and no token is made."""
    answer = api.post("/api/tokens", {"description": text})
    assert answer.status_code == 400
    assert answer.json["error"].startswith("description: ")
    assert len(api.get("/api/tokens").json["data"]) == 1


def test_last_used_is_shown_to_the_minute(api: Api) -> None:
    """API.md Tokens S1: `last_used_at` is shown, and written at most once a minute."""
    assert api.get("/api/tokens").json["data"][0]["last_used_at"] == "2024-01-15T10:30:00Z"
    api.clock.forward(59)
    assert api.get("/api/tokens").json["data"][0]["last_used_at"] == "2024-01-15T10:30:00Z"
    api.clock.forward(1)
    assert api.get("/api/tokens").json["data"][0]["last_used_at"] == "2024-01-15T10:31:00Z"
    made = api.post("/api/tokens", {}).json
    assert made["last_used_at"] is None


class Watched:
    """A store of which some calls are watched or replaced."""

    def __init__(self, store: Any, **calls: Callable[..., Any]) -> None:
        self._store = store
        self.__dict__.update(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_use_is_not_written_with_each_request(api: Api, clock: Clock) -> None:
    """API.md Tokens S1: written at most once a minute, and the store is not even asked to."""
    touched: list[Any] = []
    gate = TokenGate(
        Watched(api.store, touch_token=lambda token_id, *, now: touched.append((token_id, now))), clock=clock
    )
    for _ in range(130):
        gate.check(f"Bearer {TOKEN}")
        clock.forward(1)
    assert len(touched) == 3


def test_a_refusal_is_remembered_for_a_second(api: Api, clock: Clock) -> None:
    """API.md Projects S3: a token not yet known is looked up before it is refused, refusals remembered for a second."""
    asked: list[bytes] = []
    now = [0.0]

    def find(sha256: bytes) -> None:
        asked.append(sha256)

    gate = TokenGate(Watched(api.store, token_by_hash=find), clock=clock, monotonic=lambda: now[0])
    for moment, lookups in ((0.0, 1), (0.5, 1), (0.99, 1), (1.01, 2)):
        now[0] = moment
        with pytest.raises(Exception, match="valid API token"):
            gate.check(f"Bearer {'b' * 40}")
        assert len(asked) == lookups
