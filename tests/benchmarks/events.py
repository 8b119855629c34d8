"""Events as SDKs of several platforms send them, about 5 KB each, of a few hundred issues, each with values of its own.

An issue is a template out of `tests.benchmarks.templates`. Event *number* is the same in each run, but for its id and
time: id, trace, span, times of event and breadcrumbs, user, request, variables and parts of messages are its own.
"""

import bisect
import itertools
import json
import random
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import attrs

from tests.benchmarks.templates import Template, templates, words

ISSUES = 300
_REGIONS = ("eu", "us", "ap")
_PLANS = ("free", "team", "business")
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{0}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{0}.1",
)


@attrs.frozen(kw_only=True)
class Body:
    """What a request carries; *encoding* is its Content-Encoding, empty for none."""

    encoding: str
    data: bytes


def payload(issue: int, number: int, event_id: UUID) -> dict[str, Any]:
    """Return the *number*-th event of all, which is of *issue*."""
    event: dict[str, Any] = json.loads(event_json(issue, number, event_id))
    return event


def event_json(issue: int, number: int, event_id: UUID) -> bytes:
    """Return the same as JSON."""
    template = _templates()[issue]
    filled = _Filled(random.Random(number), event_id)
    values = [filled.value(kind, size) for kind, size in template.slots]
    pieces = itertools.chain.from_iterable(zip(template.literals, (*values, ""), strict=True))
    return "".join(pieces).encode()


@cache
def _templates() -> tuple[Template, ...]:
    return templates(ISSUES)


@cache
def _shares() -> list[float]:
    """Return up to which share of all events each issue goes: the n-th is n times as rare as the first."""
    sums = list(itertools.accumulate(1 / (rank + 1) for rank in range(ISSUES)))
    return [each / sums[-1] for each in sums]


def issue_of(number: int) -> int:
    """Return the issue of the *number*-th event: a sixth are of the first, and a handful of the last."""
    return bisect.bisect_left(_shares(), random.Random(-1 - number).random())


def event_id_of(number: int) -> UUID:
    """Return the id of the *number*-th event of a run, the same in each run."""
    return UUID(int=random.Random(f"id {number}").getrandbits(128), version=4)


class _Filled:
    """The values of one event, by the names of slots; some stand in several places."""

    def __init__(self, chance: random.Random, event_id: UUID) -> None:
        self._random = chance.random
        self._bits = chance.getrandbits
        self._at = time.time() - chance.random()
        self._step_s = 0.01 + chance.random()
        user = int(chance.random() ** 2 * 20_000)
        self._same = {
            "id": event_id.hex,
            "trace": f"{self._bits(128):032x}",
            "span": f"{self._bits(64):016x}",
            "user": str(user),
            "name": f"{_pick(words(), (user * 0.6180339887) % 1)}.{user}",
            "ip": f"10.{user % 250}.{user % 241}.{user % 239}",
            "order": str(10_000_000 + int(chance.random() * 9e7)),
            "agent": _AGENTS[user % 3].format(110 + user % 30),
            "release": f"shop@1.{int(chance.random() ** 2 * 7)}.0",
            "environment": "production" if chance.random() < 0.9 else "staging",
            "server": f"web-{int(chance.random() * 8)}",
            "region": _pick(_REGIONS, chance.random()),
            "plan": _pick(_PLANS, chance.random()),
        }

    def value(self, kind: str, size: int) -> str:
        """Return the value for a slot."""
        if kind == "num":
            return str(int(self._random() * 10**size))
        if kind == "hex":
            return f"{self._bits(4 * size):0{size}x}"
        if kind == "word":
            return _pick(words(), self._random())
        if kind in self._same:
            return self._same[kind]
        at = self._at - self._step_s * size * (0.9 + 0.1 * self._random())
        if kind == "epoch":
            return f"{at:.3f}"
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _pick(values: tuple[str, ...], share: float) -> str:
    return values[int(share * len(values))]


def request_bodies(count: int) -> Iterator[Body]:
    """Yield so many envelopes, each in the encoding of its client."""
    for number in range(count):
        yield body_of(number, event_id_of(number))


def body_of(number: int, event_id: UUID) -> Body:
    """Return the envelope of the *number*-th event."""
    issue = issue_of(number)
    event = event_json(issue, number, event_id)
    sent_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    head = json.dumps({"event_id": event_id.hex, "sent_at": sent_at})
    item = json.dumps({"type": "event", "content_type": "application/json", "length": len(event)})
    data = f"{head}\n{item}\n".encode() + event + b"\n"
    encoding = _templates()[issue].encoding
    if encoding == "gzip":
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        data = packer.compress(data) + packer.flush()
    return Body(encoding=encoding, data=data)


def mean_payload_bytes(events: int = 2000) -> int:
    """Return the mean size of the first events, in bytes of JSON."""
    return sum(len(event_json(issue_of(n), n, UUID(int=n))) for n in range(events)) // events
