"""Bodies of ``/store/``, where older SDKs send one event without an envelope (SDK.md, sections 1 and 5)."""

import base64
import binascii
from typing import Any

from rustrak_core.accepted import Accepted, Outcome
from rustrak_core.compression import decompress
from rustrak_core.errors import (
    BrokenEncodingError,
    InvalidInputError,
    MalformedEventError,
    MalformedJsonError,
    TooLargeError,
)
from rustrak_core.event_id import parse_event_id
from rustrak_core.jsontext import loads_lenient
from rustrak_core.receive.context import Context, Received, Tally

_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


def receive_store(body: bytes, context: Context) -> Received:
    """Receive one event: JSON, or base64 of JSON or of zlib's compressed JSON, as ravens send it.

    A transaction (``type``) is counted only.

    Args:
        body: The body, its Content-Encoding undone.
        context: Of its limits, *event_bytes* holds for the JSON.

    Raises:
        MalformedEventError: it is no JSON object in any of these forms, or its ``event_id`` is no UUID.
        TooLargeError: it is over its limit.
    """
    payload = _json_of(body, context.limits.event_bytes)
    event = _object(payload)
    try:
        event_id = parse_event_id(event.get("event_id")) or context.new_id()
    except InvalidInputError as error:
        raise MalformedEventError(str(error)) from None
    if event.get("type") == "transaction":
        tally = Tally()
        tally.add("transaction", Outcome.DISCARDED)
        return Received(accepted=Accepted(counts=tally.counts(context)), event_id=event_id)
    return Received(accepted=Accepted(events=(context.event(event_id, payload),)), event_id=event_id)


def _json_of(body: bytes, limit_bytes: int) -> bytes:
    """Return the JSON in *body*, which is what begins with a brace; the bytes are as sent, but for the wrapping."""
    json = body
    if not _begins(body):
        if len(body) > 2 * limit_bytes:  # more than base64 makes of what is within the limit
            raise TooLargeError("the event", limit=limit_bytes)
        try:
            json = base64.b64decode(body.translate(None, _SPACE), validate=True)
        except (ValueError, binascii.Error):
            raise MalformedEventError("the body is neither a JSON object nor base64 of one") from None
        if not _begins(json):
            json = _inflated(json, limit_bytes)
    if len(json) > limit_bytes:
        raise TooLargeError("the event", limit=limit_bytes)
    return json


def _begins(text: bytes) -> bool:
    return text[:1] == b"{" or text.removeprefix(_BOM).lstrip(_SPACE)[:1] == b"{"


def _inflated(data: bytes, limit_bytes: int) -> bytes:
    try:
        return decompress(data, "deflate", limit_bytes=limit_bytes)
    except TooLargeError:
        raise TooLargeError("the event", limit=limit_bytes) from None
    except BrokenEncodingError:
        raise MalformedEventError("the body is base64, but neither of a JSON object nor of a zlib stream") from None


def _object(payload: bytes) -> dict[str, Any]:
    try:
        event = loads_lenient(payload)
    except MalformedJsonError as error:
        raise MalformedEventError(f"the event cannot be read: {error}") from None
    if not isinstance(event, dict):
        raise MalformedEventError("the event is not a JSON object")
    return event
