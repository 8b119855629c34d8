"""What of a request may come in: one decision for every way of receiving."""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import attrs

from rustrak_core.accepted import Accepted, Count, Outcome, sum_counts
from rustrak_core.errors import OverloadError, QuotaExceededError, RateLimit, RustrakError, SpoolUnavailableError
from rustrak_core.ports import Intake
from rustrak_core.project import ProjectId
from rustrak_core.quota import QuotaKeeper
from rustrak_core.receive.refusal import shed

_EVENTS = "error"
_FREE = frozenset({"internal", "default", "security"})
"""Of no quota when they are not kept: the latter two are categories of events too, and would be counted as these."""


class Admission:
    """Holds requests against quotas, and gives back what could not be kept after all.

    Args:
        quotas: Counts; None where there are no quotas, which costs nothing.
    """

    def __init__(self, quotas: QuotaKeeper | None) -> None:
        self._quotas = quotas

    def keep(self, intake: Intake, project_id: ProjectId, accepted: Accepted, now: datetime) -> Sequence[RateLimit]:
        """Have *intake* keep what of *accepted* may come in; return what to tell the sender.

        Args:
            now: When the request was received, in UTC.

        Raises:
            QuotaExceededError: nothing of it may come in; it is counted as ``rate_limited``.
            OverloadError, SpoolUnavailableError: as *intake*; events are counted as ``shed`` as soon as it can be.
            StoreUnavailableError: as *intake*; nothing was kept or counted.
        """
        wanted = None if self._quotas is None else wanted_of(accepted)
        if self._quotas is None or not wanted:
            _accept(intake, accepted)
            return ()
        taken = self._quotas.take(project_id, wanted, now)
        kept = accepted if taken.granted == wanted else _within(accepted, taken.granted)
        try:
            _accept(intake, kept)
        except BaseException:
            self._quotas.give_back(project_id, taken.granted, now)
            raise
        if not any(taken.granted.values()) and not _has_more(accepted):
            raise _over(taken.used_up)
        return taken.used_up

    def pass_freely(self, project_id: ProjectId, accepted: Accepted, now: datetime) -> bool:
        """Tell whether all of *accepted* may come in with nothing to tell the sender; if so it is counted.

        Who could not keep it calls `give_back`.
        """
        return self._quotas is None or self._quotas.take_freely(project_id, wanted_of(accepted), now)

    def give_back(self, project_id: ProjectId, accepted: Accepted, now: datetime) -> None:
        """Undo what `pass_freely` counted."""
        if self._quotas is not None:
            self._quotas.give_back(project_id, wanted_of(accepted), now)


def _accept(intake: Intake, accepted: Accepted) -> None:
    try:
        intake.accept(accepted)
    except (OverloadError, SpoolUnavailableError) as error:
        reason = error.reason if isinstance(error, OverloadError) else "unavailable"
        with contextlib.suppress(RustrakError):
            intake.accept(shed(accepted, reason=reason))
        raise


def wanted_of(accepted: Accepted) -> Mapping[str, int]:
    """Return how much of each category *accepted* brings that a quota may stand against."""
    if not accepted.counts:
        return {_EVENTS: len(accepted.events)} if accepted.events else {}
    wanted: Counter[str] = Counter()
    if accepted.events:
        wanted[_EVENTS] = len(accepted.events)
    for count in accepted.counts:
        if count.outcome is Outcome.DISCARDED and count.category not in _FREE:
            wanted[count.category] += count.quantity
    return wanted


def _within(accepted: Accepted, granted: Mapping[str, int]) -> Accepted:
    """Return *accepted* with what goes beyond *granted* as counts of ``rate_limited``; events come before all else."""
    left = dict(granted)
    events = accepted.events[: left.get(_EVENTS, 0)]
    left[_EVENTS] = left.get(_EVENTS, 0) - len(events)
    counts: list[Count] = [
        Count(project_id=event.project_id, day=event.received_at.date(), category=_EVENTS, outcome=Outcome.RATE_LIMITED)
        for event in accepted.events[len(events) :]
    ]
    for count in accepted.counts:
        if count.outcome is not Outcome.DISCARDED or count.category in _FREE:
            counts.append(count)
            continue
        passing = min(count.quantity, left.get(count.category, 0))
        left[count.category] = left.get(count.category, 0) - passing
        if passing:
            counts.append(attrs.evolve(count, quantity=passing))
        if passing < count.quantity:
            over = count.quantity - passing
            counts.append(attrs.evolve(count, outcome=Outcome.RATE_LIMITED, quantity=over))
    return Accepted(events=events, counts=tuple(sum_counts(counts)))


def _has_more(accepted: Accepted) -> bool:
    return any(count.outcome is not Outcome.DISCARDED or count.category in _FREE for count in accepted.counts)


def _over(limits: Sequence[RateLimit]) -> QuotaExceededError:
    longest = max(limits, key=lambda limit: limit.retry_after_s)
    return QuotaExceededError(
        "a quota is used up; send less, or have the operator allow more (rustrak serve --help)",
        retry_after_s=longest.retry_after_s,
        reason=longest.reason,
        scope=longest.scope,
        categories=longest.categories,
        limits=tuple(limits),
    )
