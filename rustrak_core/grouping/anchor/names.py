"""Names of functions and modules, without what compilers, bundlers, browsers and releases add to them."""

import re
from typing import Final

_NAME_MAX: Final = 160
_SEGMENT_MAX: Final = 80
_BLANK: Final = " \t\r\n\f\v"

_ANONYMOUS: Final = frozenset(
    (
        "", "?", "anonymous", "<anonymous>", "(anonymous)", "(anonymous function)", "{closure}", "<lambda>", "lambda", "<unknown>",
        "<redacted>", "unknown", "(unknown)", "eval", "<eval>", "eval code", "global code", "module code", "<listcomp>", "<genexpr>",
        "<dictcomp>", "<setcomp>", "stripped_application_code", "Anonymous function", "null", "__lambda__", "lambda_method",
    )
)  # fmt: skip

_GENERATED = re.compile(
    r"\$\$(?:Enhancer|FastClass|Lambda|Proxy|SpringCGLIB|Enhanced)[^.]*"  # proxies and lambdas that a JVM makes up
    r"|\$\$?ExternalSynthetic[^.]*|_ClientProxy|_Subclass|_\$\$_[A-Za-z0-9_]*"
    r"|\$[0-9]+(?=$|[.$])|\$lambda\$[0-9]+",  # anonymous classes are numbered anew by each build
    re.ASCII,
)
_NOISE = re.compile(
    r"::h[0-9a-f]{16}$"  # Rust's hash of a build
    r"|(?:\?A0x|_INTERNAL|(?<=lambda)_)[0-9a-f]{8,40}(?:::)?"  # a file's own namespace, a lambda
    r"|(?:::)?\{\{closure\}\}"
    r"|\.(?:cold|part|isra|constprop|llvm)(?:\.[0-9]+)*$"  # parts into which a compiler splits a function
    r"|\.func[0-9]+(?:\.[0-9]+)*$"  # Go's closures
    r"|\$[0-9]+$|\.<locals>"
    r"|@[0-9]+$|\+0x[0-9a-fA-F]+$"
    r"|\(anonymous namespace\)::|`anonymous namespace'::|(?<=::)\{?lambda[^:]*$",
    re.ASCII,
)
_ADDRESS = re.compile(r"^(?:sub_|fun_|FUN_|loc_)?(?:0x)?[0-9a-fA-F]{5,16}$", re.ASCII)
_OUTER = re.compile(
    r"^(?:block(?: \([0-9]+ levels\))?|rescue|ensure|closure #[0-9]+(?: \(.*?\))?|partial apply for|thunk for) (?:in |of )?(?P<ruby>.+)$"
    r"|^<(?P<csharp>[A-Za-z_][A-Za-z0-9_]*)>[bdg]__[A-Za-z0-9_|]*(?:\.MoveNext)?$"
    r"|^.*\+<(?P<state>[A-Za-z_][A-Za-z0-9_]*)>d__[0-9]+(?:\.MoveNext)?$"
    r"|^lambda\$(?P<java>[A-Za-z_][A-Za-z0-9_]*)\$[0-9]+$",
    re.ASCII | re.DOTALL,
)
_SCRIPT_PREFIX = re.compile(r"^(?:async\*?|new|get|set|bound|static)[ *]", re.ASCII)
_SCRIPT_NESTED = re.compile(r"/<|<$|/\w+\($", re.ASCII)
_SCRIPT_AS = re.compile(r" \[as [^\]]{1,100}\]$", re.ASCII)
_SCRIPT_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$\-]*", re.ASCII)

_FILE_HASH = re.compile(
    r"[.\-_](?=[A-Za-z0-9_\-]*[0-9])[A-Za-z0-9_]{6,40}(?=\.|$)|[.\-_](?=[A-Z0-9]*[A-Z])[A-Z0-9]{8}(?=\.|$)", re.ASCII
)
_FILE_END = re.compile(r"(?:\.(?:min|bundle|chunk|prod|esm|cjs|umd))*\.(?:jsx?|tsx?|mjs|cjs|vue|svelte|py|pyc|rb|php|java|kt|go|rs|cs|ex|exs|pl|lua|dart|scala|swift)$", re.ASCII)  # fmt: skip
_VERSION = re.compile(
    r"(?<=[/@\-_])v?[0-9]+(?:\.[0-9]+)+(?:[-.]?(?:rc|alpha|beta|dev|post)[.0-9]*)?(?=[/.]|$)", re.ASCII
)
_HASH_SEGMENT = re.compile(r"^(?:[0-9a-f]{7,40}|[0-9]{6,20}|r?[0-9]+)$", re.ASCII)


def function_name(name: str) -> str:
    """Return a function's name as all releases have it; ``""`` where it has none."""
    name = name[:_NAME_MAX].strip(_BLANK)
    if name in _ANONYMOUS:
        return ""
    if name.isascii() and name.isidentifier() and "__" not in name[2:]:
        return "" if _ADDRESS.match(name) and _has_digit(name) else name
    outer = _OUTER.match(name)
    if outer:
        name = outer[outer.lastgroup or 0]
    name = _NOISE.sub("", _GENERATED.sub("", name))
    if "(" in name or "<" in name:
        name = _without_arguments(name)
    name = name.strip(" :.")
    return "" if name in _ANONYMOUS or _ADDRESS.match(name) else name


def _has_digit(text: str) -> bool:
    return any(digit in text for digit in "0123456789")


def _without_arguments(name: str) -> str:
    """Return a native function's name without parameters and template arguments: builds spell them differently.

    An Objective-C selector (``-[NSArray objectAtIndex:]``) stays, and so does what is in parentheses at the start.
    """
    if name[0] in "-+<(" or "operator" in name:
        return name
    pieces, depth = [], 0
    for char in name:
        if char in "(<":
            depth += 1
        elif char in ")>":
            depth -= depth > 0
        elif not depth:
            pieces.append(char)
    return "".join(pieces)


def script_function(name: str) -> str:
    """Return the name of a JavaScript function as all browsers have it; ``""`` where it has none.

    Chrome puts the receiver before the name (``Cart.total``), Firefox marks what is nested (``total/<``), Safari neither.
    """
    name = name[:_NAME_MAX].strip(_BLANK)
    if name in _ANONYMOUS or _SCRIPT_NESTED.search(name):
        return ""
    name = _SCRIPT_PREFIX.sub("", _SCRIPT_AS.sub("", name))
    name = name.rpartition(".")[2].rpartition("/")[2]
    return name if name not in _ANONYMOUS and _SCRIPT_NAME.fullmatch(name) else ""


def is_minified(name: str) -> bool:
    """Whether a JavaScript name may be one that a bundler made up: it means another function in the next build."""
    return len(name) <= 2 or (len(name) == 3 and not (name.islower() and name.isalpha()))


def module_name(module: str) -> str:
    """Return a module or class as all releases have it."""
    module = module[:_NAME_MAX]
    return _GENERATED.sub("", module) if "$" in module or "_" in module else module


def file_name(path: str) -> str:
    """Return a source file as all releases and machines have it, as in ``shop/orders``; ``""`` where there is none.

    The last two segments without suffix, versions and hashes; of a script from the web the last one, since where it is
    served from says nothing.
    """
    path = path[:_NAME_MAX].partition("?")[0].partition("#")[0].replace("\\", "/")
    remote = "://" in path
    if not remote and _VERSION.search(path):
        path = _VERSION.sub("", path)
    segments = [segment for segment in path.split("/") if segment and segment not in {".", ".."}]
    if not segments:
        return ""
    last = _FILE_END.sub("", segments[-1][-_SEGMENT_MAX:])
    last = _FILE_HASH.sub("", last) or last
    if remote or len(segments) == 1 or ":" in segments[-2] or _HASH_SEGMENT.match(segments[-2]):
        return last
    return f"{segments[-2]}/{last}"
