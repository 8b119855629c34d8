"""Runtime messages of JavaScript engines, in one form: one error reads differently in each browser.

V8 (Chrome, Node), SpiderMonkey (Firefox) and JavaScriptCore (Safari) name the same fault in their own words, and not
all of them name the same details; what only one of them says is left out.
"""

import re
from typing import Final

import attrs

_NAME = r"[A-Za-z_$][A-Za-z0-9_$]*"
_LOOKED_AT: Final = 1000


@attrs.frozen
class Said:
    """What an engine says, in one form.

    Attributes:
        type: The type that the language gives this error.
        text: The message.
        placeless: Whether it says nothing of the code that happens to be on the stack, as failed requests do.
    """

    type: str
    text: str
    placeless: bool = False


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


_PROPERTY_OF_NOTHING: Final = (
    _rule(
        r"Cannot (?:read|set) propert(?:y|ies) (?:'(?P<old>[^']{0,100})' )?of (?:undefined|null)(?: \((?:reading|setting) '(?P<name>[^']{0,100})'\))?"
    ),
    _rule(
        r"can't access property (?:\"(?P<name>[^\"]{0,100})\"|[^\s,]{1,100})(?:, .{1,300} is| of) (?:undefined|null)"
    ),
    _rule(r"(?:undefined|null) is not an object \(evaluating '(?P<evaluated>.{1,400})'\)"),
    _rule(r"Cannot destructure property '(?P<name>[^']{0,100})' of "),
    _rule(r"Right side of assignment cannot be destructured|(?:undefined|null) has no properties$"),
    _rule(r"[A-Za-z_$][A-Za-z0-9_$.]{0,200}(?:\[[^\]]{1,50}\]|\(\.\.\.\))? is (?:undefined|null)$"),
    _rule(r"Unable to get property '(?P<name>[^']{0,100})' of undefined or null reference"),
)
_LAST_NAME = _rule(rf"(?:\.|^)(?P<name>{_NAME})(?:\(\.\.\.\)|\(.{{0,200}}\))?(?: = .{{0,200}})?$")
_NOT_CALLABLE = _rule(r"(?P<what>.{1,300}?) is not a (?P<kind>function|constructor)(?:$|[. (])")
_NAME_AT_END = _rule(rf"(?P<name>{_NAME})$")
_UNDEFINED_NAME = _rule(
    rf"(?:Can't find variable: (?P<jsc>{_NAME})|(?P<v8>{_NAME}) is not defined|'(?P<edge>{_NAME})' is (?:not defined|undefined))"
)

_SAME: Final = (
    ("RangeError", "stack overflow", False, r"Maximum call stack size exceeded|too much recursion|Out of stack space"),
    ("SyntaxError", "JSON: unexpected end", False, r"Unexpected end of JSON input|JSON\.parse: unexpected end of data|JSON Parse error: Unexpected EOF|Unterminated string in JSON|JSON\.parse: unterminated string|JSON Parse error: Unterminated string"),
    ("SyntaxError", "JSON: unexpected token", False, r"Unexpected (?:token|non-whitespace character|number|string)\b.*\bJSON|JSON\.parse: |JSON Parse error: |The string did not match the expected pattern\.|Expected .{1,80} in JSON|Bad control character in string literal in JSON|\"undefined\" is not valid JSON"),
    ("TypeError", "request failed", True, r"(?:Failed to fetch|NetworkError when attempting to fetch resource\.?|Load failed|fetch failed)(?: \(.{1,200}\))?$|Network request failed$|The network connection was lost|The Internet connection appears to be offline|cancelled$"),
    ("TypeError", "module failed to load", True, r"Failed to fetch dynamically imported module|error loading dynamically imported module|Importing a module script failed|Unable to preload CSS"),
    ("ChunkLoadError", "chunk failed to load", True, r"Loading (?:CSS )?chunk .{1,80} failed"),
    ("AbortError", "aborted", True, r"The (?:user aborted a request|operation was aborted)|Fetch is aborted|signal is aborted without reason"),
    ("Error", "script of another origin", True, r"Script error\.?$"),
    ("Error", "resize observer loop", True, r"ResizeObserver loop"),
    ("ReferenceError", "used before initialization", False, r"Cannot access '.{1,100}' before initialization|can't access lexical declaration|Cannot access uninitialized variable"),
    ("TypeError", "not iterable", False, r".{0,300}\bis not (?:async )?iterable|Spread syntax requires|Type error$|undefined is not a function \(near '"),
    ("TypeError", "assignment to constant", False, r"Assignment to constant variable|invalid assignment to const|Attempted to assign to readonly property|Cannot assign to read only property|.{1,100} is read-only"),
    ("TypeError", "not extensible", False, r"Cannot add property .{1,100}, object is not extensible|can't define property .{1,100}: .{1,100} is not extensible|Attempting to define property on object that is not extensible"),
    ("TypeError", "nothing cannot become an object", False, r"Cannot convert undefined or null to object|can't convert (?:undefined|null) to object|(?:undefined|null) is not an object$"),
    ("TypeError", "cyclic structure in JSON", False, r"Converting circular structure to JSON|cyclic object value|JSON\.stringify cannot serialize cyclic"),
    ("TypeError", "in operator on a primitive", False, r"Cannot use 'in' operator|cannot use 'in' operator|right-hand side of 'in' should be an object|.{1,200} is not an Object\. \(evaluating '.{1,200} in "),
    ("TypeError", "instanceof of no class", False, r"Right-hand side of 'instanceof'|invalid 'instanceof' operand|.{1,200} is not a function\. \(evaluating '.{1,200} instanceof "),
    ("TypeError", "class called without new", False, r"Class constructor .{1,100} cannot be invoked without|class constructors must be invoked with|Cannot call a class constructor"),
    ("TypeError", "reduce of nothing", False, r"(?:R|r)educe of empty array with no initial value"),
    ("TypeError", "big integer mixed with a number", False, r"Cannot mix BigInt|can't convert BigInt to number|Invalid mix of BigInt"),
    ("TypeError", "symbol made text", False, r"Cannot convert a Symbol value to a|can't convert symbol to|Cannot convert a symbol to"),
    ("RangeError", "length of an array", False, r"[Ii]nvalid array length|Array size is not a small enough|Length out of range"),
    ("RangeError", "time value", False, r"[Ii]nvalid (?:time value|[Dd]ate)$"),
    ("RangeError", "digits of a number", False, r"to(?:Fixed|Precision|Exponential)\(\) .{0,40}argument|precision .{1,40} out of range"),
    ("RangeError", "count of repetitions", False, r"Invalid count value|repeat count must be|String\.prototype\.repeat argument"),
    ("URIError", "malformed URI", False, r"URI malformed|malformed URI sequence|String contained an illegal UTF-16|URI error"),
    ("SyntaxError", "regular expression", False, r"Invalid regular expression|unterminated (?:parenthetical|character class)|nothing to repeat|invalid regexp group"),
    ("QuotaExceededError", "storage is full", False, r"(?:Failed to execute 'setItem' on 'Storage'.*)?(?:.{0,100}exceeded the quota|The quota has been exceeded|Persistent storage maximum size reached)"),
)  # fmt: skip
_DOM = _rule(
    r"Failed to (?:execute|construct|set|read) |[A-Z][A-Za-z]{1,40}\.[a-zA-Z]{1,40}: "
    r"|The (?:object|operation|string|request|quota|node|element|fetching process|play\(\) request|source image) .{1,200}"
    r"|An attempt was made to use an object that is not|A network error occurred|.{1,100} could not be cloned"
)
_DOM_TYPES: Final = frozenset(
    (
        "DOMException", "NotFoundError", "InvalidStateError", "SecurityError", "NotAllowedError", "HierarchyRequestError", "DataCloneError",
        "InvalidCharacterError", "InvalidAccessError", "NotSupportedError", "NoModificationAllowedError", "WrongDocumentError",
        "IndexSizeError", "InvalidNodeTypeError", "QuotaExceededError", "EncodingError", "ConstraintError", "TransactionInactiveError",
    )
)  # fmt: skip
_ENGINE_TYPES: Final = frozenset(
    (
        "", "Error", "TypeError", "ReferenceError", "SyntaxError", "RangeError", "URIError", "EvalError", "InternalError", "ChunkLoadError",
        "AbortError", "UnhandledRejection", "Warning", *_DOM_TYPES,
    )
)  # fmt: skip
_RULES = tuple((Said(kind, text, placeless), _rule(pattern)) for kind, text, placeless, pattern in _SAME)
_ANY = _rule("|".join(f"(?P<r{index}>{pattern})" for index, (*_, pattern) in enumerate(_SAME)))
_UNCAUGHT = _rule(rf"(?:Uncaught (?:\(in promise\) )?|Unhandled(?: promise)? rejection:? )(?:(?P<type>{_NAME}): )?")


def in_one_form(kind: str, value: str) -> Said | None:
    """Return what an engine says of type *kind* with message *value*; None where it is no engine's message.

    An application's own types say what the application means, in whatever words.
    """
    if kind not in _ENGINE_TYPES:
        return None
    text = value[:_LOOKED_AT]
    uncaught = _UNCAUGHT.match(text)
    if uncaught:
        kind, text = uncaught["type"] or kind, text[uncaught.end() :]
    said = _of_property(text) or _of_call(text) or _of_name(text)
    if said:
        return said
    same = _ANY.match(text)
    if same and same.lastgroup:
        return _RULES[int(same.lastgroup[1:])][0]
    if kind in _DOM_TYPES and _DOM.match(text):
        return Said(kind, "refused by the page's objects")
    return Said(kind, text) if uncaught else None


def _of_property(text: str) -> Said | None:
    for rule in _PROPERTY_OF_NOTHING:
        match = rule.match(text)
        if match:
            return Said("TypeError", f"property '{_property(match)}' of nothing")
    return None


def _property(match: re.Match[str]) -> str:
    """Return the property's name; ``?`` where the engine does not say it, or it is data and no name of the code."""
    found = match.groupdict()
    if not found:
        return "?"
    name = found.get("name") or found.get("old") or ""
    if found.get("evaluated"):
        last = _LAST_NAME.search(found["evaluated"])
        name = last["name"] if last else ""
    return name if _IS_NAME.fullmatch(name) else "?"


_IS_NAME = _rule(r"[A-Za-z_$][A-Za-z_$]{1,99}")


def _of_call(text: str) -> Said | None:
    match = _NOT_CALLABLE.match(text)
    if not match:
        return None
    last = _NAME_AT_END.search(match["what"])
    name = last["name"] if last and len(last["name"]) > 2 else "?"
    return Said("TypeError", f"{name} is not a {match['kind']}")


def _of_name(text: str) -> Said | None:
    match = _UNDEFINED_NAME.match(text)
    return Said("ReferenceError", f"{match[match.lastgroup or 0]} is not defined") if match else None
