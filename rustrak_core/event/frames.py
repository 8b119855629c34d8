"""Stack traces: frames from the oldest to the newest call."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rustrak_core.event.attributes import read_fields
from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import (
    Rule,
    any_text,
    boolean,
    lenient_text,
    object_or_list,
    plain_text,
    texts,
    unsigned,
)

FRAME_RULES: Final[Mapping[str, Rule]] = {
    "filename": plain_text,
    "abs_path": plain_text,
    "module": plain_text,
    "function": plain_text,
    "raw_function": plain_text,
    "package": plain_text,
    "platform": plain_text,
    "lineno": unsigned,
    "colno": unsigned,
    "in_app": boolean,
    "stack_start": boolean,
    "context_line": lenient_text,
    "pre_context": texts,
    "post_context": texts,
    "vars": object_or_list,
    "instruction_addr": lenient_text,
    "symbol_addr": lenient_text,
    "image_addr": lenient_text,
    "addr_mode": any_text,
}


def frames_of(stacktrace: Any) -> list[Any]:
    """Return the frames of *stacktrace*, as they are; empty where there are none or they cannot be read."""
    frames = stacktrace.get("frames") if isinstance(stacktrace, dict) else stacktrace
    return frames if isinstance(frames, list) else []


def top_frame(frames: Iterable[Any]) -> Mapping[str, Any] | None:
    """Return the newest frame of *frames*, which come newest first, that is the application's own, else the newest."""
    newest = None
    for frame in frames:
        if isinstance(frame, dict):
            if frame.get("in_app") is True:
                return frame
            newest = newest or frame
    return newest


def place(frame: Mapping[str, Any]) -> str:
    """Return where *frame* is, as in ``shop.orders in pay``; parts that are unknown are left out."""
    where = plain_text(frame.get("module")) or plain_text(frame.get("filename")) or plain_text(frame.get("abs_path"))
    return " in ".join(part for part in (where, plain_text(frame.get("function"))) if part)


def stacktrace_form(stacktrace: Any, path: str, problems: Problems) -> dict[str, Any] | None:
    """Return the one form of a stack trace, an object with a list of ``frames``; null frames stay."""
    if isinstance(stacktrace, list):
        stacktrace = {"frames": stacktrace}
    if not isinstance(stacktrace, dict):
        problems.add(path, "not an object", stacktrace)
        return None
    frames = stacktrace.get("frames")
    if frames is None:
        return {**stacktrace, "frames": []}
    if not isinstance(frames, list):
        problems.add(f"{path}.frames", "not a list", frames)
        return {**stacktrace, "frames": []}
    return {**stacktrace, "frames": [_frame(f, f"{path}.frames[{i}]", problems) for i, f in enumerate(frames)]}


def _frame(frame: Any, path: str, problems: Problems) -> dict[str, Any] | None:
    if isinstance(frame, dict):
        return read_fields(frame, FRAME_RULES, path, problems)
    if frame is not None:
        problems.add(path, "not an object", frame)
    return None
