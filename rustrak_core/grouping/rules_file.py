"""A project's rules on grouping as a TOML file: read, and refused with the line where something in it is no rule."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from rustrak_core.errors import MalformedRulesError
from rustrak_core.event.scalars import cut
from rustrak_core.grouping.fingerprint import VARIABLES, variable_of
from rustrak_core.grouping.lines import line_of, lines_of_tables
from rustrak_core.grouping.mechanisms import MECHANISMS
from rustrak_core.grouping.rule import Matches, Rule

FILE_MAX_BYTES: Final = 65_536
RULES_MAX: Final = 200
_PATTERN_MAX: Final = 1_000
_GLOBS_MAX: Final = 20
_FINGERPRINT_MAX: Final = 20
_REASON_MAX: Final = 500

_OF_EVENT: Final = ("type", "message", "message_regex", "release", "environment")
_OF_FRAME: Final = ("path", "module", "function")
_ACTIONS: Final = ("fingerprint", "in_app", "mask")
_KNOWN: Final = frozenset((*_OF_EVENT, *_OF_FRAME, *_ACTIONS, "tags"))


def read_rules(text: str) -> tuple[str | None, tuple[Rule, ...]]:
    """Return the mechanism, None where none is named, and the rules that the TOML document *text* holds.

    Raises:
        MalformedRulesError: it is no TOML, or something in it is no rule; it names the line.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as e:
        raise MalformedRulesError("a lone surrogate is no character", line=text.count("\n", 0, e.start) + 1) from None
    if size > FILE_MAX_BYTES:
        raise MalformedRulesError(f"longer than {FILE_MAX_BYTES:,} bytes", line=1)
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        raise MalformedRulesError(f"no TOML: {e}", line=_line_in(str(e), text)) from e
    reader = _Reader(text, document)
    return reader.mechanism(), reader.rules()


def _line_in(said: str, text: str) -> int:
    """Return the line that the TOML reader names; the last one where it names none."""
    _, found, rest = said.rpartition("(at line ")
    digits = rest.partition(",")[0]
    return int(digits) if found and digits.isdecimal() else text.count("\n") + 1


class _Reader:
    """Reads a parsed document, and refuses what is no rule with its line."""

    def __init__(self, text: str, document: Mapping[str, Any]) -> None:
        self._text = text
        self._document = document

    def _refuse(self, reason: str, *path: str | int) -> MalformedRulesError:
        return MalformedRulesError(cut(reason, _REASON_MAX), line=line_of(self._text, path))

    def mechanism(self) -> str | None:
        for name in self._document:
            if name not in {"mechanism", "rule"}:
                raise self._refuse(f"`{name}` is unknown; there are `mechanism` and `[[rule]]`", name)
        mechanism = self._document.get("mechanism")
        if mechanism is not None and (not isinstance(mechanism, str) or mechanism not in MECHANISMS):
            raise self._refuse(f"`mechanism` is one of {', '.join(MECHANISMS)}", "mechanism")
        return mechanism

    def rules(self) -> tuple[Rule, ...]:
        tables = self._document.get("rule", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise self._refuse("rules are tables: write `[[rule]]`", "rule")
        if len(tables) > RULES_MAX:
            raise self._refuse(f"more than {RULES_MAX} rules", "rule", RULES_MAX)
        lines = lines_of_tables(self._text, "rule", len(tables))
        return tuple(
            self._rule(index, table, line) for index, (table, line) in enumerate(zip(tables, lines, strict=True))
        )

    def _rule(self, index: int, table: Mapping[str, Any], line: int) -> Rule:
        for name in table:
            if name not in _KNOWN:
                raise self._refuse(f"`{name}` is unknown; there are {', '.join(sorted(_KNOWN))}", "rule", index, name)
        if not any(name in table for name in _ACTIONS):
            raise self._refuse("the rule does nothing: set `fingerprint`, `in_app` or `mask`", "rule", index)
        of_frame = [(name, self._globs(index, name, table[name])) for name in _OF_FRAME if name in table]
        if "in_app" in table and not of_frame:
            raise self._refuse("`in_app` needs `path`, `module` or `function` to say which frames", "rule", index)
        return Rule(
            number=index + 1,
            line=line,
            of_event=[(name, self._condition(index, name, table[name])) for name in _OF_EVENT if name in table],
            of_tags=self._tags(index, table.get("tags", {})),
            of_frame=of_frame,
            fingerprint=self._fingerprint(index, table["fingerprint"]) if "fingerprint" in table else (),
            in_app=self._in_app(index, table["in_app"]) if "in_app" in table else None,
            mask=self._mask(index, table["mask"]) if "mask" in table else None,
        )

    def _condition(self, index: int, name: str, value: Any) -> Matches:
        if name != "message_regex":
            return self._globs(index, name, value)
        pattern = self._pattern(index, name, value)
        return lambda text: pattern.search(text) is not None

    def _globs(self, index: int, *path_and_value: Any) -> Matches:
        *path, value = path_and_value
        globs = [value] if isinstance(value, str) else value
        if not isinstance(globs, list) or not globs or not all(isinstance(glob, str) for glob in globs):
            raise self._refuse(f"`{'.'.join(path)}` is a pattern or a list of some", "rule", index, *path)
        if len(globs) > _GLOBS_MAX:
            raise self._refuse(f"`{'.'.join(path)}` has more than {_GLOBS_MAX} patterns", "rule", index, *path)
        matches = [self._glob(index, path, glob) for glob in globs]
        return matches[0] if len(matches) == 1 else lambda text: any(each(text) for each in matches)

    def _glob(self, index: int, path: Sequence[str], glob: str) -> Matches:
        """Return a glob as a test of a text: ``*`` is any text, ``?`` any character, all else itself."""
        if "?" in glob:
            pattern = self._compile(
                index, path, "(?s:" + "".join(_GLOB.get(char) or _literal(char) for char in glob) + ")"
            )
            return lambda text: pattern.fullmatch(text) is not None
        first, *middle = glob.split("*")  # quicker than any pattern, and mostly all that is asked for
        if not middle:
            return lambda text: text == glob
        last = middle.pop()
        return lambda text: _is_like(text, first, middle, last)

    def _tags(self, index: int, tags: Any) -> Sequence[tuple[str, Matches]]:
        if not isinstance(tags, dict):
            raise self._refuse('`tags` is a table, as in `tags.region = "eu-*"`', "rule", index, "tags")
        return [(name, self._globs(index, "tags", name, value)) for name, value in tags.items()]

    def _fingerprint(self, index: int, value: Any) -> tuple[str, ...]:
        path = ("rule", index, "fingerprint")
        if not isinstance(value, list) or not value or not all(isinstance(part, str) and part for part in value):
            raise self._refuse("`fingerprint` is a list of texts that are not empty", *path)
        if len(value) > _FINGERPRINT_MAX or any(len(part) > _PATTERN_MAX for part in value):
            raise self._refuse(
                f"`fingerprint` has at most {_FINGERPRINT_MAX} parts, of at most {_PATTERN_MAX:,} characters", *path
            )
        for part in value:
            if part.strip().startswith("{{") and variable_of(part) is None:
                raise self._refuse(f"no variable: {part}; there are {', '.join(VARIABLES)}", *path)
        return tuple(value)

    def _in_app(self, index: int, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self._refuse("`in_app` is true or false", "rule", index, "in_app")
        return value

    def _mask(self, index: int, value: Any) -> Any:
        pattern = self._pattern(index, "mask", value)
        if pattern.search(""):
            raise self._refuse("`mask` matches nothing at all, and so everywhere", "rule", index, "mask")
        return pattern

    def _pattern(self, index: int, name: str, value: Any) -> Any:
        if not isinstance(value, str) or not value:
            raise self._refuse(f"`{name}` is a regular expression", "rule", index, name)
        return self._compile(index, [name], value)

    def _compile(self, index: int, path: Sequence[str], pattern: str) -> Any:
        if len(pattern) > _PATTERN_MAX:
            raise self._refuse(f"`{'.'.join(path)}` is too long", "rule", index, *path)
        re2 = import_module("re2")  # it takes megabytes, and most projects have no rules
        options = re2.Options()
        options.log_errors = False
        try:
            return re2.compile(pattern, options)
        except (re2.error, UnicodeError) as e:
            reason = e.args[0].decode(errors="replace") if e.args and isinstance(e.args[0], bytes) else str(e)
            raise self._refuse(
                f"`{'.'.join(path)}` is no regular expression of RE2: {reason}", "rule", index, *path
            ) from e


def _is_like(text: str, first: str, middle: Sequence[str], last: str) -> bool:
    """Whether *text* begins with *first*, holds each of *middle* in turn, and ends with *last*, none overlapping."""
    end = len(text) - len(last)
    at = len(first)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in middle:
        found = text.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


_GLOB: Final = {"*": ".*", "?": "."}
_SPECIAL: Final = frozenset("\\.+*?()|[]{}^$")


def _literal(char: str) -> str:
    return f"\\{char}" if char in _SPECIAL else char
