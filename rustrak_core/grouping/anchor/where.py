"""Where it happened: the innermost application frame that says something, by names that the next release still has."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any, Final

import attrs

from rustrak_core.grouping.anchor.names import file_name, function_name, is_minified, module_name, script_function
from rustrak_core.grouping.parts import Ignored, Marks, Notes

FRAMES_MAX: Final = 250
_LOOKED_AT_MOST: Final = 25  # different frames of one stack: those that only go round again count once
_LOOKED_AT: Final = 160  # characters of a path
_NEAREST: Final = 2
_NOTED: Final = 10

_LIBRARY = re.compile(
    r"/(?:site|dist)-packages/|/node_modules/|^node_modules/|/lib/python[0-9.]+/|^node:|^internal/|/gems/|/lib/ruby/|/vendor/"
    r"|/pkg/mod/|/usr/local/go/|/rustc/|/\.cargo/registry/|^<frozen |^(?:chrome|moz|safari-web)-extension:",
    re.ASCII,
)
_SDK = re.compile(
    r"(?:^|[/.@\\])(?:sentry_sdk|@sentry|@sentry-internal|raven|raven-js|sentry-ruby|sentry_raven|sentry-raven|sentry-go|sentry-core)(?:[/.\\]|$)"
    r"|^io\.sentry\.(?!example)|^Sentry\.",
    re.ASCII,
)
_WRAPPERS: Final = frozenset(
    (
        "wrapper", "wrapped", "inner", "_wrapper", "_wrapped", "_inner", "decorator", "decorated", "wrap",
        "wrapped_view", "_wrapped_view", "inner_wrapper", "async_wrapper", "sync_wrapper", "new_func", "invoke0", "invokeSuspend",
    )
)  # fmt: skip
_SCRIPT_WRAPPERS: Final = frozenset(
    (
        "wrapper", "wrapped", "__awaiter", "__generator", "asyncGeneratorStep", "_next", "_callee", "tryCatch", "fulfilled", "rejected", "step",
        "_asyncToGenerator",
    )
)  # fmt: skip
_RAISES = re.compile(
    r"^_*(?:raise|throw|fail|abort|panic|bail|die|assert|invariant|reraise|rethrow|ensure_not_none)(?:_|[A-Z]|$|::|!|ed$|With)"
    r"|^(?:rb_raise|rb_exc_raise|objc_exception_throw|__cxa_throw|_CxxThrowException|RaiseException|RtlRaiseException|KiUserExceptionDispatcher"
    r"|__exceptionPreprocess|_CFThrowFormattedException|doesNotRecognizeSelector|___forwarding___|__forwarding_prep_[0-9]___|_CF_forwarding_prep_[0-9]"
    r"|__?pthread_kill|pthread_kill|__?abort|abort|raise|gsignal|tgkill|__assert_rtn|__assert_fail|_?exit|std::terminate|std::__terminate|__terminate"
    r"|demangling_terminate_handler|_objc_terminate|terminate|malloc_vreport|malloc_report|malloc_zone_error|__fortify_fail|__stack_chk_fail"
    r"|core::panicking::.*|std::panicking::.*|rust_begin_unwind|runtime\.(?:gopanic|panic.*|goexit|sigpanic|throw)|gopanic|sigpanic|goexit"
    r"|begin_panic.*|panic_fmt|unwrap_failed|expect_failed|_?[Uu]nhandledException.*|swift_runtime_on_report|_swift_runtime_on_report|syscall)$",
    re.ASCII,
)
_STARTS: Final = frozenset(
    (
        "start_thread", "RtlUserThreadStart", "BaseThreadInitThunk", "__libc_start_main", "_start", "start", "clone", "__clone", "thread_start",
        "_pthread_start", "_pthread_body", "_sigtramp", "__restore_rt", "__kernel_rt_sigreturn", "main", "wWinMain", "WinMain", "__scrt_common_main_seh",
    )
)  # fmt: skip
# What an interpreter raises is a fault of the function that it runs, whatever that is called.
_OWN_FAULTS: Final = frozenset(
    {"NameError", "UnboundLocalError", "AttributeError", "ZeroDivisionError", "ReferenceError"}
)
_LANGUAGE_ERRORS: Final = frozenset(
    {"Error", "TypeError", "ReferenceError", "SyntaxError", "RangeError", "URIError", "EvalError", ""}
)
_CONSTRUCTORS: Final = frozenset(
    {"__init__", "__new__", "<init>", "<clinit>", ".ctor", "initialize", "constructor", "__construct"}
)
_HELPERS: Final = frozenset(
    (
        "util", "utils", "utility", "utilities", "helper", "helpers", "common", "misc", "tools", "toolbox",
        "support", "shared", "compat", "validators", "validation",
    )
)  # fmt: skip
_SEGMENTS = re.compile(r"[./:\\+]")
_SCRIPT = re.compile(
    r"\.(?:m?js|jsx|tsx?|vue|svelte)(?:$|[?#:])|^https?://|^(?:webpack|app|ng|capacitor|file)://", re.ASCII
)


@attrs.frozen
class Place:
    """A frame by its stable names.

    Attributes:
        module: The module, class or file; ``""`` where it is unknown.
        function: The function; ``""`` where its name is unknown or no evidence.
    """

    module: str
    function: str

    def __str__(self) -> str:
        return f"{self.module} in {self.function}" if self.module and self.function else self.module or self.function


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _end(path: str) -> str:
    return path if len(path) <= _LOOKED_AT else path[:20] + path[20 - _LOOKED_AT :]  # a scheme, and the file


@attrs.frozen
class Frame:
    """A frame that has been looked at.

    Attributes:
        place: It by stable names.
        sent: Its function as sent.
        is_script: Whether a browser ran it.
        passed_over: Why it tells nothing; ``""`` where it does.
        is_better_than_nothing: Whether it is taken, though passed over, where no other is left.
    """

    place: Place
    sent: str = ""
    is_script: bool = False
    passed_over: str = ""
    is_better_than_nothing: bool = False


class Stack:
    """The frames of one stack, newest first; looked at one by one, since mostly the first tells.

    Args:
        frames: As sent, from the oldest to the newest.
        raised: The type of what was raised; ``""`` for a message.
        platform: The event's.
        marks: What a project's rules say of a frame: whether it is the application's own, or None.
    """

    def __init__(self, frames: Sequence[Any], raised: str, platform: str, marks: Marks | None = None) -> None:
        self._raised = raised.rpartition(".")[2]
        self._platform = platform
        self._seen: dict[Any, Frame] = {}
        self._newest_first: list[tuple[Mapping[str, Any] | str, str]] = [
            (frame, _whose(frame, marks))
            for frame in reversed(frames[-FRAMES_MAX:])
            if isinstance(frame, dict | str) and frame
        ]

    def application(self) -> Iterator[Frame]:
        """Yield the application's own frames; where the SDK names none, those that are no known library's."""
        kinds = {kind for _, kind in self._newest_first}
        wanted = _OWN if _OWN in kinds else _UNKNOWN if _LIBRARYS in kinds else ""
        return self._looked_at(frame for frame, kind in self._newest_first if kind == wanted)

    def foreign(self) -> Iterator[Frame]:
        """Yield the frames before the first of the application's own; none where no frame is."""
        if not any(kind == _OWN for _, kind in self._newest_first):
            return iter(())
        foreign = takewhile(lambda each: each[1] != _OWN, self._newest_first)
        return self._looked_at(frame for frame, _ in foreign)

    def all(self) -> Iterator[Frame]:
        """Yield every frame."""
        return self._looked_at(frame for frame, _ in self._newest_first)

    def _looked_at(self, frames: Iterable[Mapping[str, Any] | str]) -> Iterator[Frame]:
        """Look at *frames*, until too many of them are different."""
        for frame in frames:
            names = frame if isinstance(frame, str) else tuple([_text(frame.get(name)) for name in _NAMES])
            found = self._seen.get(names)
            if found is None:
                if len(self._seen) == _LOOKED_AT_MOST:
                    return
                found = self._seen[names] = self._look_at(names)
            yield found

    def _look_at(self, names: "tuple[str, ...] | str") -> Frame:
        if isinstance(names, str):
            return Frame(Place("", function_name(names)), names[:_LOOKED_AT])
        function, raw_function, filename, abs_path, module, platform = names
        return _look_at(
            (function or raw_function)[:_LOOKED_AT],
            _end(filename or abs_path),
            module[:_LOOKED_AT],
            (platform or self._platform)[:_LOOKED_AT],
            self._raised,
        )


@lru_cache(maxsize=1024)
def _look_at(sent: str, path: str, module: str, platform: str, raised: str) -> Frame:
    """Return a frame that has been looked at; each is remembered, for events of an issue have the same ones."""
    if platform in {"javascript", "node"}:
        return _look_at_script(sent, path, module, raised, in_browser=platform == "javascript")
    named = function_name(sent)
    place = Place(module_name(module) if module and module not in _NO_MODULE else file_name(path), named)
    if not named:
        return Frame(place, sent, passed_over="has no name of its own", is_better_than_nothing=bool(place.module))
    if _SDK.search(module) or _SDK.search(path):
        return Frame(place, sent, passed_over="belongs to the SDK")
    bare = named.rpartition("::")[2] if "::" in named else named.rpartition(".")[2]
    why = ""
    if bare == raised or (bare in _CONSTRUCTORS and raised and raised in module):
        why = "makes the exception"
    elif raised in _OWN_FAULTS:
        pass
    elif bare in _WRAPPERS:
        why = "wraps another function"
    elif _RAISES.match(named) or _RAISES.match(bare):
        why = "only raises"
    return Frame(place, sent, passed_over=why, is_better_than_nothing=bool(why))


def _look_at_script(sent: str, path: str, module: str, raised: str, *, in_browser: bool) -> Frame:
    """Look at a frame of JavaScript.

    In a browser, an anonymous callback is a place of its own, known by its file alone: browsers differ in whom they
    name as its caller. So is a function that a bundler named anew.
    """
    named = script_function(sent)
    place = Place(module_name(module) if module and module not in _NO_MODULE else file_name(path), named)
    if _SDK.search(module) or _SDK.search(path) or named == "sentryWrapped":
        return Frame(place, sent, in_browser, "belongs to the SDK")
    if path in _NATIVE or (not path and not module):
        return Frame(place, sent, in_browser, "is native code of the engine")
    if not named and not in_browser:
        return Frame(place, sent, in_browser, "has no name of its own", is_better_than_nothing=bool(place.module))
    is_constructor = named == raised or (named == "constructor" and raised not in _LANGUAGE_ERRORS)
    if named and is_constructor:
        return Frame(place, sent, in_browser, "makes the exception", is_better_than_nothing=True)
    if named in _SCRIPT_WRAPPERS:
        return Frame(place, sent, in_browser, "wraps another function", is_better_than_nothing=True)
    if named and is_minified(named) and _SCRIPT.search(path):
        return Frame(Place(place.module, ""), sent, in_browser)
    return Frame(place, sent, in_browser)


_OWN, _FOREIGN, _LIBRARYS, _UNKNOWN = "the application's", "the SDK says foreign", "a library's", "unknown"


def _whose(frame: Mapping[str, Any] | str, marks: Marks | None) -> str:
    """Return whose a frame is: as a rule says, else the SDK, else its path."""
    if isinstance(frame, str):
        return _UNKNOWN
    marked = marks(frame) if marks else None
    own = frame.get("in_app") if marked is None else marked
    if own is True:
        return _OWN
    if own is False:
        return _FOREIGN
    path = frame.get("abs_path") or frame.get("filename")
    return _LIBRARYS if isinstance(path, str) and _LIBRARY.search(path[-_LOOKED_AT:]) else _UNKNOWN


_NAMES: Final = ("function", "raw_function", "filename", "abs_path", "module", "platform")
_NOWHERE: Final = Place("", "")
_NATIVE: Final = frozenset({"[native code]", "native", "<anonymous>"})
_NO_MODULE: Final = frozenset({"__main__", "main", "(unknown)", "<unknown module>", "native", "__mp_main__"})


Found = tuple[tuple[Place, str], ...]
"""The places that tell, each with what it is, in words."""

_INNERMOST: Final = "the application's own frame nearest to the error that has a telling name"
_INNERMOST_WEAK: Final = "the application's own frame nearest to the error, though its name tells little"
_CALLER: Final = "who called that, since a helper serves many callers"
_NEAREST_ONE: Final = "the frame nearest to the error that has a telling name; none is known as the application's own"
_NEAREST_WEAK: Final = "the frame nearest to the error, though its name tells little; no better one is known"
_NEXT_ONE: Final = "the next such frame outwards from the error"
_ROUND: Final = "a function through which the endless recursion goes"


def places(stack: Stack, notes: Notes) -> Found:
    """Return the one or two places that tell where it happened; none where the stack says nothing."""
    weak: Place | None = None
    passed: list[tuple[Frame, str]] = []
    for frame in stack.application():
        if frame.passed_over:
            passed.append((frame, frame.passed_over))
            weak = weak or (frame.place if frame.is_better_than_nothing else None)
        elif frame.place != _NOWHERE:
            _note(notes, stack, passed)
            is_helper = _is_helper(frame.place.module) and not frame.is_script
            return ((frame.place, _INNERMOST), *(_caller(stack) if is_helper else ()))
    if weak is None:
        _note(notes, stack, passed)
        return _nearest(stack, notes)
    _note(notes, stack, [(frame, why) for frame, why in passed if frame.place != weak])
    return ((weak, _INNERMOST_WEAK),)


def _note(notes: Notes, stack: Stack, passed: Iterable[tuple[Frame, str]], *, foreign: bool = True) -> None:
    """Note the frames that were passed over, and those of others that came before them."""
    if notes is None:
        return
    others = islice(stack.foreign(), _NOTED) if foreign else ()
    for frame, why in [*((each, "is not the application's own") for each in others), *passed]:
        where = " in ".join(text for text in (frame.place.module, frame.sent) if text)
        note = Ignored(f"frame {where}" if where else "a frame without names", why)
        if note not in notes and len(notes) < 2 * _NOTED:
            notes.append(note)


@lru_cache(maxsize=1024)
def _is_helper(module: str) -> bool:
    return any(_lower(segment).strip("_") in _HELPERS for segment in _SEGMENTS.split(module)[-2:])


_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _lower(text: str) -> str:
    return text.translate(_LOWER)


def _caller(stack: Stack) -> Found:
    """Return the first caller that is no helper: a fault of one caller is not that of another."""
    for frame in stack.application():
        if not frame.passed_over and frame.place.function and not _is_helper(frame.place.module):
            return ((frame.place, _CALLER),)
    return ()


def _nearest(stack: Stack, notes: Notes) -> Found:
    """Return the nearest places that say something, where no frame is known to be the application's own."""
    found: list[Place] = []
    weak: list[Place] = []
    passed: list[tuple[Frame, str]] = []
    for frame in stack.all():
        place = frame.place
        starts = "starts a program or thread" if place.function in _STARTS else ""
        why = frame.passed_over or starts or ("" if place.function else "has no name of its own")
        if why:
            passed.append((frame, why))
            if (frame.is_better_than_nothing or starts) and place not in weak:
                weak.append(place)
        elif place not in found:
            found.append(place)
            if len(found) == _NEAREST:
                break
    chosen, source = (found, _NEAREST_ONE) if found else (weak[:_NEAREST], _NEAREST_WEAK)
    _note(notes, stack, [(frame, why) for frame, why in passed if frame.place not in chosen], foreign=False)
    return tuple((place, _NEXT_ONE if number else source) for number, place in enumerate(chosen))


def recursive_place(stack: Stack) -> Found:
    """Return where a stack that overflowed goes round: which of the functions came last is chance."""
    counts = Counter(frame.place for frame in stack.all() if frame.place.function and not frame.passed_over)
    if not counts:
        return ()
    most = max(counts.values())
    return ((min((place for place, count in counts.items() if count * 2 > most), key=str), _ROUND),)
