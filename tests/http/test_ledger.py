"""API.md, Projects S4: the equation, under mixes of everything that can become of an event."""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from rustrak_core.quota import Quota, Quotas
from rustrak_core.receive import Limits
from rustrak_core.token import token_hash
from rustrak_http.app import create_app
from rustrak_http.worker import DigestWorker
from rustrak_storage.factory import open_store
from rustrak_storage.quota_file import QuotaFile
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader
from tests import ledger
from tests.http.conftest import START, TOKEN, Api, Clock, envelope, key

BODIES: dict[str, Callable[[int], bytes]] = {
    "new": lambda n: envelope({"event_id": f"{n:032x}", "message": "m"}),
    "again": lambda _: envelope({"event_id": f"{1:032x}", "message": "m"}),
    "broken": lambda _: b'{"event_id":"' + b"9" * 32 + b'"}\n{"type":"event","length":99}\n{}',
    "large": lambda n: envelope({"event_id": f"{n:032x}", "message": "x" * 3000}),
    "fat": lambda n: envelope({"event_id": f"{n:032x}", "message": "x" * 1800}),
}
SENDING = st.sampled_from([*BODIES, "store", "digest", "minute", "day"])


COUNTS_ALONE = [
    "store",
    "day",
    "minute",
    "store",
    "again",
    "minute",
    "store",
    "new",
    "large",
    "fat",
    "digest",
    "broken",
    "large",
    "fat",
    "day",
    "new",
    "broken",
    "fat",
]
ALL_OF_THEM = [*["fat"] * 7, "digest", "minute", "broken", "large", *["new", "again"] * 4, "store"]


@example(ALL_OF_THEM)
@example(COUNTS_ALONE)
@settings(max_examples=40, deadline=None)
@given(steps=st.lists(SENDING, min_size=5, max_size=60))
def test_whatever_is_sent_is_in_the_sum(steps: list[str]) -> None:
    """A small quota, a small spool and small limits; digesting now and then; minutes and days go by."""
    with tempfile.TemporaryDirectory() as folder:
        total = _run(Path(folder), steps)
    if steps == ALL_OF_THEM:
        assert {name for name, number in total.items() if number} == {
            *("stored", "duplicate", "rate_limited", "invalid", "too_large", "shed")
        }


def _run(folder: Path, steps: list[str]) -> Counter[str]:
    clock, store = Clock(), open_store("memory://")
    sha256 = token_hash(TOKEN)
    assert sha256 is not None
    store.create_token(sha256=sha256, prefix=TOKEN[:4], description=None, now=START)
    spool = DirectorySpool(folder / "spool", max_bytes=10_000, min_free_bytes=1, clock=clock, monotonic=_ticks())
    keeper = QuotaFile(folder / "quotas", Quotas(project_minute=Quota(each=6)))
    app = create_app(store, spool=spool, quotas=keeper, limits=Limits(event_bytes=2500), clock=clock)
    api = Api(app, clock, store)
    project = api.project()
    reader = DirectorySpoolReader(folder / "spool")
    worker = DigestWorker(store, reader)
    codes: Counter[int] = Counter()
    for number, step in enumerate(steps, 2):
        if step == "digest":
            _drain(worker)
        elif step in {"minute", "day"}:
            clock.forward(60 if step == "minute" else 86_400)
        else:
            codes[_send(api, project, step, number)] += 1
    spool.flush()
    waiting = ledger.totals(_rows(api))
    _drain(worker)
    rows = _rows(api)
    total = ledger.totals(rows)
    assert waiting.total() <= total.total()  # counts that wait in the spool are not seen yet, events are
    assert waiting["stored"] + waiting["duplicate"] + waiting["queued"] == codes[200]
    ledger.require(rows, sent=codes.total(), queued=0, deleted=0, quarantined=0, filtered=0)
    assert total["stored"] + total["duplicate"] == codes[200]
    assert total["rate_limited"] + total["shed"] == codes[429]
    assert (total["invalid"], total["too_large"]) == (codes[400], codes[413])
    reader.close()
    spool.close()
    keeper.close()
    return total


def _drain(worker: DigestWorker) -> None:
    """Digest all that waits; a batch may hold counts alone, so that no event is recorded though more follow."""
    idle = 0
    while idle < 20:
        idle = 0 if worker.run_once() else idle + 1


def _rows(api: Api) -> list[dict[str, Any]]:
    query = "since=2024-01-01&until=2024-12-31"
    return list(api.get("/api/projects/1/stats", query_string=query).json["data"])


def _send(api: Api, project: dict[str, Any], step: str, number: int) -> int:
    if step == "store":
        path, body = "/api/1/store/", b'{"message":"m","event_id":"%032x"}' % number
        return int(api.post(path, body, token=None, query_string=f"sentry_key={key(project)}").status_code)
    return int(api.envelope(project, BODIES[step](number)).status_code)


def _ticks() -> Any:
    """Return a clock on which a second passes each time, so that the spool looks at its folder each time."""
    return iter(range(10**9)).__next__
