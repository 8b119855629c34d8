"""A project's own rules on grouping, as a small TOML file.

Patterns are RE2's, whose time is linear in the text, so that no rule and no event can stop the digest.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final, Self

import attrs

from rustrak_core.errors import MalformedRulesError
from rustrak_core.event.attributes import attribute
from rustrak_core.event.frames import frames_of
from rustrak_core.event.release import environment, release
from rustrak_core.event.tags import environment_tag, tag_pairs
from rustrak_core.grouping.fingerprint import VARIABLES, variable_of
from rustrak_core.grouping.lines import line_of
from rustrak_core.grouping.mechanisms import DEFAULT_MECHANISM, MECHANISMS
from rustrak_core.grouping.parts import Subject

FILE_MAX_BYTES: Final = 65_536
RULES_MAX: Final = 200
_PATTERN_MAX: Final = 1_000
_GLOBS_MAX: Final = 20
_FINGERPRINT_MAX: Final = 20
_TEXT_MAX: Final = 8_192
_MASKED_MAX: Final = 1_000
_MASKS_MAX: Final = 50
_FRAMES_MAX: Final = 250
_FRAME_TEXT_MAX: Final = 500

_OF_EVENT: Final = ("type", "message", "message_regex", "release", "environment")
_OF_FRAME: Final = ("path", "module", "function")
_ACTIONS: Final = ("fingerprint", "in_app", "mask")
_KNOWN: Final = frozenset((*_OF_EVENT, *_OF_FRAME, *_ACTIONS, "tags"))

Matches = Callable[[str], bool]


@attrs.frozen(kw_only=True)
class Rule:
    """One rule: where all its conditions hold, it acts.

    Attributes:
        number: Its place in the file, from 1.
        line: The line in which it begins, from 1.
        of_event: What must hold for the event: names of conditions, and what their texts must match.
        of_tags: What must hold for its tags, by name.
        of_frame: What must hold for one frame, all of it for the same.
        fingerprint: What the event's key is then made of; empty where it sets none.
        in_app: Whether the frames that match are the application's own; None where it says nothing of them.
        mask: A pattern of values in messages; None where it masks none.
    """

    number: int
    line: int
    of_event: Sequence[tuple[str, Matches]] = ()
    of_tags: Sequence[tuple[str, Matches]] = ()
    of_frame: Sequence[tuple[str, Matches]] = ()
    fingerprint: tuple[str, ...] = ()
    in_app: bool | None = None
    mask: Any = None

    def __str__(self) -> str:
        return f"rule {self.number} (line {self.line})"


@attrs.frozen(kw_only=True)
class Rules:
    """How a project wants its events grouped.

    Attributes:
        mechanism: The name of one of `MECHANISMS`.
        rules: The project's own rules, in order. The first that matches and sets a fingerprint decides, also over the
            SDK's; the first that matches a frame decides whose it is; all that match mask.
    """

    mechanism: str = attrs.field(default=DEFAULT_MECHANISM, validator=attrs.validators.in_(MECHANISMS))
    rules: tuple[Rule, ...] = ()

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Return the rules that the TOML document *text* holds.

        Raises:
            MalformedRulesError: it is no TOML, or something in it is no rule; it names the line.
        """
        if len(text.encode(errors="replace")) > FILE_MAX_BYTES:
            raise MalformedRulesError(f"longer than {FILE_MAX_BYTES:,} bytes", line=1)
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as e:
            raise MalformedRulesError(f"no TOML: {e}", line=_line_in(str(e), text)) from e
        reader = _Reader(text, document)
        return cls(mechanism=reader.mechanism(), rules=reader.rules())

    def apply(self, subject: Subject) -> "Applied":
        """Return what the rules say of *subject*."""
        event = _Event(subject)
        matching = [rule for rule in self.rules if event.matches(rule)]
        naming = next((rule for rule in matching if rule.fingerprint and event.has_frame(rule.of_frame)), None)
        marking = [rule for rule in matching if rule.in_app is not None]
        masking = [rule for rule in matching if rule.mask is not None and event.has_frame(rule.of_frame)]
        return Applied(
            subject=attrs.evolve(
                subject,
                marks=_marks(marking) if marking else None,
                mask=_mask([rule.mask for rule in masking]) if masking else None,
            ),
            naming=naming,
            marking=marking,
            masking=masking,
        )


@attrs.frozen(kw_only=True)
class Applied:
    """What rules make of an event.

    Attributes:
        subject: The event, as mechanisms are to look at it.
        naming: The rule that sets its fingerprint, if one does.
        marking: The rules that say of some frames whose they are, should it have such frames.
        masking: The rules that mask its message.
    """

    subject: Subject
    naming: Rule | None
    marking: Sequence[Rule]
    masking: Sequence[Rule]

    def used(self) -> Sequence[str]:
        """Return the rules that took part, in words."""
        event = _Event(self.subject)
        marking = [rule for rule in self.marking if event.has_frame(rule.of_frame)]
        return [
            *([f"{self.naming}: sets the fingerprint"] if self.naming else ()),
            *(f"{rule}: frames are {'' if rule.in_app else 'not '}the application's own" for rule in marking),
            *(f"{rule}: masks values in the message" for rule in self.masking),
        ]


def _marks(rules: Sequence[Rule]) -> Callable[[Mapping[str, Any]], bool | None]:
    def mark(frame: Mapping[str, Any]) -> bool | None:
        for rule in rules:
            if _frame_matches(frame, rule.of_frame):
                return rule.in_app
        return None

    return mark


def _mask(patterns: Sequence[Any]) -> Callable[[str], str]:
    def mask(message: str) -> str:
        head, tail = message[:_MASKED_MAX], message[_MASKED_MAX:]
        for pattern in patterns:
            head = pattern.sub("<*>", head, _MASKS_MAX)
        return head + tail

    return mask


class _Event:
    """An event as conditions look at it; what no condition asks for is not worked out."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._tags: dict[str, str] | None = None
        self._frames: list[Mapping[str, Any]] | None = None

    def matches(self, rule: Rule) -> bool:
        """Whether all that *rule* asks of the event itself holds."""
        return all(matches(self._text(name)) for name, matches in rule.of_event) and all(
            matches(self.tags.get(name, "")) for name, matches in rule.of_tags
        )

    def has_frame(self, conditions: Sequence[tuple[str, Matches]]) -> bool:
        """Whether one frame matches all *conditions*; True where there are none."""
        return not conditions or any(_frame_matches(frame, conditions) for frame in self.frames)

    def _text(self, name: str) -> str:
        title, payload = self._subject.title, self._subject.payload
        if name == "type":
            return title.type
        if name == "release":
            return release(payload.get("release")) or ""
        if name == "environment":
            sent = payload.get("environment")
            return environment(environment_tag(payload) if sent is None else sent) or ""
        return title.message[:_TEXT_MAX]

    @property
    def tags(self) -> Mapping[str, str]:
        if self._tags is None:
            self._tags = dict(tag_pairs(self._subject.payload))
        return self._tags

    @property
    def frames(self) -> Sequence[Mapping[str, Any]]:
        if self._frames is None:
            payload, exception = self._subject.payload, self._subject.title.exception
            stacktrace = exception.get("stacktrace") if exception else None
            sent = frames_of(attribute(payload, "stacktrace") if stacktrace is None else stacktrace)
            self._frames = [frame for frame in sent[-_FRAMES_MAX:] if isinstance(frame, dict)]
        return self._frames


def _frame_matches(frame: Mapping[str, Any], conditions: Sequence[tuple[str, Matches]]) -> bool:
    for name, matches in conditions:
        if name != "path":
            if not _field_matches(frame.get(name), matches):
                return False
        elif not (_field_matches(frame.get("filename"), matches) or _field_matches(frame.get("abs_path"), matches)):
            return False
    return True


def _field_matches(value: Any, matches: Matches) -> bool:
    return isinstance(value, str) and matches(value[:_FRAME_TEXT_MAX])


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
        return MalformedRulesError(reason, line=line_of(self._text, path))

    def mechanism(self) -> str:
        for name in self._document:
            if name not in {"mechanism", "rule"}:
                raise self._refuse(f"`{name}` is unknown; there are `mechanism` and `[[rule]]`", name)
        mechanism = self._document.get("mechanism", DEFAULT_MECHANISM)
        if not isinstance(mechanism, str) or mechanism not in MECHANISMS:
            raise self._refuse(f"`mechanism` is one of {', '.join(MECHANISMS)}", "mechanism")
        return mechanism

    def rules(self) -> tuple[Rule, ...]:
        tables = self._document.get("rule", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise self._refuse("rules are tables: write `[[rule]]`", "rule")
        if len(tables) > RULES_MAX:
            raise self._refuse(f"more than {RULES_MAX} rules", "rule", RULES_MAX)
        return tuple(self._rule(index, table) for index, table in enumerate(tables))

    def _rule(self, index: int, table: Mapping[str, Any]) -> Rule:
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
            line=line_of(self._text, ("rule", index)),
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
