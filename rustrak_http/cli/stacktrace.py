"""Stack traces in a terminal: for Python as Python prints them, for others in the same order and with the same links.

Events are strangers' data: nothing is taken for granted of their types, and exceptions may refer to each other in
circles.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

BUILTIN = {"builtins", "exceptions", "__main__"}
DEPTH_MAX = 50
CAUSE = "The above exception was the direct cause of the following exception:"
CONTEXT = "During handling of the above exception, another exception occurred:"
UNKNOWN = "The above exception led to the following exception:"
"""For SDKs that do not say which of the two it was, as sentry-sdk where no group is involved."""

LINKS = {"__cause__": CAUSE, "cause": CAUSE, "__context__": CONTEXT}
RULE = "-" * 16
CLOSING_RULE = "-" * 36


@attrs.define(eq=False)
class _Exception:
    """An exception of an event, and those that it came from or that it holds."""

    value: Mapping[str, Any]
    is_python: bool
    causes: list["_Exception"] = attrs.Factory(list)
    members: list["_Exception"] = attrs.Factory(list)

    @property
    def mechanism(self) -> Mapping[str, Any]:
        return _mapping(self.value.get("mechanism"))

    @property
    def source(self) -> str:
        return str(self.mechanism.get("source") or "")


def stack_lines(event: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that tell what happened: exceptions with their stacks, else the message with its stack.

    Args:
        event: An event in the API's form.
    """
    is_python = event.get("platform") == "python"
    exceptions = _exceptions(event, is_python=is_python)
    if exceptions:
        yield from _chain(exceptions)
        return
    frames = _frames(_mapping(event.get("stacktrace"))) or _thread_frames(event)
    if frames:
        yield _heading(is_python=is_python)
        yield from _frame_lines(frames, is_python=is_python)
    yield from _message(event).split("\n")


def _chain(exceptions: Sequence[_Exception]) -> Iterator[str]:
    """Yield all exceptions; the last one is the event's title, and those it does not lead to come before it."""
    _link(exceptions)
    seen: set[int] = set()
    main = list(_render(exceptions[-1], seen, box=0, level=0))
    for lost in exceptions:
        if id(lost) not in seen:
            yield from _render(lost, seen, box=0, level=0)
            yield from ("", UNKNOWN, "")
    yield from main


def _link(exceptions: Sequence[_Exception]) -> None:
    """Let each exception know its causes and members, by their ids, else by their order: oldest first."""
    by_id: dict[int, _Exception] = {}
    for one in exceptions:
        number = one.mechanism.get("exception_id")
        if isinstance(number, int):
            by_id.setdefault(number, one)
    for older, newer in zip(exceptions, [*exceptions[1:], None], strict=True):
        parent = _parent(older, by_id) if by_id else newer
        if parent is not None and parent is not older:
            (parent.members if _is_member(older, parent) else parent.causes).append(older)


def _parent(one: _Exception, by_id: Mapping[int, _Exception]) -> _Exception | None:
    number, parent_id = one.mechanism.get("exception_id"), one.mechanism.get("parent_id")
    if one.is_python and one.source in LINKS and isinstance(number, int) and number - 1 in by_id:
        return by_id[number - 1]  # of a member's cause, sentry-sdk names the group as parent; numbers follow the chain
    return by_id.get(parent_id) if isinstance(parent_id, int) else None


def _is_member(one: _Exception, parent: _Exception) -> bool:
    if one.source.startswith(("exceptions[", "errors[")):
        return True
    return bool(parent.mechanism.get("is_exception_group")) and one.source not in LINKS


def _render(one: _Exception, seen: set[int], *, box: int, level: int) -> Iterator[str]:
    """Yield an exception behind its causes, within *box* boxes; *level* bounds how deep they refer to each other."""
    seen.add(id(one))
    causes = [cause for cause in one.causes if id(cause) not in seen] if level < DEPTH_MAX else []
    for cause in causes:
        yield from _render(cause, seen, box=box, level=level + 1)
        yield from _boxed(box, "", LINKS.get(cause.source, UNKNOWN), "")
    if one.members and level < DEPTH_MAX:
        yield from _group(one, seen, box=box, level=level)
    else:
        yield from _boxed(box, *_single(one))


def _single(one: _Exception) -> Iterator[str]:
    frames = _frames(_mapping(one.value.get("stacktrace")))
    if frames:
        yield _heading(is_python=one.is_python)
        yield from _frame_lines(frames, is_python=one.is_python)
    yield from _title(one).split("\n")


def _group(one: _Exception, seen: set[int], *, box: int, level: int) -> Iterator[str]:
    """Yield a group and its members, boxed in as Python does; see `traceback.TracebackException.format`."""
    lines = list(_single(one))
    if len(lines) > 1 and one.is_python:
        lines[0] = f"Exception Group {lines[0]}"
    if box == 0:  # the outermost one opens a box of its own
        box = 1
        yield f"  + {lines.pop(0)}"
    yield from _boxed(box, *lines)
    indent = "  " * box
    members = [member for member in reversed(one.members) if id(member) not in seen]
    for number, member in enumerate(members, start=1):
        yield f"{indent}{'+-' if number == 1 else '  '}+{RULE} {number} {RULE}"
        yield from _render(member, seen, box=box + 1, level=level + 1)
    if members and not members[-1].members:
        yield f"{indent}  +{CLOSING_RULE}"


def _boxed(box: int, *lines: str) -> Iterator[str]:
    for line in lines:
        yield f"{'  ' * box}| {line}" if box else line


def _heading(*, is_python: bool) -> str:
    return f"{'Traceback' if is_python else 'Stack trace'} (most recent call last):"


def _frame_lines(frames: Sequence[Mapping[str, Any]], *, is_python: bool) -> Iterator[str]:
    for frame in frames:
        file = str(frame.get("abs_path") or frame.get("filename") or frame.get("module") or "<unknown>")
        function = str(frame.get("function") or "<unknown>")
        line = frame.get("lineno")
        if is_python:
            yield f'  File "{file}", line {"?" if line is None else line}, in {function}'
        else:
            place = ":".join(str(part) for part in (file, line, frame.get("colno")) if part is not None)
            yield f"  {place} in {function}"
        code = str(frame.get("context_line") or "").strip()
        if code:
            yield f"    {code}"


def _title(one: _Exception) -> str:
    name = str(one.value.get("type") or "Error")
    module = one.value.get("module")
    if one.is_python and isinstance(module, str) and module and module not in BUILTIN:
        name = f"{module}.{name}"
    value = one.value.get("value")
    text = name if value is None or value == "" else f"{name}: {value}"
    if one.is_python and one.members and "sub-exception" not in text:
        text += f" ({len(one.members)} sub-exception{'s' if len(one.members) > 1 else ''})"
    return text


def _message(event: Mapping[str, Any]) -> str:
    for holder in (event.get("logentry"), event.get("message")):
        if isinstance(holder, str) and holder:
            return holder
        text = _mapping(holder).get("formatted") or _mapping(holder).get("message")
        if text:
            return str(text)
    return "(no message)"


def _exceptions(event: Mapping[str, Any], *, is_python: bool) -> list[_Exception]:
    return [_Exception(value, is_python) for value in _values(event.get("exception"))]


def _thread_frames(event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the stack of the thread that crashed, else of the current one, else of the first that has one."""
    threads = _values(event.get("threads"))
    threads.sort(key=lambda thread: (not thread.get("crashed"), not thread.get("current")))
    return next((frames for thread in threads if (frames := _frames(_mapping(thread.get("stacktrace"))))), [])


def _frames(stacktrace: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    frames = stacktrace.get("frames")
    return [frame for frame in frames if isinstance(frame, Mapping)] if isinstance(frames, list) else []


def _values(holder: Any) -> list[Mapping[str, Any]]:
    values = holder.get("values") if isinstance(holder, Mapping) else holder
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
