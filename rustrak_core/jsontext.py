"""JSON as SDKs send it and as we answer: orjson reads and writes it, and what orjson cannot do is done here.

SDKs send lone surrogates, NaN, ``1e400``, invalid UTF-8 and integers of 70 bits (SDK.md, section 10). orjson refuses
the first four and reads the last as floats without a word; the standard library's reader takes them all. What we write
is always valid JSON in UTF-8, whatever the value holds.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
import orjson

from rustrak_core.errors import MalformedJsonError

MAX_DEPTH: Final = 128
"""How deep the arrays and objects that we write may nest; the outermost has depth 1 (API.md, Events)."""

_READ_DEPTH = 256  # of the lenient reader: what is deeper stays text; far from what the standard library can recurse
_MAX_CHANGES = 1000  # so that a megabyte of NaN does not answer with a megabyte of explanations
_PLAIN_DIGITS = 600  # below the least limit that a host may set for `int(text)` and `str(int)`, which is 640
_CHUNK = 10**_PLAIN_DIGITS
_BOM = "\ufeff"
_SURROGATES = re.compile("[\ud800-\udfff]")
_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_DIGIT_RUNS = bytes(0x30 if 0x30 <= byte <= 0x39 else byte if byte == 0x2D else 0x20 for byte in range(256))
_19_DIGITS, _20_DIGITS, _NEGATIVE = b"0" * 19, b"0" * 20, b"-" + b"0" * 19
_BEFORE_A_NUMBER = frozenset(b":,[ \t\n\r\xbf")  # the last one ends a byte order mark


@attrs.frozen
class LongInteger:
    """An integer of more digits than Python converts in reasonable time, kept as it was written.

    Attributes:
        digits: Its JSON text, as in ``-123``.
    """

    digits: str

    def __str__(self) -> str:
        """Return the digits."""
        return self.digits


@attrs.frozen
class Change:
    """Something that was changed so that a value could be written as JSON.

    Attributes:
        path: Where it stands, as in ``extra.sizes[3]``.
        reason: What was changed, in a few words.
    """

    path: str
    reason: str


def loads(data: bytes | str) -> Any:
    """Return the value of *data*; where an object names a key twice, the last one wins. A byte order mark is skipped.

    Raises:
        MalformedJsonError: it is not JSON, nests deeper than can be read, or holds an integer of thousands of digits.
    """
    if not (isinstance(data, bytes) and _has_long_integer(data)):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass
    return _loads_slowly(_decode(data), int)


def loads_lenient(data: bytes) -> Any:
    """Return the value of *data* as `loads` does, and read what it refuses as far as that is possible.

    An integer of more than 600 digits becomes a `LongInteger`; what nests deeper than any reader goes, a string.

    Raises:
        MalformedJsonError: it is not JSON.
    """
    if not _has_long_integer(data):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass
    return _loads_slowly(_shallow(_decode(data)), _integer)


def dumps(value: Any) -> bytes:
    """Return *value* as JSON in UTF-8, always valid.

    NaN and infinities become null, lone surrogates U+FFFD, what nests deeper than 128 a string of its JSON, and what
    JSON does not know its ``str``; integers of any size are exact.
    """
    try:
        text = orjson.dumps(value, default=_default)
    except TypeError:  # orjson.JSONEncodeError is one
        return _dumps_slowly(value)
    if text.count(b"{") + text.count(b"[") > MAX_DEPTH and _is_deep(value):
        return _dumps_slowly(value)
    return text


def clean(value: Any) -> tuple[Any, Sequence[Change]]:
    """Return *value* such that `dumps` writes it unchanged, and what had to be changed for that (at most 1,000)."""
    cleaner = _Cleaner(for_orjson=False)
    return cleaner.clean(value), cleaner.changes


def clean_text(text: str) -> str:
    """Return *text* with U+FFFD for lone surrogates."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def _has_long_integer(data: bytes) -> bool:
    """Tell whether *data* may hold an integer that orjson reads as a float: a cheap test that errs on the safe side."""
    runs = data.translate(_DIGIT_RUNS)
    at = runs.find(_19_DIGITS)
    if at < 0 or not (_20_DIGITS in runs or _NEGATIVE in runs):
        return False
    while at >= 0:
        # Most of them are ids in strings, such as that of a trace: what stands before them is no place for a number.
        start = runs.rfind(b" ", 0, at) + 1
        if start == 0 or data[start - 1] in _BEFORE_A_NUMBER:
            return True
        end = runs.find(b" ", at)
        at = -1 if end < 0 else runs.find(_19_DIGITS, end)
    return False


def _decode(data: bytes | str) -> str:
    text = data if isinstance(data, str) else data.decode(errors="replace")
    return text.removeprefix(_BOM)


def _loads_slowly(text: str, parse_int: Any) -> Any:
    try:
        return json.loads(text, parse_int=parse_int)
    except json.JSONDecodeError as e:
        raise MalformedJsonError(f"not JSON: {e.msg}", offset=e.pos) from None
    except ValueError:
        raise MalformedJsonError("not readable: an integer has thousands of digits") from None
    except RecursionError:
        raise MalformedJsonError("not readable: nested too deeply") from None


def _integer(digits: str) -> int | LongInteger:
    return int(digits) if len(digits) <= _PLAIN_DIGITS else LongInteger(digits)


def _shallow(text: str) -> str:
    """Return JSON *text* with what nests deeper than 256 as strings of its text, which is not checked."""
    if text.count("[") + text.count("{") <= _READ_DEPTH:
        return text
    pieces: list[str] = []
    done = depth = start = 0
    for match in _BRACKETS.finditer(text):
        bracket = match.group()
        if bracket in {"[", "{"}:
            depth += 1
            if depth == _READ_DEPTH + 1:
                start = match.start()
        elif bracket in {"]", "}"}:
            if depth == _READ_DEPTH + 1:
                pieces += text[done:start], json.dumps(text[start : match.end()])
                done = match.end()
            depth -= 1
    return "".join([*pieces, text[done:]])


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for parent in level for child in _children(parent) if isinstance(child, dict | list | tuple)]
        if not level:
            return False
    return True


def _children(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _dumps_slowly(value: Any) -> bytes:
    return orjson.dumps(_Cleaner(for_orjson=True).clean(value), default=_default)


def _default(value: Any) -> Any:
    return orjson.Fragment(value.digits) if isinstance(value, LongInteger) else _foreign(value)


def _foreign(value: Any) -> str:
    """Return text for what JSON does not know."""
    try:
        return clean_text(str(value))
    except Exception:  # noqa: BLE001 - a foreign __str__ may raise anything, and an answer is owed all the same
        return f"<{type(value).__name__}>"


def _digits(number: int) -> str:
    """Return *number* in decimal, also where ``str`` refuses to."""
    sign, rest, chunks = "-" if number < 0 else "", abs(number), []
    while rest >= _CHUNK:
        rest, chunk = divmod(rest, _CHUNK)
        chunks.append(str(chunk).zfill(_PLAIN_DIGITS))
    return sign + "".join([str(rest), *reversed(chunks)])


class _Cleaner:
    """One walk over a value that notes what it changes.

    Args:
        for_orjson: Whether integers over 64 bits, which orjson refuses, become `LongInteger`.
    """

    def __init__(self, *, for_orjson: bool) -> None:
        self._for_orjson = for_orjson
        self.changes: list[Change] = []
        self._path: list[str | int] = []
        self._parents: set[int] = set()  # ids of the containers around, since a host's value may hold itself

    def clean(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | LongInteger):
            return value
        if isinstance(value, str):
            return self._clean_str(value)
        if isinstance(value, int):
            return LongInteger(_digits(value)) if self._for_orjson and not -(2**63) <= value < 2**64 else value
        if isinstance(value, float):
            return self._clean_float(value)
        if isinstance(value, dict | list | tuple):
            return self._clean_container(value)
        return value

    def _changed(self, reason: str) -> None:
        if len(self.changes) < _MAX_CHANGES:
            self.changes.append(Change(path_text(self._path), reason))

    def _clean_str(self, value: str) -> str:
        cleaned = clean_text(value)
        if cleaned != value:
            self._changed("lone surrogates replaced")
        return cleaned

    def _clean_float(self, value: float) -> float | None:
        if value - value == 0:  # neither NaN nor an infinity
            return value
        self._changed("not a finite number")
        return None

    def _clean_container(self, value: Any) -> Any:
        if id(value) in self._parents:
            self._changed("holds itself")
            return None
        if len(self._parents) >= MAX_DEPTH:
            self._changed(f"nested deeper than {MAX_DEPTH}")
            return _text(value)
        self._parents.add(id(value))
        try:
            if isinstance(value, dict):
                return {self._clean_key(key): self._clean_child(key, child) for key, child in value.items()}
            return [self._clean_child(index, child) for index, child in enumerate(value)]
        finally:
            self._parents.discard(id(value))

    def _clean_key(self, key: Any) -> str:
        return self._clean_str(key) if isinstance(key, str) else _foreign(key)

    def _clean_child(self, key: Any, child: Any) -> Any:
        kind = type(child)  # most children need nothing, and are done with soon
        if (kind is str and child.isascii()) or child is None or kind is bool or (kind is int and not self._for_orjson):
            return child
        self._path.append(key)
        try:
            return self.clean(child)
        finally:
            self._path.pop()


def path_text(path: Sequence[str | int]) -> str:
    """Return a path in words, as in ``extra.sizes[3]``; long keys are cut."""
    parts = [f"[{key}]" if isinstance(key, int) else f".{clean_text(str(key)[:100])}" for key in path]
    return "".join(parts).removeprefix(".")


_TEXT_PIECES = 1_000_000  # a payload of 1 MiB has fewer; a value that holds itself has no end


def _text(value: Any) -> str:
    """Return the JSON of a value that may nest deeper than a stack goes."""
    pieces = []
    for number, piece in enumerate(_pieces(value)):
        if number > _TEXT_PIECES:
            pieces.append("...")
            break
        pieces.append(piece)
    return "".join(pieces)


def _pieces(value: Any) -> Iterator[str]:
    waiting = [(False, value)]  # (whether it is JSON already, what)
    while waiting:
        is_text, item = waiting.pop()
        if is_text:
            yield item
        elif isinstance(item, dict):
            children: list[tuple[bool, Any]] = [(True, "{")]
            for key, child in item.items():
                children += [(True, "," if len(children) > 1 else ""), (True, _scalar(str(key)) + ":"), (False, child)]
            waiting += [(True, "}"), *reversed(children)]
        elif isinstance(item, list | tuple):
            children = [(True, "[")]
            for child in item:
                children += [(True, "," if len(children) > 1 else ""), (False, child)]
            waiting += [(True, "]"), *reversed(children)]
        else:
            yield _scalar(item)


def _scalar(value: Any) -> str:
    return _dumps_slowly(value).decode()
