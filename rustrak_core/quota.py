"""Quotas: how much of a category a project, or the whole server, may bring in a minute and in an hour."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol, Self

import attrs

from rustrak_core.errors import InvalidInputError, RateLimit
from rustrak_core.project import ProjectId

CATEGORIES: Final = (
    "error",
    "transaction",
    "attachment",
    "feedback",
    "session",
    "monitor",
    "log_item",
    "span",
    "trace_metric",
    "profile",
    "profile_chunk",
    "replay",
    "metric_bucket",
)
"""What quotas tell apart. Events of all kinds are ``error``; client reports, and items that nobody knows, have none."""

QUOTA_MAX: Final = 2**53
MINUTE_S: Final = 60
HOUR_S: Final = 3600
_RETRY_MAX_S: Final = 60
_NUMBER = re.compile(r"[0-9]{1,16}", re.ASCII)
_EVENT_CATEGORIES = ("default", "error", "security")


def _positive(_: object, attribute: "attrs.Attribute[int | None]", value: int | None) -> None:
    if value is not None and not 1 <= value <= QUOTA_MAX:
        raise InvalidInputError(attribute.name, f"must be from 1 to {QUOTA_MAX}")


def _all_positive(_: object, attribute: "attrs.Attribute[Mapping[str, int]]", value: Mapping[str, int]) -> None:
    if not all(name in CATEGORIES and 1 <= number <= QUOTA_MAX for name, number in value.items()):
        raise InvalidInputError(attribute.name, f"must be numbers from 1 to {QUOTA_MAX} by category")


@attrs.frozen(kw_only=True)
class Quota:
    """How many of each category there may be in one window.

    Attributes:
        each: For each category that *named* does not name; None for any number.
        named: For categories by name.
    """

    each: int | None = attrs.field(default=None, validator=_positive)
    named: Mapping[str, int] = attrs.field(factory=dict, validator=_all_positive)

    def of(self, category: str) -> int | None:
        """Return how many of *category* there may be; None for any number."""
        return self.named.get(category, self.each)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``5000``, ``error=5000,attachment=100``, both (``5000,attachment=100``), or ``none``.

        Raises:
            InvalidInputError: it is none of these; the text says what is wrong with it.
        """
        if text.strip().lower() == "none":
            return cls()
        each: int | None = None
        named: dict[str, int] = {}
        for part in text.split(","):
            name, equals, number = (word.strip() for word in part.rpartition("="))
            if not _NUMBER.fullmatch(number) or not 1 <= int(number) <= QUOTA_MAX:
                raise InvalidInputError("quota", f"must be whole numbers from 1 to {QUOTA_MAX}, or `none` for no quota")
            if equals and name not in CATEGORIES:
                raise InvalidInputError("quota", f"must name only categories that exist: {', '.join(CATEGORIES)}")
            if name in named or (not equals and each is not None):
                raise InvalidInputError("quota", "must give each category one number")
            if equals:
                named[name] = int(number)
            else:
                each = int(number)
        return cls(each=each, named=named)


@attrs.frozen(kw_only=True)
class Quotas:
    """All quotas of a server; windows are minutes and hours of receipt, in UTC.

    Attributes:
        project_minute, project_hour: For each project by itself.
        server_minute, server_hour: For all projects together.
    """

    project_minute: Quota = Quota()
    project_hour: Quota = Quota()
    server_minute: Quota = Quota()
    server_hour: Quota = Quota()


class Taken(NamedTuple):
    """What quotas had left for one request.

    Attributes:
        granted: How many of each category may be accepted; at most as many as were asked for.
        used_up: The quotas of these categories that have nothing left now.
    """

    granted: Mapping[str, int]
    used_up: Sequence[RateLimit]


class QuotaKeeper(Protocol):
    """Counts what was accepted against quotas. Calls are thread-safe, and exact for all who share a keeper's memory."""

    def take(self, project_id: ProjectId, wanted: Mapping[str, int], now: datetime) -> Taken:
        """Count as many of *wanted*, by category, as the quotas have left."""
        ...

    def take_freely(self, project_id: ProjectId, wanted: Mapping[str, int], now: datetime) -> bool:
        """Count *wanted* if that uses up no quota; else count nothing, and return False."""
        ...

    def give_back(self, project_id: ProjectId, counted: Mapping[str, int], now: datetime) -> None:
        """Undo what a call with the same *now* counted, since it was not accepted after all."""
        ...


def used_up(category: str, *, scope: str, window_s: int, now_s: float) -> RateLimit:
    """Return what an SDK is told of a quota that has nothing left until its window ends.

    Args:
        scope: ``project`` or ``organization``.
        window_s: `MINUTE_S` or `HOUR_S`.
        now_s: Seconds since the epoch.
    """
    left_s = window_s - now_s % window_s
    return RateLimit(
        retry_after_s=max(1, min(_RETRY_MAX_S, -int(-left_s // 1))),
        categories=_EVENT_CATEGORIES if category == "error" else (category,),
        scope=scope,
        reason="quota",
    )
