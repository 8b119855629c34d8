"""What names an event: the last exception's type and value, else its message.

A message beside an exception without a type is how today's JavaScript SDKs send a message with the stack behind it;
it counts as a message.
"""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from rustrak_core.accepted import EventKind
from rustrak_core.event import csp
from rustrak_core.event.exception import last_exception, type_and_value
from rustrak_core.event.message import MESSAGE_MAX, read_message
from rustrak_core.event.scalars import cut

_TYPE_MAX = 256
_MESSAGE_TYPE: Final = "Message"
_UNTYPED: Final = "Error"


@attrs.frozen
class Title:
    """What names an event, as columns hold it.

    Attributes:
        type: The exception's type (``Error`` where it has none), else ``Message`` or ``CSP``.
        message: The exception's value, or the message with its parameters filled in; ``""`` where there is none.
        constant: The message before its parameters were filled in, where the SDK sent that; else *message*.
        exception: The last exception, as sent; None without one.
        is_exception: Whether the exception, and not a message, names the event.
    """

    type: str
    message: str
    constant: str
    exception: Mapping[str, Any] | None = None
    is_exception: bool = False


def title_of(payload: Mapping[str, Any], kind: str = EventKind.EVENT) -> Title:
    """Return what names the event *payload*, which came as *kind*."""
    exception = last_exception(payload)
    name, value = (None, None) if exception is None else type_and_value(exception)
    message = read_message(payload) if name is None else None
    if exception is not None and message is None:
        text = cut(value or "", MESSAGE_MAX)
        return Title(cut(name or _UNTYPED, _TYPE_MAX), text, text, exception, is_exception=True)
    name = csp.TYPE if kind == EventKind.CSP else _MESSAGE_TYPE
    if message is None:
        return Title(name, "", "")
    return Title(name, cut(message.formatted, MESSAGE_MAX), cut(message.constant, MESSAGE_MAX), exception)
