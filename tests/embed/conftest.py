"""A tracker on each kind of store, and a real SDK whose transport hands to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk

from rustrak_core import Project, Tracker
from rustrak_core.embed import TrackerTransport
from rustrak_storage import open_store


@pytest.fixture(params=["memory", "sqlite"])
def tracker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tracker]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/errors.db"
    with Tracker(open_store(url)) as tracker:
        yield tracker


@pytest.fixture
def project(tracker: Tracker) -> Project:
    return tracker.create_project("shop")


@pytest.fixture
def make_client() -> Iterator[Callable[..., sentry_sdk.Client]]:
    """Make clients of the real SDK, which leave nothing behind in this process."""
    made: list[sentry_sdk.Client] = []

    def make(transport: TrackerTransport, **options: Any) -> sentry_sdk.Client:
        client = sentry_sdk.Client(
            transport=transport, default_integrations=False, auto_enabling_integrations=False, **options
        )
        made.append(client)
        return client

    yield make
    for client in made:
        client.close(timeout=2)
