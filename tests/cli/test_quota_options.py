"""`rustrak serve` and its quotas."""

import pytest

from tests.cli.conftest import Rustrak


@pytest.mark.parametrize("given", ["many", "0", "-5", "error=-1", "errors=5"])
def test_a_quota_that_is_none_is_refused(rustrak: Rustrak, given: str) -> None:
    """Naming the option, and what to write."""
    done = rustrak("serve", f"--quota-project-minute={given}", code=2)
    assert "--quota-project-minute" in done.err
    assert "5000" in done.err
    assert not rustrak.data_dir.exists() or not list(rustrak.data_dir.iterdir())
