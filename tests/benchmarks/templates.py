"""Templates of issues, made from the events in tests/samples, for `tests.benchmarks.events` to fill in.

A template has the members, contexts and frames' shapes of a recorded event. Its names, source lines, variables and
breadcrumbs are made up, from the text of the standard library, so that issues have no more in common than those of one
application: a share of their frames, which are a framework's. Nothing of it changes from run to run.
"""

import importlib
import inspect
import json
import random
import re
import string
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from statistics import NormalDist
from typing import Any, Final

import attrs

from tests.corpus.recorded import Request, requests_of

SHARES: Final[Mapping[str, float]] = {
    "sentry-python-2.75.0": 0.55,
    "sentry-python-1.45.1": 0.15,
    "sentry-node-11.12.0": 0.08,
    "sentry-browser-11.12.0-preflight": 0.07,
    "sentry-browser-8.55.2": 0.05,
    "sentry-ruby-5.3.0-debian": 0.05,
    "sentry-node-7.120.4": 0.04,
    "sentry-cli-3.8.0": 0.01,
}
"""Clients, and how many of a hundred issues each has; those of Python gzip what they send, most others do not."""
_SIZES = NormalDist(8.2, 0.52)
_SIZE_RANGE = (1_500, 20_000)
"""Logarithm of bytes of JSON, of which the mean comes to about 5 KB, and its bounds."""
_GOLDEN = (5**0.5 - 1) / 2
_MODULES = ("argparse", "http.client", "email.message", "logging", "tarfile", "subprocess", "urllib.request", "zipfile")
_MADE_ANEW = frozenset(
    {
        "event_id",
        "timestamp",
        "start_timestamp",
        "exception",
        "breadcrumbs",
        "request",
        "user",
        "tags",
        "extra",
        "transaction",
        "release",
        "environment",
        "server_name",
        "message",
        "logentry",
        "fingerprint",
        "logger",
        "threads",
        "spans",
        "project",
        "dist",
        "modules",
        "culprit",
        "debug_meta",
        "_meta",
    }
)
_ENDINGS = {"python": "py", "javascript": "js", "node": "js", "ruby": "rb", "native": "sh"}
_LETTERS, _DIGITS = string.ascii_lowercase, string.digits
_SLOT = re.compile('"\ue002(\\w+)\ue001"|\ue000(\\w+)\ue001')


@attrs.frozen(kw_only=True)
class Template:
    """The JSON of an issue's events, in pieces.

    Attributes:
        encoding: The Content-Encoding in which its client sends it; empty for none.
        literals: Text before, between and behind the slots: one more than those.
        slots: What differs from event to event: a name, and a number that it may have, as in ``("num", 5)``.
    """

    encoding: str
    literals: tuple[str, ...]
    slots: tuple[tuple[str, int], ...]


def slot(name: str) -> str:
    """Return what stands in a template for a value within a string."""
    return f"\ue000{name}\ue001"


def bare(name: str) -> str:
    """Return what stands in a template for a value without quotes, such as a number."""
    return f"\ue002{name}\ue001"


@cache
def templates(count: int) -> tuple[Template, ...]:
    """Return so many templates; sizes and clients of the first ones, too, are spread as those of all."""
    sources: dict[str, list[Request]] = {client: _sources(client) for client in SHARES}
    made = []
    for number in range(count):
        client = _client((0.3 + number * _GOLDEN) % 1)
        share = (0.5 + number * _GOLDEN * _GOLDEN) % 1 or 0.5
        size = min(max(2.718281828 ** _SIZES.inv_cdf(share), _SIZE_RANGE[0]), _SIZE_RANGE[1])
        recorded = sources[client][number % len(sources[client])]
        event = _Maker(number, recorded, int(size)).event()
        pieces = _SLOT.split(json.dumps(event, ensure_ascii=False, separators=(",", ":")))
        names = [a or b for a, b in zip(pieces[1::3], pieces[2::3], strict=True)]
        slots = tuple((name.rstrip(_DIGITS), int(name.lstrip(_LETTERS) or 0)) for name in names)
        encoding = recorded.header("content-encoding")
        made.append(Template(encoding=encoding, literals=tuple(pieces[0::3]), slots=slots))
    return tuple(made)


def _client(share: float) -> str:
    for client, size in SHARES.items():
        share -= size
        if share < 0:
            return client
    return next(iter(SHARES))


def _sources(client: str) -> list[Request]:
    """Return the requests of a client whose event has an exception with frames."""
    return [each for each in requests_of(client) if len(each.body) < 30_000 and _frames(each.event() or {})]


def _frames(event: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        frame
        for exception in _values(event.get("exception"))
        for frame in (exception.get("stacktrace") or {}).get("frames") or []
    ]


def _values(section: Any) -> list[dict[str, Any]]:
    return (section.get("values") or []) if isinstance(section, dict) else (section or [])


@cache
def _code() -> tuple[str, ...]:
    """Return lines of real code."""
    sources = (inspect.getsource(importlib.import_module(name)) for name in _MODULES)
    return tuple(line for source in sources for line in source.splitlines() if len(line) < 120)


@cache
def words() -> tuple[str, ...]:
    """Return some hundreds of words for names."""
    counts: dict[str, int] = defaultdict(int)
    for word in re.findall(r"\b[a-z]{4,11}\b", "\n".join(_code())):
        counts[word] += 1
    return tuple(sorted(word for word, seen in counts.items() if 3 <= seen <= 40))


class _Maker:
    """Makes the template of one issue, as JSON that has slots in it."""

    def __init__(self, number: int, recorded: Request, size: int) -> None:
        self._number = number
        self._chance = random.Random(f"template {number}")
        self._recorded = recorded.event() or {}
        self._platform = str(self._recorded.get("platform") or "native")
        if recorded.name.startswith("sentry-node"):
            self._platform = "node"
        self._shapes = _frames(self._recorded)
        self._size = size
        self._place = [self._word() for _ in range(2)]

    def event(self) -> dict[str, Any]:
        """Return the event, with frames and breadcrumbs until it has its size."""
        event = {"event_id": slot("id"), "timestamp": self._time(0)} | self._kept() | self._made()
        exception = event["exception"]["values"][-1]
        frames = [self._own_frame(0)]
        crumbs: list[dict[str, Any]] = []
        size = len(json.dumps(event, ensure_ascii=False)) + 200
        while size < self._size:
            if crumbs and len(frames) < 40 and self._chance.random() < 0.6:
                own = self._chance.random() < 0.35
                frames.append(self._own_frame(len(frames)) if own else self._shared_frame())
                size += len(json.dumps(frames[-1]))
            else:
                crumbs.append(self._crumb())
                size += len(json.dumps(crumbs[-1]))
        crumbs = [crumb | {"timestamp": self._time(len(crumbs) - at)} for at, crumb in enumerate(crumbs)]
        exception["stacktrace"] = {"frames": frames[::-1]}
        event["breadcrumbs"] = {"values": crumbs} if isinstance(self._recorded.get("breadcrumbs"), dict) else crumbs
        return event

    def _kept(self) -> dict[str, Any]:
        """Return what is as recorded, but for what each event has its own."""
        kept = {key: value for key, value in self._recorded.items() if key not in _MADE_ANEW}
        kept["contexts"] = self._with_slots(kept.get("contexts") or {})
        trace = {
            "trace_id": slot("trace"),
            "span_id": slot("span"),
            "parent_span_id": slot("hex16"),
            "op": "http.server",
        }
        kept["contexts"]["trace"] = (kept["contexts"].get("trace") or {}) | trace
        modules = dict(list((self._recorded.get("modules") or {}).items())[: self._size // 150])
        return kept | ({"modules": modules} if modules else {})

    def _with_slots(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._with_slots(each, name) for name, each in value.items()}
        if isinstance(value, int) and key.endswith("memory"):
            return bare("num9")
        return value

    def _made(self) -> dict[str, Any]:
        first, second = self._place
        made: dict[str, Any] = {
            "level": "error" if self._number % 8 else "warning",
            "release": slot("release"),
            "environment": slot("environment"),
            "server_name": slot("server"),
            "transaction": f"/{first}/{second}/{{id}}",
            "exception": {"values": [self._exception()]},
            "user": {"id": slot("user"), "ip_address": slot("ip"), "email": f"{slot('name')}@{first}.example"},
            "tags": {"region": slot("region"), "tier": "web", "shard": slot("num1"), "plan": slot("plan")},
            "request": {
                "url": f"https://shop.example/{first}/{second}/{slot('order')}",
                "method": "POST",
                "query_string": f"page={slot('num1')}&q={slot('word')}",
                "headers": {
                    "Host": "shop.example",
                    "Accept": "*/*",
                    "User-Agent": slot("agent"),
                    "X-Request-Id": slot("hex32"),
                },
                "cookies": {"session": slot("hex32")},
                "data": {self._word(): slot("word"), "order": slot("order"), "amount": bare("num4")},
            },
            "extra": {"sys.argv": ["/srv/app/manage.py", "runserver"], "attempt": bare("num1")},
        }
        if self._number % 7 == 3:  # these vary where others must not, in the first line
            made["fingerprint"] = [f"{first}-{second}"]
        return made

    def _exception(self) -> dict[str, Any]:
        recorded = _values(self._recorded["exception"])[-1]
        text = f"{self._word()} of {self._word()} is not {self._word()}, issue {self._number}"
        if self._number % 7 == 3:
            text = f"{text}: {slot('word')} {slot('order')}"
        elif self._number % 3 == 0:
            text = f"{text}\n{self._word()} was {slot('word')}, order {slot('order')}"
        kind = f"{self._word().title()}Error" if self._number % 2 else recorded.get("type") or "Error"
        return {key: value for key, value in recorded.items() if key != "stacktrace"} | {"type": kind, "value": text}

    def _own_frame(self, depth: int) -> dict[str, Any]:
        names = [self._place[0], self._place[1], self._word()]
        return _frame(self._chance, self._shapes[depth % len(self._shapes)], self._platform, names, own=True)

    def _shared_frame(self) -> dict[str, Any]:
        """Return one of the fifty frames that a platform's framework has; the first of them are in most stacks."""
        which = min(int(self._chance.expovariate(0.08)), 49)
        chance = random.Random(f"{self._platform} frame {which}")
        names = ["vendor", *(chance.choice(words()) for _ in range(2))]
        return _frame(chance, self._shapes[which % len(self._shapes)], self._platform, names, own=False)

    def _crumb(self) -> dict[str, Any]:
        first, second = self._word(), self._word()
        kinds: list[dict[str, Any]] = [
            {
                "type": "default",
                "category": "query",
                "message": f'SELECT "{first}"."id", "{first}"."{second}" FROM "{first}" WHERE "{first}"."id" = %s',
                "data": {"db.params": [bare("num5")]},
            },
            {
                "type": "http",
                "category": "httplib",
                "data": {
                    "url": f"https://{first}.internal/{second}/{slot('num5')}",
                    "method": "GET",
                    "status_code": 200,
                    "reason": "OK",
                },
            },
            {
                "type": "log",
                "category": f"shop.{first}",
                "level": "info",
                "message": f"{first} {second} for {slot('num5')} took {slot('num3')} ms",
                "data": {"thread": slot("num2"), "request": slot("hex16")},
            },
        ]
        if self._platform == "javascript":
            kinds[0] = {"category": "ui.click", "message": f"div.{first} > form#{second} > button.{self._word()}"}
        return self._chance.choice(kinds)

    def _time(self, step: int) -> str:
        """Return a slot of the time so many steps before the event, as the client writes times."""
        text = isinstance(self._recorded.get("timestamp"), str)
        return slot(f"iso{step}") if text else bare(f"epoch{step}")

    def _word(self) -> str:
        return self._chance.choice(words())


def _frame(
    chance: random.Random, shape: dict[str, Any], platform: str, names: list[str], *, own: bool
) -> dict[str, Any]:
    """Return a frame with the members that *shape* has."""
    code = _code()
    at = chance.randrange(10, len(code) - 10)
    path = f"{'/'.join(names)}.{_ENDINGS.get(platform, 'txt')}"
    full = {"javascript": f"https://shop.example/static/{path}"}.get(platform, f"/srv/app/{path}")
    made = {
        "filename": full if platform in {"javascript", "node"} else path,
        "abs_path": full,
        "module": ".".join(names),
        "function": f"{chance.choice(words())}_{chance.choice(words())}",
        "lineno": chance.randrange(1, 900),
        "colno": chance.randrange(1, 30_000 if platform == "javascript" else 90),
        "pre_context": list(code[at - 5 : at]),
        "context_line": code[at],
        "post_context": list(code[at + 1 : at + 6]),
        "in_app": own,
        "vars": dict(_variable(chance) for _ in range(chance.randrange(2, 7))),
    }
    return {key: made.get(key, value) for key, value in shape.items()}


def _variable(chance: random.Random) -> tuple[str, Any]:
    """Return the name of a variable and its value, most of which each event has its own."""
    name, word = chance.choice(words()), chance.choice(words())
    values: list[Any] = [
        slot("num5"),
        slot("order"),
        f"'{slot('word')}'",
        f"<{word.title()} object at 0x7f{slot('hex10')}>",
        {f"'{word}'": slot("num3"), "'id'": f"'{slot('hex8')}'"},
        f"'{word}'",
        "None",
        [slot("num2"), slot("num2"), slot("num3")],
    ]
    return name, chance.choice(values)
