"""What was done to events, written down so that it can be taken back: a line of JSON each, the first one a header."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from rustrak_core.digested import GroupingKey
from rustrak_core.errors import MalformedJsonError, MalformedUndoError
from rustrak_core.issue import IssueId
from rustrak_core.jsontext import dumps, loads
from rustrak_core.ports import Place, Refiled
from rustrak_core.project import ProjectId

VERSION: Final = 1
_NAME: Final = "rustrak_undo"


@attrs.frozen(kw_only=True)
class UndoHeader:
    """Whose events were filed anew, and how.

    Attributes:
        mark: Tells the project from those of other stores.
        rules: By which rules they were filed anew, as TOML.
        before: The project's rules before that.
        sets_rules: Whether the project was given *rules*.
    """

    project_id: ProjectId
    slug: str
    mark: str
    rules: str
    before: str
    sets_rules: bool


@attrs.frozen
class Heirs:
    """Issues that were to lose all of their events, with keys of those that take over; keys that were to lead nowhere.

    See `Plan.heirs` and `Plan.dropped`.
    """

    heirs: Mapping[IssueId, GroupingKey]
    dropped: Mapping[GroupingKey, IssueId] = attrs.field(factory=dict)


@attrs.frozen
class End:
    """The last word: ``done`` once all is filed anew, ``undone`` once that was taken back."""

    word: str


Line = UndoHeader | Heirs | Refiled | End


def write_line(line: Line) -> bytes:
    """Return *line* as it is written, its line feed included."""
    return dumps(_to_json(line)) + b"\n"


def read_line(data: bytes, number: int) -> Line:
    """Return what line *number*, from 1, says.

    Raises:
        MalformedUndoError: it is none, or of a newer version.
    """
    try:
        value = loads(data)
        line = _from_json(value)
    except (MalformedJsonError, KeyError, ValueError, TypeError, AttributeError):
        raise MalformedUndoError("is damaged, or was not written by `rustrak regroup`", line=number) from None
    if isinstance(line, UndoHeader) != (number == 1):
        raise MalformedUndoError("is damaged, or was not written by `rustrak regroup`", line=number)
    return line


def _to_json(line: Line) -> dict[str, Any]:
    if isinstance(line, UndoHeader):
        return {_NAME: VERSION} | attrs.asdict(line)
    if isinstance(line, Heirs):
        return {"heirs": _keys(line.heirs), "dropping": _leads(line.dropped)}
    if isinstance(line, End):
        return {"end": line.word}
    return {
        "moved": [[_place(old), _place(new), list(numbers)] for (old, new), numbers in line.moved.items()],
        "learned": _leads(line.learned),
        "dropped": _leads(line.dropped),
        "handed": _leads(line.handed),
        "opened": list(line.opened),
        "retired": [list(pair) for pair in line.retired.items()],
    }


def _from_json(value: Mapping[str, Any]) -> Line:
    if _NAME in value:
        return _header(value)
    if "heirs" in value:
        heirs = {IssueId(_int(issue)): _key(mechanism, digits) for issue, mechanism, digits in value["heirs"]}
        return Heirs(heirs, _to_leads(value["dropping"]))
    if "end" in value:
        if value["end"] not in {"done", "undone"}:
            raise ValueError("no such end")
        return End(value["end"])
    return Refiled(
        moved={(_to_place(*old), _to_place(*new)): tuple(map(_int, numbers)) for old, new, numbers in value["moved"]},
        learned=_to_leads(value["learned"]),
        dropped=_to_leads(value["dropped"]),
        handed=_to_leads(value["handed"]),
        opened=tuple(IssueId(_int(number)) for number in value["opened"]),
        retired={IssueId(_int(issue)): IssueId(_int(heir)) for issue, heir in value["retired"]},
    )


def _header(value: Mapping[str, Any]) -> UndoHeader:
    if value[_NAME] != VERSION:
        raise MalformedUndoError("was written by a newer rustrak: use that, or a newer one", line=1)
    texts = {name: value[name] for name in ("slug", "mark", "rules", "before")}
    if not all(isinstance(text, str) for text in texts.values()) or not isinstance(value["sets_rules"], bool):
        raise ValueError("texts are no texts")
    return UndoHeader(project_id=ProjectId(_int(value["project_id"])), sets_rules=value["sets_rules"], **texts)


def _keys(keys: Mapping[IssueId, GroupingKey]) -> list[list[Any]]:
    return [[issue, key.mechanism, key.value] for issue, key in keys.items()]


def _leads(keys: Mapping[GroupingKey, IssueId]) -> list[list[Any]]:
    return [[issue, key.mechanism, key.value] for key, issue in keys.items()]


def _to_leads(rows: Iterable[Any]) -> dict[GroupingKey, IssueId]:
    return {_key(mechanism, digits): IssueId(_int(issue)) for issue, mechanism, digits in rows}


def _place(place: Place) -> list[Any]:
    return [place.issue_id, place.key.mechanism, place.key.value]


def _to_place(issue: Any, mechanism: Any, digits: Any) -> Place:
    return Place(IssueId(_int(issue)), _key(mechanism, digits))


def _key(mechanism: Any, digits: Any) -> GroupingKey:
    if not isinstance(mechanism, str) or not 0 < len(mechanism) <= 64 or len(bytes.fromhex(digits)) != 16:
        raise ValueError("no grouping key")
    return GroupingKey(mechanism=mechanism, value=digits.lower())


def _int(value: Any) -> int:
    if type(value) is not int or not 0 < value < 2**63:
        raise ValueError("no number")
    return value
