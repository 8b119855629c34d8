"""Events to test with, in one line each; all are payloads as SDKs send them."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any, Final

from rustrak_core.errors import MalformedEventError
from rustrak_core.jsontext import loads_lenient

Event = dict[str, Any]
"""An event's payload."""

_CHAIN_MAX: Final = 50
_LIBRARIES: Final = ("site-packages", "dist-packages")


def error(
    text: str,
    *,
    at: str | Iterable[str] = (),
    caused_by: Event | None = None,
    platform: str = "python",
    **fields: Any,
) -> Event:
    """Return an event with an exception.

    Args:
        text: Type and message, as in ``ValueError: x``; ``ValueError`` alone has no message.
        at: Where it was raised, as in ``shop/orders.py:load`` or ``shop.orders:load``; several calls from the oldest to
            the newest, as a traceback lists them. One that begins with ``-`` is not the application's own.
        caused_by: An event whose exceptions come before this one.
        platform: The event's.
        fields: What else the payload holds, as in ``release="2.1"`` or ``fingerprint=["x"]``.

    >>> error("ValueError: x", at="app.py:load")["exception"]["values"][0]["stacktrace"]["frames"]
    [{'filename': 'app.py', 'function': 'load', 'in_app': True}]
    """
    kind, _, value = text.partition(": ")
    exception: Event = {"type": kind, "value": value}
    frames = [_frame(place) for place in ([at] if isinstance(at, str) else at)]
    if frames:
        exception["stacktrace"] = {"frames": frames}
    causes = caused_by["exception"]["values"] if caused_by else []
    return {"platform": platform, "exception": {"values": [*causes, exception]}, **fields}


def message(template: str, *params: Any, platform: str = "python", **fields: Any) -> Event:
    """Return an event with a message; with *params*, as a logger sends it that fills them in.

    >>> message("order %s failed", 17)["logentry"]
    {'message': 'order %s failed', 'params': [17]}
    """
    if params:
        return {"platform": platform, "logentry": {"message": template, "params": list(params)}, **fields}
    return {"platform": platform, "message": template, **fields}


def from_exception(exception: BaseException, **fields: Any) -> Event:
    """Return a live *exception* as an SDK for Python would send it, with causes, groups and frames.

    Frames of installed packages and of the standard library are not the application's own. A group's errors have the
    group as parent.
    """
    return {"platform": "python", "exception": {"values": list(_chain(exception))[::-1]}, **fields}


def from_recorded(payload: bytes | str | Mapping[str, Any], **fields: Any) -> Event:
    """Return an event that was recorded, as JSON or as an object, with *fields* in place of its own.

    Raises:
        MalformedJsonError: it is no JSON.
        MalformedEventError: it is no JSON object.
    """
    value: Any = payload
    if isinstance(payload, bytes | str):
        value = loads_lenient(payload.encode() if isinstance(payload, str) else payload)
    if not isinstance(value, Mapping):
        raise MalformedEventError("the payload is not a JSON object")
    return {**value, **fields}


def _frame(place: str) -> Event:
    in_app = not place.startswith("-")
    match = _PLACE.fullmatch(place.removeprefix("-"))
    if not match:
        return {"function": place.removeprefix("-"), "in_app": in_app}
    where = match["where"]
    frame: Event = {"filename" if _FILE.search(where) else "module": where} if where else {}
    frame |= {"function": match["function"], "in_app": in_app}
    return frame | ({"lineno": int(match["line"])} if match["line"] else {})


# The last colon that is no part of `::` separates.
_PLACE: Final = re.compile(r"(?P<where>.*?)(?::(?P<line>[0-9]{1,9}))?(?<!:):(?!:)(?P<function>(?:[^:]|::)*)", re.DOTALL)
_FILE: Final = re.compile(r"[/\\]|\.(?:py|m?js|jsx|tsx?|rb|php|java|kt|go|rs|cs|c|cc|cpp|h|ex|swift|m)$")


def _chain(exception: BaseException) -> Iterator[Event]:
    """Yield *exception* and what led to it, the newest first."""
    numbers: dict[int, int] = {}
    todo: list[tuple[BaseException, int | None, str]] = [(exception, None, "")]
    while todo and len(numbers) < _CHAIN_MAX:
        current, parent, source = todo.pop(0)
        if id(current) in numbers:
            continue
        number = numbers[id(current)] = len(numbers)
        yield _entry(current, number, parent, source)
        cause = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        members = current.exceptions if isinstance(current, BaseExceptionGroup) else ()
        todo += [(each, number, f"exceptions[{index}]") for index, each in enumerate(members)]
        if cause:
            todo.append((cause, number, "__cause__" if current.__cause__ else "__context__"))


def _entry(exception: BaseException, number: int, parent: int | None, source: str) -> Event:
    kind = type(exception)
    mechanism: Event = {"type": "chained" if number else "generic", "exception_id": number}
    if parent is not None:
        mechanism |= {"parent_id": parent, "source": source}
    if isinstance(exception, BaseExceptionGroup):
        mechanism["is_exception_group"] = True
    entry: Event = {"type": kind.__name__, "value": str(exception), "mechanism": mechanism}
    if kind.__module__ != "builtins":
        entry["module"] = kind.__module__
    frames = [_live_frame(frame, line) for frame, line in _calls(exception.__traceback__)]
    if frames:
        entry["stacktrace"] = {"frames": frames}
    return entry


def _calls(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _live_frame(frame: FrameType, line: int) -> Event:
    path = frame.f_code.co_filename
    module = str(frame.f_globals.get("__name__", ""))
    is_library = any(name in path for name in _LIBRARIES) or module.partition(".")[0] in sys.stdlib_module_names
    return {
        "filename": path,
        "module": module,
        "function": frame.f_code.co_name,
        "lineno": line,
        "in_app": not is_library or module == "__main__",
    }
