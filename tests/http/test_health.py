"""API.md, Health."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from rustrak_core.errors import OverloadError, SchemaError, SpoolUnavailableError, StoreUnavailableError
from rustrak_core.ports import SpoolStats
from tests.http.conftest import START, Api
from tests.http.fakes import FakeSpool


def test_health_in_the_documented_shapes(api: Api) -> None:
    """API.md Health D1: GET /health: `{"status": "ok"}`, GET /health/ready: also `"database": "connected"`."""
    assert api.get("/health").json == {"status": "ok"}
    ready = api.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json.items() >= {"status": "ok", "database": "connected"}.items()


def test_health_needs_no_token(api: Api) -> None:
    """API.md Health S1: neither needs a token."""
    assert api.get("/health", token=None).status_code == 200
    assert api.get("/health/ready", token=None).status_code == 200


class Spool(FakeSpool):
    """A spool that is as well as it is told."""

    def __init__(self, *, fault: Exception | None = None, waited_s: float | None = None) -> None:
        super().__init__()
        self._fault = fault
        self._waited_s = waited_s

    def check(self) -> None:
        if self._fault is not None:
            raise self._fault

    def stats(self) -> SpoolStats:
        oldest = None if self._waited_s is None else START - timedelta(seconds=self._waited_s)
        return SpoolStats(size_bytes=0, segments=0, oldest_at=oldest)


def _overload(reason: str) -> OverloadError:
    return OverloadError(f"the spool says {reason}", retry_after_s=5, reason=reason)


def _raise(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize(
    ("options", "failing"),
    [
        ({"spool": Spool(fault=SpoolUnavailableError("the spool is read-only"))}, "spool"),
        ({"spool": Spool(fault=_overload("spool_full"))}, "spool"),
        ({"spool": Spool(fault=_overload("disk_full"))}, "disk"),
        ({"spool": Spool(fault=RuntimeError("secret"))}, "spool"),
        ({"spool": Spool(waited_s=301)}, "backlog"),
        ({"worker_alive": lambda: False}, "worker"),
        ({"worker_alive": lambda: "no heartbeat for 40 s"}, "worker"),
        ({"worker_alive": lambda: _raise(RuntimeError("secret"))}, "worker"),
    ],
)
def test_ready_names_what_fails(make_api: Callable[..., Api], options: dict[str, Any], failing: str) -> None:
    """API.md Health S1: ready is 503 naming what fails: spool, free disk, heartbeat, age of the oldest event."""
    api = make_api(**options)
    answer = api.get("/health/ready", token=None)
    assert answer.status_code == 503
    assert answer.json["error"] == f"not ready: {failing}"
    assert (answer.json["status"], answer.json["database"]) == ("unavailable", "connected")
    assert len(answer.json[failing]) > 10
    assert "secret" not in answer.text
    assert api.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("fault", "failing"),
    [
        (StoreUnavailableError("the database cannot be reached"), "database"),
        (SchemaError("the schema is older; run `rustrak serve`"), "migrations"),
        (RuntimeError("driver says secret"), "database"),
    ],
)
def test_ready_looks_at_the_store(
    make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch, fault: Exception, failing: str
) -> None:
    """API.md Health S1: 503 `not ready: database`, or migrations, with the text that says what to do."""
    api = make_api()
    monkeypatch.setattr(api.store, "check", lambda: _raise(fault))
    answer = api.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json["error"] == f"not ready: {failing}"
    assert answer.json["status"] == "unavailable"
    assert "secret" not in answer.text


def test_all_is_well(make_api: Callable[..., Api]) -> None:
    """API.md Health D1: with a spool and a worker that are well, ready is 200."""
    for alive in (True, None, ""):
        answer = make_api(spool=Spool(waited_s=299), worker_alive=lambda alive=alive: alive).get("/health/ready")
        assert answer.status_code == 200
        assert answer.json["worker"] == "alive"


def test_liveness_checks_none_of_it(make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    """API.md Health S1: liveness checks none of it."""
    api = make_api(spool=Spool(fault=SpoolUnavailableError("gone")), worker_alive=lambda: False)
    monkeypatch.setattr(api.store, "check", lambda: _raise(StoreUnavailableError("gone")))
    assert api.get("/health").json == {"status": "ok"}
