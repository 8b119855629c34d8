"""`rustrak stats`."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from rustrak_core.accepted import Accepted, AcceptedEvent, Count, Outcome
from rustrak_core.project import ProjectId
from rustrak_http.worker import DigestWorker
from rustrak_storage.spool import DirectorySpool, DirectorySpoolReader
from tests.cli.conftest import Rustrak

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
TODAY = NOW.date()
DAY = ("--since", "2024-01-15", "--until", "2024-01-16")


def count(outcome: Outcome, quantity: int, *, day: date = TODAY, reason: str = "") -> Count:
    return Count(project_id=ProjectId(1), day=day, category="error", outcome=outcome, quantity=quantity, reason=reason)


def event() -> AcceptedEvent:
    return AcceptedEvent(project_id=ProjectId(1), event_id=uuid4(), received_at=NOW, payload=b'{"message":"m"}')


@pytest.fixture
def busy(rustrak: Rustrak) -> Rustrak:
    """A project with events that are stored, refused and waiting."""
    rustrak("project", "create", "my-app")
    rustrak("project", "create", "other")
    spool = DirectorySpool(rustrak.data_dir / "spool")
    dropped = count(Outcome.SDK_DROPPED, 5, reason="ratelimit_backoff")
    counts = (count(Outcome.RATE_LIMITED, 2), count(Outcome.SHED, 1, day=NOW.date() + timedelta(days=1)), dropped)
    spool.accept(Accepted(events=(event(), event()), counts=counts))
    reader = DirectorySpoolReader(rustrak.data_dir / "spool")
    with rustrak.tracker() as tracker:
        worker = DigestWorker(tracker.store, reader)
        while worker.run_once():
            pass
    reader.close()
    spool.accept(Accepted(events=(event(),)))
    spool.close()
    return rustrak


def test_json_is_that_of_the_api(busy: Rustrak) -> None:
    """Rows of a project, the newest day first; what waits in the spool is among them."""
    later, row = busy.json("stats", "my-app", *DAY)["data"]
    assert (later["day"], later["received"], later["shed"]) == ("2024-01-16", 1, 1)
    assert (row["received"], row["stored"], row["rate_limited"], row["queued"]) == (5, 2, 2, 1)
    assert row["sdk_dropped"] == {"ratelimit_backoff": 5}
    assert [r["project_id"] for r in busy.json("stats", *DAY)["data"]] == [1, 1]


def test_the_table_shows_what_there_is(busy: Rustrak) -> None:
    """Columns without anything are left away."""
    heading, *rows = busy("stats", *DAY).out.splitlines()
    assert heading.split() == [
        *("PROJECT", "DAY", "(UTC)", "RECEIVED", "STORED", "RATE", "LIMITED", "SHED", "QUEUED", "DROPPED", "BY", "SDKS")
    ]
    assert rows[1].split() == ["my-app", "2024-01-15", "5", "2", "2", "0", "1", "5"]


def test_where_there_is_nothing_it_says_so(rustrak: Rustrak) -> None:
    """And what is no day, or no project, is refused."""
    rustrak("project", "create", "my-app")
    done = rustrak("stats", "1")
    assert (done.out, "Nothing" in done.err) == ("", True)
    assert rustrak.json("stats")["data"] == []
    assert "2024-01-15" in rustrak("stats", "--since", "yesterday", code=2).err
    assert "project list" in rustrak.fails("stats", "none")
