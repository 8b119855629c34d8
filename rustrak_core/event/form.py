"""A whole payload in one form, as a full event shows it (API.md, Events).

Only forms change: lengths are kept, attributes that we do not know stay, and what cannot be read is null and noted.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from rustrak_core.event.attributes import ALIASES, attribute, read_fields
from rustrak_core.event.breadcrumbs import breadcrumbs_form
from rustrak_core.event.contexts import OBJECT_RULES, contexts_form, sdk_form
from rustrak_core.event.exception import exception_form
from rustrak_core.event.fingerprint import fingerprint_form
from rustrak_core.event.frames import stacktrace_form
from rustrak_core.event.level import DEFAULT_LEVEL, level
from rustrak_core.event.message import logentry_form
from rustrak_core.event.problems import Problems
from rustrak_core.event.request import request_form
from rustrak_core.event.scalars import Rule, lenient_text, plain_text
from rustrak_core.event.tags import tags_form
from rustrak_core.event.threads import threads_form
from rustrak_core.event.user import user_form

Form = Callable[[Mapping[str, Any], Problems], Any]

TEXT_RULES: Final[Mapping[str, Rule]] = {
    "platform": plain_text,
    "logger": plain_text,
    "transaction": plain_text,
    "culprit": plain_text,
    "environment": plain_text,
    "release": lenient_text,
    "dist": lenient_text,
    "server_name": lenient_text,
    "site": lenient_text,
}
_FORMS: Final[Mapping[str, Form]] = {
    "exception": exception_form,
    "threads": threads_form,
    "breadcrumbs": breadcrumbs_form,
    "logentry": logentry_form,
    "tags": tags_form,
    "request": request_form,
    "contexts": contexts_form,
    "fingerprint": fingerprint_form,
}


def one_form(
    payload: Mapping[str, Any], problems: Problems, *, remote_addr: str | None = None, sdk_client: str | None = None
) -> dict[str, Any]:
    """Return *payload* in one form; *payload* itself is left as it is.

    ``exception``, ``threads`` and ``breadcrumbs`` become ``{"values": [...]}``, a message ``logentry`` with
    ``formatted``, and ``message`` the same text; tags, headers and cookies become objects of strings, and names
    of raven's time (``sentry.interfaces.Exception``) today's. ``level``, ``type`` and ``user`` are always there;
    of the rest, what was absent or null stays so. Times are as the SDK wrote them.

    Args:
        payload: The event.
        problems: Where what cannot be read is noted.
        remote_addr: The connection's address, which ``{{auto}}`` stands for.
        sdk_client: What the credentials said of the SDK, for an event that does not say.
    """
    form = {name: value for name, value in payload.items() if name not in _OLD_NAMES}
    for name, old_name in ALIASES.items():
        if form.get(name) is None and payload.get(old_name) is not None:
            form[name] = payload[old_name]
    form = read_fields(form, {**TEXT_RULES, **OBJECT_RULES}, "", problems)
    for name, read in _FORMS.items():
        value = read(payload, problems)
        if value is not None or name in form:
            form[name] = value
    form["user"] = user_form(payload, remote_addr, problems)
    form["level"] = _level(payload.get("level"), problems)
    form["type"] = "error" if form.get("exception") else "default"
    if form.get("logentry"):
        form["message"] = form["logentry"]["formatted"]
    sdk = sdk_form(form.get("sdk"), sdk_client, problems)
    if sdk is not None:
        form["sdk"] = sdk
    _place_stacktrace(form, attribute(payload, "stacktrace"), problems)
    return form


_OLD_NAMES = frozenset(ALIASES.values())


def _level(sent: Any, problems: Problems) -> str:
    read = None if sent is None else level(sent)
    if read is None and sent is not None:
        problems.add("level", f"no level; {DEFAULT_LEVEL} instead", sent)
    return read or DEFAULT_LEVEL


def _place_stacktrace(form: dict[str, Any], stacktrace: Any, problems: Problems) -> None:
    """Move the event's own stack trace into the only exception that has none, else keep it in its one form."""
    if stacktrace is None:
        return
    read = stacktrace_form(stacktrace, "stacktrace", problems)
    exceptions = form["exception"]["values"] if form.get("exception") else []
    without = [exception for exception in exceptions if exception.get("stacktrace") is None]
    if read is not None and len(without) == 1:
        without[0]["stacktrace"] = read
        del form["stacktrace"]
    else:
        form["stacktrace"] = read
