"""API.md, Projects S4: the equation on a real server of several processes, whatever becomes of what is sent."""

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests import ledger
from tests.serve.support import Served, envelope, exception, new_ids

SEVERAL = ("--processes", "3", "--workers", "2", "--max-event-bytes", "5000")
QUOTA = ("--quota-project-hour", "30")
ALL_FULL = ("--spool-min-free-bytes", str(2**60))


def post(served: Served, body: bytes) -> int:
    with contextlib.closing(served.connect()) as client:
        client.request("POST", served.envelope_path, body=body)
        response = client.getresponse()
        response.read()
        return response.status


def post_all(served: Served, bodies: list[bytes]) -> Counter[int]:
    """Send *bodies*, many at once and on a connection each, so that every process gets some; return the statuses."""
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(partial(post, served), bodies))


def mix(ids: list[UUID]) -> list[bytes]:
    """Return events that are new, twice the same, broken and too large, one after the other."""
    bodies = []
    for event_id in ids:
        good = envelope(event_id, **exception("Broken"))
        bodies += [good, good, good[:-20], envelope(event_id, message="x" * 6000)]
    return bodies


def rows(served: Served) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = served.get(f"/api/projects/{served.project_id}/stats")["data"]
    return data


def settled(served: Served, sent: int) -> Counter[str]:
    """Return what became of events once *sent* are accounted for; refusals are written a second later."""

    def all_there() -> bool:
        total = ledger.totals(rows(served))  # the equation holds in every moment until then, too
        return total.total() == sent and not total["queued"]

    served.wait_for(all_there, f"{sent} events in the sum", within_s=60)
    return ledger.totals(rows(served))


@pytest.mark.slow
@pytest.mark.parametrize("server", ["waitress", "granian"])
def test_the_sum_holds_over_processes(tmp_path: Path, server: str) -> None:
    """Refusals that each process counts, quotas that they share, a full disk after a start anew: nothing is missing."""
    if server == "granian":
        pytest.importorskip("granian")
    ids = new_ids(40)
    with Served(tmp_path, *SEVERAL, *QUOTA, "--server", server) as served:
        codes = post_all(served, mix(ids))
        sent = codes.total()
        total = settled(served, sent)
        assert codes[400] == total["invalid"] == codes[413] == total["too_large"] == len(ids)
        assert codes[200] == total["stored"] + total["duplicate"]
        assert codes[429] == total["rate_limited"] == 2 * len(ids) - codes[200]
        assert codes[429] > 0  # though the hour may end meanwhile
        served.stop()
    with Served(tmp_path, *SEVERAL, *ALL_FULL, "--server", server, like=served) as again:
        refused = post_all(again, mix(new_ids(5)))
        assert refused == {429: 10, 400: 5, 413: 5}
        after = settled(again, sent + refused.total())
        assert after - total == {"shed": 10, "invalid": 5, "too_large": 5}
