"""Stock questions: a file of SQL each, which begins with what it answers and what it takes.

::

    -- Issues with the most events.            a sentence, perhaps more lines
    --
    -- $by events|users = events: What is most.   a parameter of its own; without ``=`` it must be given
    SELECT ...

Beside its own, a question may take ``$since``, ``$until``, ``$project`` and ``$limit``, which all share.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

import attrs

from rustrak_core.errors import InvalidInputError
from rustrak_core.event.moments import FUTURE_TOLERANCE
from rustrak_storage.duck.errors import UnknownQuestionError, check_text

_PARAMETER = re.compile(r"\$(\w+) (VARCHAR|BIGINT|[a-z]+(?:\|[a-z]+)+)(?: = ([^:]+))?: (.+)")
_USED = re.compile(r"\$([a-z_]+)")
_FIRST = datetime(1, 1, 1)  # noqa: DTZ001 - columns hold naive times in UTC
_DAYS_MAX = 366 * 1000
_TOO_MUCH = 2**63


@attrs.frozen
class Parameter:
    """A parameter of a question's own.

    Attributes:
        type: VARCHAR, BIGINT, or the words of which it is one, as in ``events|users``.
        default: Its value, as text, where none is given; None where one must be.
    """

    name: str
    type: str
    default: str | None
    text: str

    def value(self, given: Any) -> Any:
        """Return *given*, a value or its text, in the parameter's type.

        Raises:
            InvalidInputError: it cannot be one.
        """
        words = self.type.split("|")
        if len(words) > 1 and given not in words:
            raise InvalidInputError(self.name, f"must be {' or '.join(words)}")
        if self.type != "BIGINT":
            return str(given)
        try:
            number = int(given)
        except (TypeError, ValueError):
            number = _TOO_MUCH
        if abs(number) >= _TOO_MUCH:
            raise InvalidInputError(self.name, "must be a whole number")
        return number


@attrs.frozen(kw_only=True)
class Question:
    """A stock question.

    Attributes:
        text: What it answers; the first line is a sentence.
        own: The parameters that only it takes.
        sql: The statement, its head with it.
    """

    name: str
    text: str
    own: tuple[Parameter, ...]
    sql: str = attrs.field(repr=False)

    @property
    def shared(self) -> list[str]:
        """Which of the shared parameters it takes: ``days``, ``project``, ``limit``."""
        used = set(_USED.findall(self.sql))
        return [name for name, sign in (("days", "since"), ("project", "project"), ("limit", "limit")) if sign in used]

    def parameters(
        self,
        *,
        exported_at: datetime,
        days: int | None,
        until: datetime | None,
        project: str | None,
        limit: int,
        own: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return the values of all parameters in its statement; see `rustrak_storage.duck.Dataset.ask`.

        Raises:
            InvalidInputError: one is missing, unknown, or of no use.
        """
        if days is not None and not 1 <= days <= _DAYS_MAX:
            raise InvalidInputError("days", f"must be 1 to {_DAYS_MAX}, or none for all")
        if not 1 <= limit < _TOO_MUCH:
            raise InvalidInputError("limit", f"must be 1 to {_TOO_MUCH - 1}")
        last = exported_at + FUTURE_TOLERANCE if until is None else until
        last = last.astimezone(UTC).replace(tzinfo=None) if last.tzinfo is not None else last
        first = _FIRST if days is None or last - _FIRST < timedelta(days=days) else last - timedelta(days=days)
        values = {"since": first, "until": last, "project": project, "limit": limit} | self._own(own)
        for name, value in values.items():
            if isinstance(value, str):
                check_text(name, value)
        used = set(_USED.findall(self.sql))
        return {name: value for name, value in values.items() if name in used}

    def _own(self, given: Mapping[str, Any]) -> dict[str, Any]:
        known = {parameter.name: parameter for parameter in self.own}
        for name in given:
            if name not in known:
                takes = ", ".join([*known, *self.shared]) or "none"
                raise InvalidInputError(name, f"{self.name} takes no such parameter; it takes {takes}")
        for parameter in self.own:
            if parameter.default is None and given.get(parameter.name) is None:
                raise InvalidInputError(parameter.name, f"{self.name} needs it: {parameter.text}")
        return {
            name: parameter.value(parameter.default if given.get(name) is None else given[name])
            for name, parameter in known.items()
        }


@cache
def questions() -> Mapping[str, Question]:
    """Return all questions by name, sorted."""
    folder = resources.files("rustrak_storage.duck") / "questions"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return {
        file.name.removesuffix(".sql"): read_question(file.name.removesuffix(".sql"), file.read_text("utf-8"))
        for file in files
    }


def question(name: str) -> Question:
    """Return the question of that name.

    Raises:
        UnknownQuestionError: there is none; the text says which there are.
    """
    try:
        return questions()[name]
    except KeyError:
        raise UnknownQuestionError(f"no such question; there are {', '.join(questions())}") from None


def read_question(name: str, sql: str) -> Question:
    """Return the question that a file of SQL holds."""
    text: list[str] = []
    own: list[Parameter] = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        said = line.removeprefix("--").strip()
        found = _PARAMETER.fullmatch(said)
        if found is None:
            text.append(said)
        else:
            own.append(Parameter(found[1], found[2], found[3], found[4]))
    return Question(name=name, text="\n".join(text).strip(), own=tuple(own), sql=sql)
