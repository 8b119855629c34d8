"""What rows of a dataset take from a payload, read without the rest of it.

An export reads payloads by the million. To make objects of all that an SDK sent, of which rows want a twentieth, would
take three times as long.
"""

from collections.abc import Mapping
from typing import Any, TypedDict

import msgspec


class _Frame(TypedDict, total=False):
    module: Any
    filename: Any
    abs_path: Any
    function: Any
    lineno: Any
    in_app: Any


class _Stacktrace(TypedDict, total=False):
    frames: list[_Frame | None] | None


_Frames = _Stacktrace | list[_Frame | None] | None


class _Exception(TypedDict, total=False):
    type: Any
    value: Any
    stacktrace: _Frames


class _Exceptions(_Exception, total=False):
    values: list[_Exception | None] | None


class _Request(TypedDict, total=False):
    url: Any


class _Trace(TypedDict, total=False):
    trace_id: Any


class _Contexts(TypedDict, total=False):
    trace: _Trace | None


class _Sdk(TypedDict, total=False):
    name: Any
    version: Any


_Sent = TypedDict(
    "_Sent",
    {
        "transaction": Any,
        "server_name": Any,
        "sdk": _Sdk | None,
        "exception": _Exceptions | list[_Exception | None] | None,
        "sentry.interfaces.Exception": _Exceptions | list[_Exception | None] | None,
        "stacktrace": _Frames,
        "sentry.interfaces.Stacktrace": _Frames,
        "request": _Request | None,
        "sentry.interfaces.Http": _Request | None,
        "contexts": _Contexts | None,
        "sentry.interfaces.Contexts": _Contexts | None,
    },
    total=False,
)
"""By both names that attributes have; see `rustrak_core.event.attributes`."""

_decoder = msgspec.json.Decoder(_Sent)


def read_sent(payload: bytes) -> Mapping[str, Any]:
    """Return *payload* as an object that has of all its parts only those which rows are made of.

    Raises:
        ValueError: it is no JSON object, or such a part is of another form than SDKs of today send it in.
    """
    if not payload.isascii():
        payload.decode()  # for what is passed over is not looked at so closely
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
