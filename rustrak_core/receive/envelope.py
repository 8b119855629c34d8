"""Envelopes received, piece by piece: events are kept, all else is counted as it goes by."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from rustrak_core.accepted import Accepted, Outcome
from rustrak_core.dsn import Dsn
from rustrak_core.envelope import EnvelopeReader, Keep, ReadItem, item_type
from rustrak_core.errors import (
    CredentialsError,
    InvalidInputError,
    MalformedDsnError,
    MalformedEnvelopeError,
    MalformedJsonError,
)
from rustrak_core.event_id import parse_event_id
from rustrak_core.jsontext import loads_lenient
from rustrak_core.receive.context import Context, Received, Tally, looks_like_object
from rustrak_core.receive.items import CLIENT_REPORT_BYTES, count_client_report, count_discarded, needs_event_id

_CLIENT_REPORT = Keep(limit_bytes=CLIENT_REPORT_BYTES)


class EnvelopeReceiver:
    """Receives one envelope as its decompressed bytes arrive; memory goes to one event and one header line only.

    A broken frame refuses the whole; an item that is unknown or broken costs that item only. The first event is kept
    as sent, not parsed unless the headers name no event id; a second one is counted invalid.

    Args:
        context: What is known of the request beside it.
    """

    def __init__(self, context: Context) -> None:
        limits = context.limits
        self._context = context
        self._reader = EnvelopeReader(
            _Choice(limits.event_bytes).keep, max_items=limits.items, header_bytes=limits.header_bytes
        )
        self._tally = Tally()
        self._named_id: UUID | None = None
        self._id_read = False
        self._id_needed = False
        self._event: bytes | None = None
        self._event_seen = False

    @property
    def header_done(self) -> bool:
        """The envelope's headers have been read."""
        return self._reader.headers is not None

    @property
    def dsn(self) -> Dsn | None:
        """The DSN that the envelope's headers name; None where they name none, or are not read yet.

        Raises:
            CredentialsError: what they name is no DSN.
        """
        text = (self._reader.headers or {}).get("dsn")
        if text is None:
            return None
        try:
            return Dsn.parse(text if isinstance(text, str) else "")
        except MalformedDsnError as error:
            raise CredentialsError(f"the envelope's dsn is malformed: {error}") from None

    def feed(self, chunk: bytes) -> None:
        """Read on.

        Raises:
            MalformedEnvelopeError: the framing is broken, or the headers' event id.
            TooLargeError: the event, a header line or the number of items is over its limit.
        """
        items = self._reader.feed(chunk)
        if items or not self._id_read:
            self._take(items)

    def finish(self) -> Received:
        """Return what the envelope came to.

        Raises:
            MalformedEnvelopeError: it is cut short, or empty, or its headers' event id is broken.
            TooLargeError: there are too many items.
        """
        self._take(self._reader.finish())
        context, payload, event_id = self._context, self._event, self._named_id
        if event_id is None and payload is not None:
            try:
                event_id = _id_in(payload)
            except MalformedJsonError:
                self._count_invalid()
                payload = None
        if event_id is None and self._id_needed:
            event_id = context.new_id()
        events = (context.event(event_id, payload),) if payload is not None and event_id is not None else ()
        return Received(accepted=Accepted(events=events, counts=self._tally.counts(context)), event_id=event_id)

    def _take(self, items: Iterable[ReadItem]) -> None:
        if not self._id_read and self._reader.headers is not None:
            self._read_id(self._reader.headers)
        for item in items:
            type_ = item_type(item.headers)
            self._id_needed = self._id_needed or needs_event_id(type_)
            if type_ == "event":
                self._take_event(item.payload)
            elif type_ == "client_report":
                if item.payload is not None:
                    count_client_report(self._tally, item.payload)
            else:
                count_discarded(self._tally, item.headers)

    def _read_id(self, headers: Mapping[str, Any]) -> None:
        self._id_read = True
        try:
            self._named_id = parse_event_id(headers.get("event_id"))
        except InvalidInputError as error:
            raise MalformedEnvelopeError(f"in the envelope's headers, {error}", offset=0) from None

    def _take_event(self, payload: bytes | None) -> None:
        if self._event_seen or payload is None or not looks_like_object(payload):
            self._count_invalid()
        else:
            self._event = payload
        self._event_seen = True

    def _count_invalid(self) -> None:
        self._tally.add("error", Outcome.INVALID)


@functools.lru_cache(maxsize=8)
def _event_up_to(limit_bytes: int) -> Keep:
    return Keep(limit_bytes=limit_bytes, refuse_as="the event item")


class _Choice:
    """Which payloads are kept: the first event's, and those of client reports until they are counted."""

    def __init__(self, event_bytes: int) -> None:
        self._event: Keep | None = _event_up_to(event_bytes)

    def keep(self, headers: Mapping[str, Any]) -> Keep | None:
        type_ = item_type(headers)
        if type_ == "event":
            keep, self._event = self._event, None
            return keep
        return _CLIENT_REPORT if type_ == "client_report" else None


def _id_in(payload: bytes) -> UUID | None:
    """Return the event id that a payload names, None if it names none that can be read.

    Raises:
        MalformedJsonError: the payload is not JSON, so that nothing of it can ever be read.
    """
    event = loads_lenient(payload)
    try:
        return parse_event_id(event.get("event_id"))
    except InvalidInputError:
        return None
