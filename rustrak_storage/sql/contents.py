"""What the row of a payload holds, before it is packed: a line of JSON with an event's details, then the payload.

Details are what only a reader of the whole event wants to know, beside the columns by which events are listed. The
payload says nearly all of it again, so that packed in one they take some 30 bytes, and would take 200 in columns.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import orjson

from rustrak_storage.filing import Filed
from rustrak_storage.texts import clean, clean_or_none

_TEXTS = ("kind", "type", "message", "culprit", "level", "platform")


@attrs.frozen(kw_only=True)
class Details:
    """What is kept of an event beside its columns and its payload; see `rustrak_core.digested.StoredEvent`."""

    kind: str
    type: str
    message: str
    culprit: str
    level: str
    platform: str
    tags: tuple[tuple[str, str], ...] = ()
    remote_addr: str | None = None
    sdk_client: str | None = None
    hints: tuple[tuple[str, str], ...] = ()


def content_of(event: Filed) -> bytes:
    """Return the details of *event*, and behind a line feed its payload; without one where that was shed."""
    source = event.source
    fields: dict[str, Any] = {
        "kind": source.kind,
        "type": event.type,
        "message": event.message,
        "culprit": event.culprit,
        "level": event.level,
        "platform": event.platform,
    }
    if source.tags:
        fields["tags"] = dict(source.tags)
    if source.remote_addr is not None:
        fields["remote_addr"] = clean_or_none(source.remote_addr, 64)
    if source.sdk_client is not None:
        fields["sdk_client"] = clean_or_none(source.sdk_client, 255)
    if source.hints:
        fields["hints"] = source.hints
    line = _line(fields)
    return line if source.payload is None else b"%b\n%b" % (line, source.payload)


def details_of(content: bytes) -> Details:
    """Return the details in *content*; the payload is not looked at.

    Raises:
        ValueError: they are not what `content_of` writes.
    """
    end = content.find(b"\n")
    fields = orjson.loads(content if end < 0 else memoryview(content)[:end])
    try:
        return Details(
            **{name: fields[name] for name in _TEXTS},
            tags=tuple(fields.get("tags", {}).items()),
            remote_addr=fields.get("remote_addr"),
            sdk_client=fields.get("sdk_client"),
            hints=tuple((name, value) for name, value in fields.get("hints", ())),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"details cannot be read ({type(error).__name__})") from error


def payload_of(content: bytes) -> bytes | None:
    """Return the payload in *content*, byte for byte as it was sent; None where it was shed."""
    _details, end, payload = content.partition(b"\n")
    return payload if end else None


def parts_of(content: bytes) -> tuple[bytes, bytes | None]:
    """Return the line of details in *content*, hardly looked at, and the payload as `payload_of` does.

    Raises:
        ValueError: it begins otherwise than `content_of` writes.
    """
    details, end, payload = content.partition(b"\n")
    if not (details.startswith(b'{"kind":') and details.endswith(b"}")):
        raise ValueError("details cannot be read")
    return details, payload if end else None


def _line(fields: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields)  # which never holds a line feed
    except TypeError:  # lone surrogates, which digesting should have replaced
        return orjson.dumps(_cleaned(fields))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value, len(value))
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(part) for key, part in value.items()}
    return [_cleaned(part) for part in value] if isinstance(value, list | tuple) else value
