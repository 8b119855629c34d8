"""API.md, Ingestion; SDK.md, section 7: what SDKs are told of quotas, and what becomes of an envelope."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rustrak_core.quota import Quota, Quotas
from rustrak_http.worker import DigestWorker
from rustrak_storage.quota_file import QuotaFile
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader
from tests.http.conftest import Api, Clock, envelope

LIMITS = "X-Sentry-Rate-Limits"
TWO = Quotas(project_minute=Quota(named={"error": 2, "attachment": 1, "session": 1}))


@pytest.fixture
def api(make_api: Callable[..., Api], clock: Clock) -> Iterator[Api]:
    keeper = QuotaFile(None, TWO)
    yield make_api(quotas=keeper)
    keeper.close()


def event(number: int) -> bytes:
    return envelope({"event_id": f"{number:032x}", "message": "m"})


def today(api: Api) -> dict[str, Any]:
    return dict(api.get("/api/projects/1/stats").json["data"][0])


def test_the_answer_that_uses_a_quota_up_says_so(api: Api) -> None:
    """200 with both headers, never one before; then 429 with both; the next minute all is well."""
    project = api.project()
    answers = [api.envelope(project, event(n)) for n in range(1, 5)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert [answer.headers.get("Retry-After") for answer in answers] == [None, "60", "60", "60"]
    limits = [answer.headers.get(LIMITS) for answer in answers]
    assert limits == [None, *["60:default;error;security:project:quota"] * 3]
    assert "quota" in answers[2].json["error"]
    row = today(api)
    assert (row["received"], row["stored"], row["rate_limited"], row["shed"]) == (4, 2, 2, 0)
    api.clock.forward(60)
    assert api.envelope(project, event(9)).status_code == 200


def test_what_is_over_its_quota_is_dropped_and_the_rest_accepted(api: Api) -> None:
    """An event comes in without the attachments that are too many; the answer tells of these alone."""
    project = api.project()
    attachments = b"\n".join(b'{"type":"attachment","length":1}\nx' for _ in range(3))
    answer = api.envelope(project, event(1) + b"\n" + attachments)
    assert answer.status_code == 200
    assert answer.headers[LIMITS] == "60:attachment:project:quota"
    assert today(api)["stored"] == 1
    answer = api.envelope(project, envelope(b"{}", "session"))
    assert (answer.status_code, answer.headers[LIMITS]) == (200, "60:session:project:quota")
    answer = api.envelope(project, envelope(b"{}", "session"))
    assert (answer.status_code, answer.headers[LIMITS]) == (429, "60:session:project:quota")
    day = api.clock.now.date()
    counts = {(c.category, c.outcome.value): c.quantity for c in api.store.ledger(1, since=day, until=day).counts}  # type: ignore[arg-type]
    assert counts["attachment", "rate_limited"] == 2
    assert counts["attachment", "discarded"] == 1
    assert counts["session", "rate_limited"] == 1


def test_client_reports_have_no_quota(api: Api) -> None:
    """And are not told of one, which would prolong it."""
    project = api.project()
    for n in range(1, 4):
        api.envelope(project, event(n))
    report = b'{"discarded_events":[{"reason":"ratelimit_backoff","category":"error","quantity":5}]}'
    answer = api.envelope(project, envelope(report, "client_report"))
    assert (answer.status_code, LIMITS in answer.headers) == (200, False)
    assert today(api)["sdk_dropped"] == {"ratelimit_backoff": 5}


def test_items_that_nobody_knows_have_no_quota(make_api: Callable[..., Api]) -> None:
    """They are no events, whose category they share; so they are not in the sum, nor in the way of events."""
    keeper = QuotaFile(None, Quotas(project_minute=Quota(each=2)))
    api = make_api(quotas=keeper)
    project = api.project()
    assert [api.envelope(project, envelope(b"{}", "news")).status_code for _ in range(4)] == [200] * 4
    assert api.envelope(project, event(1)).headers.get(LIMITS) is None
    assert today(api)["received"] == 1
    keeper.close()


def test_other_projects_go_on(api: Api) -> None:
    """A project's quota is its own, and old endpoints stand under it too."""
    first, second = api.project(), api.project("other")
    for n in range(1, 4):
        api.envelope(first, event(n))
    query = f"sentry_key={first['sentry_key'].replace('-', '')}"
    stored = api.post("/api/1/store/", {"message": "m"}, token=None, query_string=query)
    assert stored.status_code == 429
    assert api.envelope(second, event(1)).status_code == 200


def test_what_could_not_be_kept_was_not_counted(make_api: Callable[..., Api], clock: Clock, tmp_path: Path) -> None:
    """A full spool uses up no quota; the sum holds of shed, rate-limited and stored together."""
    spool = DirectorySpool(tmp_path / "spool", max_bytes=2_000)
    keeper = QuotaFile(None, TWO)
    api = make_api(spool=spool, quotas=keeper)
    project = api.project()
    big = [envelope({"event_id": f"{n:032x}", "message": "x" * 1_500}) for n in range(1, 4)]
    answers = [api.envelope(project, body) for body in big]
    assert [answer.status_code for answer in answers] == [200, 429, 429]
    assert "spool_full" in answers[1].headers[LIMITS]
    small = [api.envelope(project, event(n)).status_code for n in range(4, 6)]
    assert small == [200, 429]
    spool.flush()
    reader = DirectorySpoolReader(tmp_path / "spool")
    worker = DigestWorker(api.store, reader)
    while worker.run_once():
        pass
    row = today(api)
    assert (row["received"], row["stored"], row["shed"], row["rate_limited"]) == (5, 2, 2, 1)
    clock.now += timedelta(minutes=1)
    reader.close()
    spool.close()
    keeper.close()
