"""Envelopes like most: whole in memory, one event with the id that the headers name, and nothing else.

`EnvelopeReceiver` reads every envelope, in pieces. This reads those that SDKs send nearly always, and costs a fifth;
what is any different it leaves to the other, so that what a request comes to is said in one place.
"""

import re
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from rustrak_core.accepted import Accepted
from rustrak_core.receive.context import Context, Received

_HEX = re.compile(r"[0-9a-f]{32}", re.IGNORECASE | re.ASCII)
_NIL = "0" * 32
_ENDS = (b"", b"\n")


class WholeEnvelope(NamedTuple):
    """What a plain envelope holds.

    Attributes:
        dsn: The ``dsn`` of its headers, whatever that is; None where they have none.
    """

    received: Received
    dsn: Any


def receive_whole(body: bytes, context: Context) -> WholeEnvelope | None:
    """Return what `EnvelopeReceiver` would make of *body*, decompressed; None where it must be asked."""
    limits = context.limits
    first = body.find(b"\n")
    start = body.find(b"\n", first + 1) + 1
    if first < 0 or not start or first > limits.header_bytes or start - first > limits.header_bytes or not limits.items:
        return None
    try:
        headers, item = orjson.loads(body[:first]), orjson.loads(body[first + 1 : start])
    except ValueError:
        return None
    if type(headers) is not dict or type(item) is not dict or item.get("type") != "event":
        return None
    payload = _payload(body, start, item.get("length"))
    event_id = headers.get("event_id")
    if payload is None or len(payload) > limits.event_bytes or type(event_id) is not str:
        return None
    if payload[:1] != b"{" or payload[-1:] != b"}" or not _HEX.fullmatch(event_id) or event_id == _NIL:
        return None
    event = context.event(UUID(hex=event_id), payload)
    return WholeEnvelope(Received(accepted=Accepted(events=(event,)), event_id=event.event_id), headers.get("dsn"))


def _payload(body: bytes, start: int, length: Any) -> bytes | None:
    """Return the payload that begins at *start*, if it is the last thing in *body*."""
    if type(length) is int:
        end = start + length
        return body[start:end] if 0 <= length <= len(body) - start and body[end:] in _ENDS else None
    if length is not None:
        return None
    payload = body[start:].removesuffix(b"\n")
    return None if b"\n" in payload else payload
