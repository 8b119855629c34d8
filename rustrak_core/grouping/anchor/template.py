"""Message templates: a message without the values that change from event to event.

What is left is what the code says; what it fills in becomes ``<*>``. Only ASCII classes are used, since those of
Unicode change with Python's release; at most `LINE_MAX` characters of the first line are read.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from rustrak_core.errors import MalformedJsonError
from rustrak_core.jsontext import loads_lenient

LINE_MAX: Final = 1000
"""A message that differs later is the same message to a person."""
VALUE: Final = "<*>"

_BLANK: Final = " \t\r\n\f\v"
_JSON_MAX: Final = 8192
_REMEMBERED_MAX: Final = 400  # characters of a message: most messages come again, and again
# Digits of scripts that people write numbers in, by number: their class in `re` follows Python's Unicode tables.
_D: Final = "0-9\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\uff10-\uff19"

_CHANGING = re.compile(rf"[{_D}'\"`=/\\@{{]| for |ser |\.[a-z]| [\[(]")
_ANSI = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
_QUOTED = re.compile(
    r"(?<![A-Za-z0-9])(?P<quote>['\"`\u2018\u201c])(?P<text>[^\n]{0,200}?)['\"`\u2019\u201d](?![A-Za-z0-9])"
)
_URL = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.\-]{0,20}:/{2,3}[^\s'\"<>()\[\]{},;]*|\bdata:[a-z]+/[^\s'\"<>)]+", re.ASCII
)
_REQUEST = re.compile(
    r"\b(?P<verb>GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)(?P<gap>:? )(?:https?://[^\s'\"<>,;()/?#]{1,200})?(?P<path>/[^\s'\"<>,;()?#]*)[^\s'\"<>,;()]*",
    re.ASCII,
)
_MAIL = re.compile(r"(?<![^\s,;:()<>\[\]{}'\"=])[^\s@,;:()<>\[\]{}'\"=]*@[^\s,;()<>\[\]{}'\"]+", re.ASCII)
_PAIR = re.compile(
    r"(?<![A-Za-z0-9_.\-=])(?P<key>[A-Za-z_][A-Za-z0-9_.\-]{0,60}(?:\[[0-9]{1,4}\])?)"
    r"(?: = (?=[^\s=<>])| ?=(?![=>~ ]|$)|=(?=[ ]|$))"
    r"(?:<\*>|<url>|\"[^\"]{0,200}\"|'[^']{0,200}'|\[[^\[\]]{0,100}\]|[^\s,;(){}\]>]*(?:\([^()]{0,100}\)|\{[^{}]{0,100}\})?)",
    re.ASCII,
)
_PATH = re.compile(
    r"(?<![A-Za-z0-9_.<>*/])(?:[~.]{0,2}/[^\s'\"<>,;()\[\]{}|=:]+"
    r"|[A-Za-z]:[\\/][^\s'\"<>,;()\[\]{}|]*|\\\\[^\s'\"<>,;()]+)(?::[0-9]+)*",
    re.ASCII,
)
_RELATIVE_PATH = re.compile(r"(?<![A-Za-z0-9_.<>*/\-])[A-Za-z0-9_.\-]+(?:/[A-Za-z0-9_.\-]+){2,}(?::[0-9]+)*", re.ASCII)
_STATUS = re.compile(
    r"\b(?P<name>HTTP(?:/[0-9.]{1,3})?|status(?: code| of)?|failed with|returned|responded with|response)"
    r"(?P<gap>[:= (\[]{1,3}(?:code )?)(?P<code>[45][0-9]{2})(?![0-9A-Za-z_%]|\.[0-9])"
    r"|\b(?P<system>errno|error code|exit code|exit status|signal)(?P<between>[:= (\[]{1,3})(?P<number>-?[0-9]{1,5})(?![0-9A-Za-z_%]|\.[0-9])",
    re.ASCII | re.IGNORECASE,
)
_STATUS_NAMES = ("HTTP", "tatus", "ith ", "rrno", "return", "respon", "Respon", "error code", "exit", "signal")
_STATUS_FIRST = re.compile(
    r"(?P<code>[45][0-9]{2}) (?P<name>(?:Client|Server) Error|[A-Z][a-z]+(?: [A-Z][a-z]+){0,3}\b)", re.ASCII
)
_WORD_WITH_DIGIT = re.compile(
    rf"(?<![A-Za-z0-9_.\-])(?:[-+#~]|<(?=[0-9.]{{1,10}} ))?(?:[A-Za-z_]+[-.])*[A-Za-z_$]*[{_D}][A-Za-z_$*{_D}]*(?:(?:[-.:+][A-Za-z_{_D}]|,[{_D}])[A-Za-z_*{_D}]*)*%?"
)
_HEX_PAIRS = re.compile(r"(?<![A-Za-z0-9:])(?:[0-9A-Fa-f]{0,4}:){4,7}[0-9A-Fa-f]{1,4}(?![A-Za-z0-9:])")  # MAC, IPv6
_DIGITS = re.compile(rf"[{_D}]+")
_UNITS = r"(?:[KMGT]i?B|[kKMGT]B|[Bb]ytes?|B|[num]?s|secs?|seconds?|milliseconds?|minutes?|mins?|hours?|hrs?|days?|AM|PM|UTC|GMT)"
_RUN = re.compile(rf"<\*>(?: {_UNITS}\b)?(?:(?:[ ,;:/|x+\-]|, ){{1,3}}(?:and )?<\*>(?: {_UNITS}\b)?)*", re.ASCII)
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_DATE = re.compile(
    rf"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{{0,6}},? {{1,2}}(?:{_MONTH} {{1,2}})?(?=<\*>)|\b{_MONTH} {{1,2}}(?=<\*>)"
    rf"|(?<=<\*> ){_MONTH}(?= <\*>)",
    re.ASCII,
)
_DAYS: Final = (
    "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
    "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_KEPT_SLASH: Final = "\ue110"  # of a private area, while paths are masked
_HOST = re.compile(
    r"(?<![A-Za-z0-9_.\-/])(?:[a-z0-9\-]{1,63}\.){1,8}(?:com|net|org|edu|gov|io|info|biz|local|internal|lan|localdomain|example|test|invalid|arpa"
    r"|ae|au|br|ca|ch|cn|cz|de|dk|es|eu|fi|fr|gr|hk|ie|jp|kr|mx|nl|nz|pt|ru|se|sg|tr|tw|ua|uk|us|za)(?![A-Za-z0-9_\-.(/])",
)
# Who: accounts are words like others, but for the words around them.
_WHO = re.compile(
    r"\b(?P<before>[Uu]ser(?:name)? |(?:[Pp]assword|[Ll]ogin|[Ll]ogon|[Ss]ession|[Aa]ccess|[Pp]ermission|[Aa]uthentication)(?: [a-z]{1,12})? for )"
    r"(?!user |invalid |is |not |was |has |does |agent )[A-Za-z][A-Za-z0-9_.\-]{0,60}(?= (?:from|by|at|on|in|with|via|\[|\()|$|,)",
    re.ASCII,
)
_ABSENT = re.compile(r" \( {0,2}\)| \[ {0,2}\]")
_SPACES = re.compile(r"[ \t\r\f\v]{2,}")

_CODE_BEFORE: Final = frozenset(
    (
        "attribute", "attributes", "argument", "arguments", "keyword", "parameter", "property",
        "properties", "method", "function", "name", "named", "module", "type", "types", "class", "field",
        "column", "table", "relation", "variable", "constraint", "object", "instance", "import", "operator",
        "interface", "codec", "package", "label", "selector", "component", "hook", "directive",
    )
)  # fmt: skip
_CODE_AFTER = re.compile(
    r" (?:object|instance|attribute|argument|parameter|property|method|type|column|field|table|module|package)\b"
    r"| (?:is not defined|is not a function|has no (?:attribute|member|property)|where it is not|(?:is )?(?:a )?required)",
    re.ASCII,
)
_TYPE_NAMES: Final = frozenset(
    (
        "NoneType", "None", "int", "str", "list", "dict", "float", "bool", "tuple", "set", "frozenset",
        "bytes", "bytearray", "complex", "function", "method", "module", "type", "generator", "coroutine",
        "datetime", "undefined", "null", "nil", "number", "string", "boolean", "object",
    )
)  # fmt: skip
_TYPE = "'<type>'"
_TYPE_AFTER = re.compile(
    r" object (?:has no|is not|cannot|can't|does not|doesn't|of|must|with|got)\b| object$| instance|(?= has no len)",
    re.ASCII,
)
_REQUEST_LINE = re.compile(r"(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (?=/|http)")
_LAST_WORD = re.compile(r"([A-Za-z]+)[^A-Za-z0-9]{0,3}$")
_JSON_STARTS = re.compile(r"(?:\[[ \t\r\n]{0,9})?\{[ \t\r\n]{0,9}\"")
_SAYS = ("message", "msg", "event", "error", "title", "detail", "description")


def template_of(message: str) -> str:
    """Return what *message* has in common with others of its kind."""
    return _remembered(message) if len(message) <= _REMEMBERED_MAX else _template_of(message)


def _template_of(message: str) -> str:
    line = _line(message)
    if not _CHANGING.search(line):
        return _SPACES.sub(" ", line)
    if line[0] in "{[":
        said = _said_by_json(message)
        if said is not None:
            return said
    return _mask(line)


_remembered = lru_cache(maxsize=1024)(_template_of)


def without_numbers(text: str) -> str:
    """Return *text*, which is no sentence but a name of something, with words that hold a digit masked."""
    return _DIGITS.sub(VALUE, _WORD_WITH_DIGIT.sub(VALUE, text.strip(_BLANK)))


def _line(message: str) -> str:
    text = message[:_JSON_MAX].strip(_BLANK)
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    line = text.partition("\n")[0].rstrip(_BLANK)
    if len(line) > LINE_MAX:
        line = line[:LINE_MAX].rpartition(" ")[0] or line[:LINE_MAX]  # half a word is no word of the code
    return line


def _said_by_json(message: str) -> str | None:
    """Return what a message that is JSON says: its own message, else the names it gives values to."""
    text = message.strip(_BLANK)
    if len(text) > _JSON_MAX or text[-1] not in "}]" or not _JSON_STARTS.match(text):
        return None
    try:
        value = loads_lenient(text.encode(errors="replace"))
    except MalformedJsonError:
        return None
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return None
    return _said_by_object(value)


def _said_by_object(value: Mapping[str, Any]) -> str:
    for name in _SAYS:
        inner = value.get(name)
        if isinstance(inner, Mapping):
            inner = inner.get("message")
        if isinstance(inner, str) and (line := _line(inner)):
            return f"{{{name}: {_mask(line)}}}"
    return f"{{{', '.join(sorted(value)[:20])}}}"[:LINE_MAX]


def _mask(line: str) -> str:
    """Mask from the most telling form to the least, so that none sees what is left of another.

    A pattern runs where a character that it needs is there, for most messages need few of them.
    """
    line = _addresses(_names(line))
    if _DIGITS.search(line):
        line = _numbers(line)
    if VALUE in line:
        if any(day in line for day in _DAYS):
            line = _DATE.sub("", line)
        line = _RUN.sub(VALUE, line)
    return _SPACES.sub(" ", line).replace(_KEPT_SLASH, "/").strip(_BLANK)


def _names(line: str) -> str:
    """Mask what is marked as a value: by quotes, by a key, by the words around it; keep the path of a request."""
    if "'" in line or '"' in line or "`" in line or "\u2018" in line or "\u201c" in line:
        line = _QUOTED.sub(_quoted, line)
    if "/" in line:
        line = _REQUEST.sub(_request, line)
    if ":/" in line or "data:" in line:
        line = _URL.sub("<url>", line)
    if "@" in line:
        line = _MAIL.sub(VALUE, line)
    if "=" in line:
        line = _PAIR.sub(r"\g<key>=<*>", line)
    if "ser" in line or " for " in line:
        line = _WHO.sub(r"\g<before><*>", line)
    if " (" in line or " [" in line:
        line = _ABSENT.sub(_absent, line)
    return line


def _addresses(line: str) -> str:
    """Mask paths and hosts."""
    if "/" in line:
        line = _PATH.sub(VALUE, line)
        if line.count("/") > 1:
            line = _RELATIVE_PATH.sub(VALUE, line)
    elif "\\" in line:
        line = _PATH.sub(VALUE, line)
    return _HOST.sub(VALUE, line) if "." in line else line


def _numbers(line: str) -> str:
    """Mask words with digits, but codes: they are what the program says, as in ``HTTP 404``."""
    if any(name in line for name in _STATUS_NAMES):
        line = _STATUS.sub(_status, line)
    first = _STATUS_FIRST.match(line)
    if first:
        line = _spelled(first["code"]) + line[3:]
    if line.count(":") > 3:
        line = _HEX_PAIRS.sub(VALUE, line)
    line = _DIGITS.sub(VALUE, _WORD_WITH_DIGIT.sub(VALUE, line))
    return line.translate(_UNSPELLED)


def _absent(match: re.Match[str]) -> str:
    return f" {match[0][1]}{VALUE}{match[0][-1]}"


# While digits are masked, those of a code stand as characters of a private area.
_SPELLED = {ord(digit): 0xE100 + index for index, digit in enumerate("0123456789")}
_UNSPELLED = {value: chr(key) for key, value in _SPELLED.items()}


def _spelled(code: str) -> str:
    return code.translate(_SPELLED)


def _status(match: re.Match[str]) -> str:
    if match["system"]:
        return f"{match['system']}{match['between']}{_spelled(match['number'])}"
    name = match["name"].partition("/")[0]
    return f"{name}{match['gap']}{_spelled(match['code'])}"


def _request(match: re.Match[str]) -> str:
    """Keep the fixed segments of a request's path."""
    path = match["path"]
    return f"{match['verb']}{match['gap']}" + _KEPT_SLASH.join(
        VALUE if _DIGITS.search(segment) or len(segment) > 40 else segment for segment in path.split("/")
    )


def _quoted(match: re.Match[str]) -> str:
    """Mask what stands in quotes, but names of the program: an attribute, an argument, a type."""
    text = match["text"]
    if text.endswith("()"):
        return f"'{text}'"  # a call
    if text in _TYPE_NAMES or _TYPE_AFTER.match(match.string, match.end()):
        return _TYPE
    request = _REQUEST_LINE.match(text)
    if request:
        return f"'{request[0]}<*>'"
    if 0 < len(text) <= 100:
        before = _LAST_WORD.search(match.string, max(0, match.start() - 16), match.start())
        if (before and before[1].lower() in _CODE_BEFORE) or _CODE_AFTER.match(match.string, match.end()):
            return f"'{text}'"
    return VALUE
