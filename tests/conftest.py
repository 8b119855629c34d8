"""What all tests share: Hypothesis profiles, and the table of clients that the corpus test prints."""

import os

import pytest
from hypothesis import HealthCheck, settings

# No deadline: a busy machine is no bug. In CI the same examples come each time, so that red means changed.
_CALM = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile("dev", deadline=None, max_examples=100, suppress_health_check=_CALM)
settings.register_profile("ci", parent=settings.get_profile("dev"), derandomize=True, database=None)
settings.register_profile("thorough", parent=settings.get_profile("dev"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the corpus test found of each client, whichever worker ran it."""
    rows = [
        line
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, line in getattr(report, "user_properties", ())
        if name == "corpus" and getattr(report, "when", "") == "call"
    ]
    if rows:
        terminalreporter.section("recorded clients")
        for row in sorted(rows):
            terminalreporter.write_line(row)
