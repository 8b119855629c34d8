"""What all three ways of receiving share: limits, what the request said, and what comes out."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import attrs

from rustrak_core.accepted import Accepted, AcceptedEvent, Count, EventKind, Outcome
from rustrak_core.project import ProjectId

_QUANTITY_MAX = 2**31
_MIB = 1024 * 1024


@attrs.frozen(kw_only=True)
class Limits:
    """How much one request may bring; more is a TooLargeError.

    Attributes:
        body_bytes: The body as sent, compressed.
        decompressed_bytes: The body decompressed.
        event_bytes: One event, decompressed.
        items: The items of one envelope.
        header_bytes: One header line of an envelope.
    """

    body_bytes: int = 20 * _MIB
    decompressed_bytes: int = 100 * _MIB
    event_bytes: int = _MIB
    items: int = 1000
    header_bytes: int = 64 * 1024


@attrs.frozen(kw_only=True)
class Received:
    """What one request came to.

    Attributes:
        event_id: What to answer with; None where nothing in the request has or needs an event id.
    """

    accepted: Accepted
    event_id: UUID | None = None


class Context(NamedTuple):
    """What is known of a request beside its body.

    Attributes:
        project_id: The project in the path.
        received_at: When the request arrived, in UTC.
        limits: How much it may bring.
        new_id: Makes the id of an event that has none.
        remote_addr: The connection's address.
        sdk_client: ``sentry_client`` of the credentials.
        hints: ``release`` and ``environment``, where the query of a report names them.
    """

    project_id: ProjectId
    received_at: datetime
    limits: Limits
    new_id: Callable[[], UUID]
    remote_addr: str | None = None
    sdk_client: str | None = None
    hints: tuple[tuple[str, str], ...] = ()

    def event(self, event_id: UUID, payload: bytes, *, kind: EventKind = EventKind.EVENT) -> AcceptedEvent:
        """Return *payload* as an accepted event."""
        return AcceptedEvent(
            project_id=self.project_id,
            event_id=event_id,
            received_at=self.received_at,
            payload=payload,
            kind=kind,
            remote_addr=self.remote_addr,
            sdk_client=self.sdk_client,
            hints=self.hints,
        )


class Tally:
    """Counts of one request, added up."""

    def __init__(self) -> None:
        self._quantities: dict[tuple[str, Outcome, str], int] = {}

    def add(self, category: str, outcome: Outcome, *, reason: str = "", quantity: int = 1) -> None:
        """Count so many; what a single request adds to one counter is bounded, so that no counter overflows."""
        row = category, outcome, reason
        self._quantities[row] = min(self._quantities.get(row, 0) + quantity, _QUANTITY_MAX)

    def counts(self, context: Context) -> Sequence[Count]:
        """Return the counts, in the order of their first mention."""
        if not self._quantities:
            return ()
        day = context.received_at.date()
        return tuple(
            Count(
                project_id=context.project_id,
                day=day,
                category=category,
                outcome=outcome,
                reason=reason,
                quantity=quantity,
            )
            for (category, outcome, reason), quantity in self._quantities.items()
        )

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._quantities)

    def knows(self, category: str, outcome: Outcome, reason: str) -> bool:
        """Tell whether that row is there already."""
        return (category, outcome, reason) in self._quantities


def looks_like_object(payload: bytes) -> bool:
    """Tell whether *payload* can be a JSON object, by its first and last characters, which costs nothing."""
    text = payload.strip(b" \t\r\n\xef\xbb\xbf") if payload[:1] != b"{" or payload[-1:] != b"}" else payload
    return len(text) >= 2 and text[0] == 0x7B and text[-1] == 0x7D
