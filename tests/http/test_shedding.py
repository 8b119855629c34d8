"""Overload over HTTP: what goes first, what is told, and what adds up."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rustrak_core.tracker import KnownRules
from rustrak_http.app import create_app
from rustrak_http.worker import DigestWorker
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader
from tests import ledger
from tests.http.conftest import Api, both_backends, envelope

pytestmark = both_backends


def failure(number: int, kind: str) -> bytes:
    """Return an envelope with an exception that has plenty around it."""
    exception = {"values": [{"type": kind, "value": "it broke"}]}
    facts: dict[str, Any] = {"event_id": f"{number:032x}", "environment": "production", "release": "1.0"}
    return envelope({**facts, "exception": exception, "extra": {"much": "x" * 2000}, "tags": {"n": str(number)}})


def test_overload(make_api: Callable[..., Api], tmp_path: Path) -> None:
    """A repeat is answered 200, shed, and shown with its columns; then it is refused, while a new error comes in."""
    spool = DirectorySpool(tmp_path / "spool", max_events=20, min_free_bytes=1, monotonic=_ticks())
    api = make_api(spool=spool)
    project = api.project()

    def send(number: int, kind: str) -> Any:
        return api.envelope(project, failure(number, kind))

    codes = Counter(send(number, "Old").status_code for number in range(1, 20))
    answer = send(20, "Old")
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "5"
    assert "error" in answer.headers["X-Sentry-Rate-Limits"]
    assert send(21, "New").status_code == 200
    assert send(22, "Newer").status_code == 429
    assert codes == {200: 19}
    spool.flush()
    assert ledger.totals(_rows(api))["queued"] == 20

    reader = DirectorySpoolReader(tmp_path / "spool")
    worker = DigestWorker(api.store, reader)
    while worker.run_once():
        pass
    ledger.require(_rows(api), sent=22, stored=19, shed=3, duplicate=0, queued=0)
    shown = api.get(f"/api/events/{19:032x}").json
    assert shown["payload"] is None
    assert (shown["environment"], shown["release"], shown["tags"]) == ("production", "1.0", {"n": "19"})
    assert shown["exception"]["values"][0]["type"] == "Old"
    whole = api.get(f"/api/events/{18:032x}").json
    assert "payload" not in whole
    assert whole["issue_id"] == shown["issue_id"]
    issues = {issue["type"]: issue["event_count"] for issue in api.issues(project)}
    assert issues == {"Old": 19, "New": 1}

    assert send(19, "Old").status_code == 200  # what was shed is known by its id all the same
    while worker.run_once():
        pass
    ledger.require(_rows(api), sent=23, stored=19, shed=3, duplicate=1, queued=0)
    reader.close()
    spool.close()


def test_what_is_shed_goes_by_rules(make_api: Callable[..., Api], tmp_path: Path) -> None:
    """An event without its payload comes to the issue that its project's rule brings it to, as those before it did."""
    api = make_api()
    project = api.project()
    rules = KnownRules(api.store)
    spool = DirectorySpool(
        tmp_path / "spool", max_events=20, min_free_bytes=1, monotonic=_ticks(), digesting=rules.digest
    )
    api = Api(create_app(api.store, spool=spool), api.clock, api.store)
    rule = '[[rule]]\ntype = "*Timeout*"\nfingerprint = ["network"]\n'
    assert api.put(f"/api/projects/{project['id']}/grouping", {"rules": rule}).status_code == 200
    rules.refresh()
    kinds = ["ReadTimeout", "ConnectTimeout"]
    assert {api.envelope(project, failure(number, kinds[number % 2])).status_code for number in range(1, 20)} == {200}
    reader = DirectorySpoolReader(tmp_path / "spool")
    worker = DigestWorker(api.store, reader)
    while worker.run_once():
        pass
    ledger.require(_rows(api), sent=19, stored=18, shed=1, duplicate=0, queued=0)
    (issue,) = api.issues(project)
    assert issue["event_count"] == 19
    reader.close()
    spool.close()


def _ticks() -> Any:
    """Return a clock on which a second passes each time, so that the spool looks at its folder each time."""
    return iter(range(10**9)).__next__


def _rows(api: Api) -> list[dict[str, Any]]:
    return list(api.get("/api/projects/1/stats").json["data"])
