"""Levels and platforms: words of which there are few."""

from typing import Any, Final

DEFAULT_LEVEL: Final = "error"
DEFAULT_PLATFORM: Final = "other"

LEVELS: Final = frozenset({"fatal", "error", "warning", "info", "debug"})
PLATFORMS: Final = frozenset({
    "as3", "c", "cfml", "cocoa", "csharp", "elixir", "go", "groovy", "haskell", "java", "javascript", "native", "node",
    "objc", "other", "perl", "php", "python", "ruby",
})  # fmt: skip
_ALIASES = {"log": "info", "critical": "fatal", 10: "debug", 20: "info", 30: "warning", 40: "error", 50: "fatal"}


def level(value: Any) -> str | None:
    """One of the five levels: `value` itself, what ``log`` and ``critical`` mean, or a number as raven sends it."""
    if isinstance(value, str):
        return value if value in LEVELS else _ALIASES.get(value)
    return _ALIASES.get(value) if isinstance(value, int) and not isinstance(value, bool) else None


def platform(value: Any) -> str:
    """Return the platform that a column holds: *value*, or ``other`` where it is not a known one."""
    return value if isinstance(value, str) and value in PLATFORMS else DEFAULT_PLATFORM
