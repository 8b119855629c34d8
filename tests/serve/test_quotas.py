"""Quotas of a real server: exact over its processes and both of its lanes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.serve.support import Served, new_ids


@pytest.mark.slow
def test_processes_accept_exactly_what_an_hour_allows(tmp_path: Path) -> None:
    """Two processes, an express lane and a long way each: 200 as often as the quota says, and the sum holds."""
    with Served(tmp_path / "data", "--processes", "2", "--quota-project-hour", "error=60") as served:
        before = served.get(f"/api/projects/{served.project_id}/stats")["data"]
        assert before == []
        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda event_id: served.send(event_id, message="m"), new_ids(100)))
        assert (statuses.count(200), statuses.count(429)) == (60, 40)
        served.wait_for_events(60)

        def rows() -> list[dict[str, Any]]:
            return list(served.get(f"/api/projects/{served.project_id}/stats")["data"])

        served.wait_for(lambda: sum(row["received"] for row in rows()) == 100, "refusals")
        assert sum(row["stored"] for row in rows()) == 60
        assert sum(row["rate_limited"] for row in rows()) == 40
