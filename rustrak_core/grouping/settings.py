"""How a project wants its events grouped, read from the text of its rules; and the mechanism that such a text pins."""

import re
import tomllib
from functools import lru_cache
from typing import Final

import attrs

from rustrak_core.errors import InvalidInputError, MalformedRulesError
from rustrak_core.grouping.lines import line_of
from rustrak_core.grouping.mechanisms import MECHANISMS
from rustrak_core.grouping.rules import Rules

_PIN: Final = re.compile(
    r"""([ \t]*(?:mechanism|"mechanism"|'mechanism')[ \t]*=[ \t]*)("[^"]*"|'[^']*')(.*)""", re.DOTALL
)
_READ_MAX: Final = 64


@attrs.frozen(kw_only=True)
class Settings:
    """What holds for a project.

    Attributes:
        rules: Its rules; none, and the default mechanism, where its text cannot be read.
        problem: Why the text cannot be read by this version; None where it can.
    """

    rules: Rules
    problem: MalformedRulesError | None = None


@lru_cache(_READ_MAX)
def settings_of(text: str) -> Settings:
    """Return what the *text* of a project's rules says. It was read before, but perhaps by a version that knows more.

    Results are kept, since a text is asked for again and again.
    """
    try:
        return Settings(rules=Rules.from_toml(text))
    except MalformedRulesError as e:
        return Settings(rules=Rules(), problem=e)


def with_mechanism(text: str, mechanism: str | None) -> str:
    """Return the *text* of a project's rules with *mechanism* pinned, or none where it is None; all else stays.

    Raises:
        InvalidInputError: there is no such mechanism.
        MalformedRulesError: the text cannot be read, or the mechanism stands in it so that only a person can tell what
            to change.
    """
    if mechanism is not None and mechanism not in MECHANISMS:
        raise InvalidInputError("mechanism", f"must be one of {', '.join(MECHANISMS)}, or null to follow the default")
    Rules.from_toml(text)
    document = tomllib.loads(text)
    before = document.pop("mechanism", None)
    if before == mechanism:
        return text
    line = 1 if before is None else line_of(text, ("mechanism",))
    changed = _added(text, mechanism) if before is None else _replaced(text, line, mechanism)
    wanted = document if mechanism is None else {**document, "mechanism": mechanism}
    if _read(changed) != wanted:
        raise MalformedRulesError("`mechanism` is written so that you must change it there yourself", line=line)
    Rules.from_toml(changed)  # it may be too long now
    return changed


def _added(text: str, mechanism: str | None) -> str:
    pin = f'mechanism = "{mechanism}"\n'
    return f"{pin}\n{text}" if text else pin


def _replaced(text: str, line: int, mechanism: str | None) -> str:
    lines = text.split("\n")
    found = _PIN.fullmatch(lines[line - 1])
    if mechanism is not None:
        lines[line - 1] = f'{found[1]}"{mechanism}"{found[3]}' if found else ""
        return "\n".join(lines)
    del lines[line - 1]
    if line == 1 and len(lines) > 1 and not lines[0].strip():  # as `_added` leaves one
        del lines[0]
    return "\n".join(lines)


def _read(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
