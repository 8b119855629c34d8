"""The ports of `rustrak_core`, kept by databases, and the spool.

``from rustrak_storage import open_store`` opens a store by its URL. Nothing is loaded before it is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rustrak_storage.factory import open_store

__all__ = ["open_store"]


def __getattr__(name: str) -> Any:
    if name != "open_store":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rustrak_storage.factory import open_store  # noqa: PLC0415 - a database's driver is loaded when it is needed

    globals()[name] = open_store
    return open_store
