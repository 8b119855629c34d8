"""A store whose events are known, and datasets of it in both forms."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from rustrak_core.ports import Store
from rustrak_storage.duck import Dataset, export
from rustrak_storage.factory import open_store
from tests.dataset.facts import END, World, make_world

EXPORTED = END + timedelta(hours=1)
FORMS = {"folder": "errors", "file": "errors.duckdb"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    store = open_store(f"sqlite:///{tmp_path}/rustrak.db")
    yield store
    store.close()


@pytest.fixture(params=FORMS)
def dest(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a dataset is to be made, in either form."""
    return tmp_path / FORMS[request.param]


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, dict[str, Path]]:
    """Events that are known, and a dataset of them in each form."""
    folder = tmp_path_factory.mktemp("known")
    store = open_store("memory://")
    world = make_world(store)
    for name in FORMS.values():
        export(store, folder / name, now=EXPORTED)
    store.close()
    return world, {form: folder / name for form, name in FORMS.items()}


@pytest.fixture
def world(known: tuple[World, dict[str, Path]]) -> World:
    return known[0]


@pytest.fixture(params=FORMS)
def dataset(request: pytest.FixtureRequest, known: tuple[World, dict[str, Path]]) -> Iterator[Dataset]:
    """The known events as a dataset that is open."""
    with Dataset.open(known[1][request.param]) as opened:
        yield opened
