"""An exception as the attributes of an event: types, texts, stacks, and how exceptions lead to each other.

Source lines and local variables are not read, since that takes files and secrets; ``sentry-sdk`` with
`rustrak_core.embed` does it.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Any

EXCEPTIONS_MAX = 50
"""How many exceptions of a chain or a group are told."""

FRAMES_MAX = 250


def exception_event(error: BaseException) -> dict[str, Any]:
    """Return an event that tells *error*, with what caused it and what it groups, as Sentry's SDKs tell it."""
    found: list[tuple[BaseException, dict[str, Any]]] = []
    waiting: list[tuple[BaseException, dict[str, Any]]] = [(error, {"type": "generic", "handled": True})]
    seen: set[int] = set()
    while waiting and len(found) < EXCEPTIONS_MAX:
        one, mechanism = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        number = len(found)
        mechanism["exception_id"] = number
        if isinstance(one, BaseExceptionGroup):
            mechanism["is_exception_group"] = True
        found.append((one, mechanism))
        for related, source in reversed(list(_related(one))):
            waiting.append((related, {"type": "chained", "handled": True, "parent_id": number, "source": source}))
    values = [_value(one, mechanism) for one, mechanism in reversed(found)]  # oldest first: the last one is the title
    return {"platform": "python", "level": "error", "exception": {"values": values}}


def _related(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """Yield what *error* came from, as Python would print it, and then its members."""
    if error.__cause__ is not None:
        yield error.__cause__, "__cause__"
    elif error.__context__ is not None and not error.__suppress_context__:
        yield error.__context__, "__context__"
    if isinstance(error, BaseExceptionGroup):
        for index, member in enumerate(error.exceptions):
            yield member, f"exceptions[{index}]"


def _value(error: BaseException, mechanism: dict[str, Any]) -> dict[str, Any]:
    kind = type(error)
    value: dict[str, Any] = {
        "type": kind.__qualname__,
        "module": None if kind.__module__ == "builtins" else kind.__module__,
        "value": _text(error),
        "mechanism": mechanism,
    }
    frames = list(_frames(error.__traceback__))
    if frames:
        value["stacktrace"] = {"frames": frames[-FRAMES_MAX:]}
    return value


def _text(error: BaseException) -> str:
    """Return the text of *error* and of its notes; a ``__str__`` of a stranger may raise what it likes."""
    try:
        text = error.message if isinstance(error, BaseExceptionGroup) else str(error)  # as sentry-sdk has it
        return "\n".join([text, *map(str, getattr(error, "__notes__", ()))])
    except Exception:  # noqa: BLE001 - as said
        return f"<{type(error).__qualname__} without a text>"


def _frames(traceback: TracebackType | None) -> Iterator[dict[str, Any]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = traceback.tb_frame.f_globals.get("__name__")
        yield {
            "filename": _short(code.co_filename, module),
            "abs_path": code.co_filename,
            "module": module if isinstance(module, str) else None,
            "function": code.co_name,
            "lineno": traceback.tb_lineno,
            "in_app": not any(
                part in code.co_filename for part in ("/site-packages/", "/dist-packages/", "/lib/python")
            ),
        }
        traceback = traceback.tb_next


def _short(path: str, module: object) -> str:
    """Return *path* from the folder of the top-level package on, which is the same on every machine."""
    if not isinstance(module, str) or module == "__main__":
        return path.replace("\\", "/").rpartition("/")[2]
    return "/".join(path.replace("\\", "/").split("/")[-1 - module.count(".") - path.endswith("__init__.py") :])
