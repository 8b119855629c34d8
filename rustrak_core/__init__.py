"""The pure core of Rustrak: bytes and values in, values out.

``from rustrak_core import Tracker`` is the front door for embedding. Names are loaded when they are first used, so that
importing this package costs next to nothing, and never loads a server or a database.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rustrak_core.digested import EventSummary, GroupingKey, StoredEvent, User
    from rustrak_core.dsn import Dsn
    from rustrak_core.errors import RustrakError
    from rustrak_core.issue import Issue, IssueState
    from rustrak_core.ports import Recorded, Store
    from rustrak_core.project import Project
    from rustrak_core.receive import Limits
    from rustrak_core.token import Token
    from rustrak_core.tracker import DirectIntake, Ingested, Tracker

__all__ = [
    "DirectIntake",
    "Dsn",
    "EventSummary",
    "GroupingKey",
    "Ingested",
    "Issue",
    "IssueState",
    "Limits",
    "Project",
    "Recorded",
    "RustrakError",
    "Store",
    "StoredEvent",
    "Token",
    "Tracker",
    "User",
]

_HOMES = {
    "digested": ("EventSummary", "GroupingKey", "StoredEvent", "User"),
    "dsn": ("Dsn",),
    "errors": ("RustrakError",),
    "issue": ("Issue", "IssueState"),
    "ports": ("Recorded", "Store"),
    "project": ("Project",),
    "receive": ("Limits",),
    "token": ("Token",),
    "tracker": ("DirectIntake", "Ingested", "Tracker"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value  # so that the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
