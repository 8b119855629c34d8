"""From a URL to a store: known, unknown, offered by others; and texts that never hold a password."""

from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from rustrak_core.errors import ConfigurationError, StoreUnavailableError
from rustrak_storage import factory
from rustrak_storage.duck import DatasetError, export
from rustrak_storage.factory import check_database, open_store, upgrade_database
from rustrak_storage.memory import MemoryStore
from rustrak_storage.testing.values import NOW

SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        f"nosql://me:{SECRET}@host/db",
        f"postgresql+psycopg2://me:{SECRET}@host/db",
        f"postgresql://me:{SECRET}@host",
        f"mysql://me:{SECRET}@host/",
        f"postgresql://me:{SECRET}@host:port/db",
        "sqlite://",
        "sqlite:///:memory:",
        "duckdb://",
        "duckdb:///:memory:",
        f"/var/lib/{SECRET}.db",
        "sqlite://data/errors.db",
        "duckdb://data/errors.duckdb",
        f"postgresql://me:p@{SECRET}@127.0.0.1/db",
        f"mariadb://me:p@{SECRET}@127.0.0.1/db",
        f"sqlite:///errors.db?password={SECRET}",
        f"mariadb://me@127.0.0.1:1/db?nothing={SECRET}",
        f"mariadb://me@127.0.0.1:1/db?connect_timeout={SECRET}",
        f"mariadb://me@127.0.0.1:1/db?charset={SECRET}",
        f"mariadb://me:{SECRET}@127.0.0.1:1/db?ssl_ca=/nowhere",
        f"postgresql://me:{SECRET}@127.0.0.1:1/\udcff",
    ],
)
def test_unknown_urls(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that no store answers to is refused with what would do, and never repeated; no file is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"^database URL: ") as caught:
        open_store(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None or SECRET not in str(caught.value.__cause__)
    assert not list(tmp_path.iterdir())


def test_what_sqlite_s_url_may_say(tmp_path: Path) -> None:
    """What has no effect, as it never had, is no fault; nor is it read."""
    open_store(f"sqlite:///{tmp_path}/errors.db?timeout=x&check_same_thread=").close()


def test_a_dataset_is_no_store(tmp_path: Path) -> None:
    """Both may be DuckDB files of one name; neither becomes the other."""
    store, dataset, other = tmp_path / "store.duckdb", tmp_path / "dataset.duckdb", open_store("memory://")
    export(other, dataset, now=NOW)
    open_store(f"duckdb:///{store}").close()
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    for use in (open_store, upgrade_database, partial(check_database, payloads=0)):
        with pytest.raises(ConfigurationError, match=r"is a dataset .* name another file"):
            use(f"duckdb:///{dataset}")
    with pytest.raises(DatasetError, match="no dataset"):
        export(other, store, now=NOW)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    """It is told in a sentence where a database must be there already."""
    with pytest.raises(ConfigurationError, match="cannot be read: File name too long"):
        check_database(f"sqlite:///{tmp_path}/{'n' * 300}", payloads=0)


def test_unknown_scheme_names_the_known_ones() -> None:
    """The text names what is known."""
    with pytest.raises(
        ConfigurationError, match=r"sqlite:///PATH, duckdb:///PATH.*postgresql://.*mariadb://.*memory://"
    ):
        open_store("oracle://x/y")


def test_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a driver is not installed, the text says how to install it."""
    monkeypatch.setattr(factory, "find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rustrak\[postgres\]'"):
        open_store(f"postgresql://me:{SECRET}@host/db")


@pytest.mark.parametrize(
    "scheme", ["postgresql", "postgres", "postgresql+psycopg", "mariadb", "mysql", "mysql+pymysql"]
)
def test_a_server_that_is_not_there(scheme: str) -> None:
    """A server that does not answer makes the store unavailable; the text holds no secret."""
    with pytest.raises(StoreUnavailableError) as caught:
        open_store(f"{scheme}://me:{SECRET}@127.0.0.1:1/db")
    assert SECRET not in str(caught.value)
    assert "check that it runs" in str(caught.value)


def test_memory() -> None:
    """Every memory store begins with nothing."""
    assert isinstance(open_store("memory://"), MemoryStore)
    assert open_store("memory://") is not open_store("memory://")


def test_others_offer_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is installed offers a store by an entry point named like the scheme."""
    entry = EntryPoint(name="shelf", value="rustrak_storage.memory:MemoryStore", group=factory.ENTRY_POINTS)
    asked: list[str] = []

    class Loaded:
        name = entry.name

        @staticmethod
        def load() -> Any:
            def opened(url: str) -> Any:
                asked.append(url)
                return entry.load()()

            return opened

    def entry_points(*, group: str, name: str | None = None) -> list[type[Loaded]]:
        return [Loaded] if group == "rustrak.stores" and name in {None, "shelf"} else []

    monkeypatch.setattr(factory, "entry_points", entry_points)
    assert isinstance(open_store("shelf://here"), MemoryStore)
    assert asked == ["shelf://here"]
    with pytest.raises(ConfigurationError, match="shelf://"):
        open_store("nothing://")
