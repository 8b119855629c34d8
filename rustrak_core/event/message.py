"""Messages: a text, or a template with parameters, in any of the places where SDKs put them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from rustrak_core.event.attributes import read_fields
from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import Rule, any_text, cut

MESSAGE_MAX: Final = 8192

_PLACES = ("logentry", "sentry.interfaces.Message", "message")
_PERCENT = re.compile(r"%(?:\((?P<name>[^()]{1,200})\))?[-+#0]{0,4}\d{0,9}(?:\.\d{0,9})?(?P<kind>[diouxXeEfFgGcrsa%])")
_BRACES = re.compile(r"\{(?P<name>\w{0,200})\}")


@attrs.frozen
class Message:
    """A message.

    Attributes:
        formatted: The text, parameters filled in.
        template: The text before that, where the SDK sent it.
        params: A list or an object, or None.
    """

    formatted: str
    template: str | None = None
    params: Any = None

    @property
    def constant(self) -> str:
        """What is the same in all events that one line of code sends: the template if known, else the text."""
        return self.template or self.formatted


def read_message(payload: Mapping[str, Any]) -> Message | None:
    """Return the message of *payload*; ``logentry`` wins over ``message``, and what is empty counts as absent."""
    found = _find(payload)
    return None if found is None else found[1]


def _find(payload: Mapping[str, Any]) -> tuple[Any, Message] | None:
    """Return the message of *payload* as sent and as read."""
    for place in _PLACES:
        value = payload.get(place)
        message = None if value is None else _read(value)
        if message is not None:
            return value, message
    return None


def _read(value: Any) -> Message | None:
    if not isinstance(value, dict):
        text = any_text(value)
        return Message(text) if text and value != [] else None
    template, formatted = any_text(value.get("message")), any_text(value.get("formatted"))
    params = value.get("params")
    if formatted:
        return Message(formatted, template or None, params)
    return Message(interpolate(template, params), template, params) if template else None


def interpolate(template: str, params: Any) -> str:
    """Return *template* with *params* in place of ``%s``, ``%(x)s``, ``{}``, ``{0}`` and the like.

    Widths and precisions are ignored, a placeholder without a parameter stays, and the result is bounded: what
    strangers write must not make us write a gigabyte.
    """
    if not params or not isinstance(params, list | dict):
        return template
    template = cut(template, MESSAGE_MAX)
    pattern = _PERCENT if _PERCENT.search(template) else _BRACES
    pieces: list[str] = []
    done = size = 0
    for match, text in _fill(pattern.finditer(template), params):
        pieces += [template[done : match.start()], text]
        size += match.start() - done + len(text)
        done = match.end()
        if size > MESSAGE_MAX:
            return cut("".join(pieces), MESSAGE_MAX)
    return "".join([*pieces, template[done:]])


def _fill(matches: Iterator[re.Match[str]], params: list[Any] | dict[str, Any]) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each placeholder with the text that goes there."""
    position = 0
    for match in matches:
        if match.group() == "%%":
            yield match, "%"
            continue
        name = match["name"]
        key: Any = position if not name else int(name) if len(name) < 5 and name.isdecimal() else name
        position += not name
        yield match, _argument(params, key, match.group())


def _argument(params: list[Any] | dict[str, Any], key: Any, otherwise: str) -> str:
    if isinstance(params, dict):
        value = params.get(str(key), otherwise)
    else:
        value = params[key] if isinstance(key, int) and key < len(params) else otherwise
    return cut(str(any_text(value)), MESSAGE_MAX)


def logentry_form(payload: Mapping[str, Any], problems: Problems) -> dict[str, Any] | None:
    """Return the one form of a message: an object of ``formatted`` and, where sent, ``message`` and ``params``."""
    found = _find(payload)
    if found is None:
        return None
    sent, message = found
    form = read_fields(sent, LOGENTRY_RULES, "logentry", problems) if isinstance(sent, dict) else {}
    return {**form, "formatted": message.formatted}


def _params(value: Any) -> Any:
    return value if isinstance(value, list | dict) else None


LOGENTRY_RULES: Final[Mapping[str, Rule]] = {"message": any_text, "params": _params}
