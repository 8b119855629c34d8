"""Logs of ``rustrak serve``: one line a problem on standard error, none a request.

A message is ``problem key=value ... reason=text``, so that a line can be JSON or key=value alike. The same problem
again and again is one line after the first few, with a number.
"""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from rustrak_http.request_id import CURRENT
from rustrak_http.traces import places

FORMATS = ("json", "text")

BURST = 5
WINDOW_S = 60.0
_KEYS_MAX = 1000

_STRUCTURED = re.compile(r"[a-z][a-z0-9_]*(?: [a-z_]+=[^\s=]*)*(?: reason=.*)?", re.DOTALL)
_PLAIN = re.compile(r"[^\s\"=\\]+")


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line says: when, how bad, who, what, about which request, and where in the code."""
    moment = datetime.fromtimestamp(record.created, UTC)
    message = record.getMessage()
    facts: dict[str, Any] = {
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "pid": os.getpid(),
        "message": message,
    }
    if request := CURRENT.get():
        facts["request_id"] = request
    if _STRUCTURED.fullmatch(message):
        head, _, reason = message.partition(" reason=")
        problem, *pairs = head.split(" ")
        fields = {"problem": problem, **dict(pair.split("=", 1) for pair in pairs)}
        facts |= {key: value for key, value in fields.items() if key not in facts}
        if reason:
            facts["reason"] = reason
    if repeated := getattr(record, "repeated", 0):
        facts["repeated"] = repeated
    if record.exc_info and record.exc_info[1] is not None:
        facts["exception"] = "\n".join(places(record.exc_info[1]))
    return facts


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its newline."""
        return json.dumps(facts_of(record))


class TextLines(logging.Formatter):
    """Formats a record as one line of key=value; what is no plain word is quoted as in JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its newline."""
        facts = facts_of(record)
        if "problem" in facts:
            del facts["message"]
        return " ".join(
            f"{key}={text if _PLAIN.fullmatch(text) and text.isprintable() else json.dumps(text)}"
            for key, text in ((key, str(value)) for key, value in facts.items())
        )


class QuietHandler(logging.StreamHandler[TextIO]):
    """Writes lines; of one problem a few in a window of time, and then one that says how many more there were.

    The same problem is the same message but for its numbers: its template, and the first word that is put in.

    Args:
        stream: Where to write; standard error by default.
        burst: How many lines of one problem a window has.
        window_s: How long a window is, in seconds.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        burst: int = BURST,
        window_s: float = WINDOW_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream)
        self._burst = burst
        self._window_s = window_s
        self._monotonic = monotonic
        self._windows: dict[tuple[object, ...], _Window] = {}
        self._guard = threading.Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._start_anew)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless there were many of its kind."""
        self.tell_repeats()
        if self._is_wanted(record):
            super().emit(record)

    def tell_repeats(self, *, all_of_them: bool = False) -> None:
        """Write how many lines were left out, for each problem whose window is over."""
        now = self._monotonic()
        with self._guard:
            over = [
                key for key, window in self._windows.items() if all_of_them or now - window.began_at >= self._window_s
            ]
            gone = [self._windows.pop(key) for key in over]
        for window in gone:
            if window.last is not None:
                window.last.repeated = window.count - self._burst
                super().emit(window.last)

    def close(self) -> None:
        """Write what there is still to say."""
        self.tell_repeats(all_of_them=True)
        super().close()

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        first = record.args[0] if isinstance(record.args, tuple) and record.args else None
        key = (record.name, record.levelno, record.msg, first if isinstance(first, str) else None)
        with self._guard:
            window = self._windows.get(key)
            if window is None:
                if len(self._windows) >= _KEYS_MAX:
                    return True
                window = self._windows[key] = _Window(self._monotonic())
            window.count += 1
            if window.count <= self._burst:
                return True
            window.last = record
            return False

    def _start_anew(self) -> None:
        self._guard = threading.Lock()
        self._windows = {}


class _Window:
    """A stretch of time that began with the first line of a problem."""

    def __init__(self, began_at: float) -> None:
        self.began_at = began_at
        self.count = 0
        self.last: logging.LogRecord | None = None


def log_to_stderr(form: str = FORMATS[0]) -> None:
    """Send warnings and worse of all loggers to standard error, one line each, in one of `FORMATS`."""
    handler = QuietHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def tell_repeats() -> None:
    """Write how many lines were left out; call it now and then, so that the number comes when a flood is over."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, QuietHandler):
            handler.tell_repeats()
