"""API.md, Projects S4: the sum stays exact while events are on their way from the spool to the store."""

from collections.abc import Callable
from pathlib import Path

from rustrak_http.worker import DigestWorker
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader
from tests.http.conftest import Api, both_backends, envelope, error

pytestmark = both_backends


def test_every_accepted_event_is_in_the_sum_at_any_moment(make_api: Callable[..., Api], tmp_path: Path) -> None:
    """API.md Projects S4: received is the sum of what became of events, those still queued among them."""
    spool = DirectorySpool(tmp_path / "spool")
    api = make_api(spool=spool)
    project = api.project()
    reader = DirectorySpoolReader(tmp_path / "spool")
    worker = DigestWorker(api.store, reader, max_events=7)
    sent = 0
    for _ in range(4):
        for _ in range(10):
            api.send(project, error())
            sent += 1
        for digested in (False, True):
            if digested:
                worker.run_once()
            row = api.get("/api/projects/1/stats").json["data"][0]
            assert row["received"] == sent
            assert row["stored"] + row["queued"] == sent
    while worker.run_once():
        pass
    row = api.get("/api/projects/1/stats").json["data"][0]
    assert (row["received"], row["stored"], row["queued"]) == (sent, sent, 0)
    assert api.get("/health/ready").status_code == 200
    reader.close()
    spool.close()


def test_events_there_was_no_room_for_are_in_the_sum(make_api: Callable[..., Api], tmp_path: Path) -> None:
    """API.md Projects S4: what a full spool refuses with 429 was received too, and is counted as shed."""
    spool = DirectorySpool(tmp_path / "spool", max_bytes=2_000)
    api = make_api(spool=spool)
    project = api.project()
    codes = [
        api.envelope(project, envelope({"event_id": f"{n:032x}", "message": "x" * 1_500})).status_code
        for n in range(1, 5)
    ]
    assert codes == [200, 429, 429, 429]
    spool.flush()
    reader = DirectorySpoolReader(tmp_path / "spool")
    worker = DigestWorker(api.store, reader)
    while worker.run_once():
        pass
    row = api.get("/api/projects/1/stats").json["data"][0]
    assert (row["received"], row["stored"], row["shed"]) == (4, 1, 3)
    reader.close()
    spool.close()
