"""From a URL to a store: known, unknown, offered by others; and texts that never hold a password."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from rustrak_core.errors import ConfigurationError, StoreUnavailableError
from rustrak_storage import factory
from rustrak_storage.factory import open_store
from rustrak_storage.memory import MemoryStore

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
    ],
)
def test_unknown_urls(url: str) -> None:
    """A URL that no store answers to is refused with what would do, and never repeated."""
    with pytest.raises(ConfigurationError, match=r"^database URL: ") as caught:
        open_store(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None or SECRET not in str(caught.value.__cause__)


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
