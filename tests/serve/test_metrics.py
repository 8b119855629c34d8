"""`rustrak serve --metrics`: whichever process is asked, the figures are those of the whole server."""

import contextlib
import http.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.serve.support import Served, exception, new_ids


def scrape(url: str) -> dict[str, float]:
    """Return each sample under its name and the values of its labels, joined."""
    parts = urlsplit(url)
    with contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as client:
        client.request("GET", parts.path)
        response = client.getresponse()
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = response.read().decode()
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.slow
@pytest.mark.parametrize("server", ["waitress", "granian"])
def test_the_figures_are_of_the_whole_server(tmp_path: Path, server: str) -> None:
    """Each of many answers, by any process on either port, says the same, and what was sent is in it."""
    options = ("--metrics", "--metrics-port", "0", "--processes", "2", "--workers", "1", "--server", server)
    with Served(tmp_path / "data", *options) as served:
        own, same = served.facts["metrics_url"], f"{served.url}/metrics"
        assert own != same
        for event_id in new_ids(30):
            assert served.send(event_id, **exception("MeteredError")) == 200
        assert served.send(new_ids(1)[0], message="x" * (2 << 20)) == 413
        served.wait_for_events(30)
        served.wait_for(lambda: scrape(own)["rustrak_events_total 1 stored"] == 30, "events in the figures")
        served.wait_for(lambda: scrape(own)["rustrak_events_total 1 too_large"] == 1, "refusals in the figures")
        for url in [own, same] * 10:
            found = scrape(url)
            assert found["rustrak_accept_seconds_count"] == 30
            assert found["rustrak_http_requests_total ingestion 2xx"] == 30
            assert found["rustrak_http_requests_total ingestion 4xx"] == 1
            assert found["rustrak_digested_events_total"] == 30
            assert found["rustrak_process_up http-0"] == found["rustrak_process_up digest-0"] == 1
            assert found["rustrak_spool_events"] == 0
            assert found["rustrak_store_bytes"] > 0
            assert not any(value for name, value in found.items() if name.startswith("rustrak_scrape_failed"))
        assert served.stop() == 0
    assert served.stderr.read_text() == ""


@pytest.mark.slow
def test_restarts_are_counted(tmp_path: Path) -> None:
    """A process that was killed is one that was started again; what it had counted stays."""
    with Served(tmp_path / "data", "--metrics", "--processes", "1", "--workers", "1") as served:
        for event_id in new_ids(3):
            assert served.send(event_id, message="hello") == 200
        served.wait_for_events(3)
        served.kill(http=False, parent=False)
        served.wait_for(
            lambda: scrape(f"{served.url}/metrics")["rustrak_process_restarts_total digest-0"] == 1, "restart"
        )
        served.kill(worker=False, parent=False)

        def counted() -> float:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return scrape(f"{served.url}/metrics")["rustrak_process_restarts_total http-0"]
            return 0

        served.wait_for(lambda: counted() == 1, "restart")
        found = scrape(f"{served.url}/metrics")
        assert found["rustrak_digested_events_total"] == 3
        assert found["rustrak_accept_seconds_count"] == 3


def test_off_unless_asked(tmp_path: Path) -> None:
    """Without the option there is no such path, and no port."""
    with Served(tmp_path / "data", "--processes", "1") as served:
        assert "metrics_url" not in served.facts
        served.get("/metrics", status=404)
