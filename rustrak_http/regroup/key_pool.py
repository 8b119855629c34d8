"""Keys of many events, worked out by several processes, since each takes a tenth of a millisecond."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import chain, islice
from typing import Final

from rustrak_core.digested import GroupingKey
from rustrak_core.grouping import Rules
from rustrak_core.ports import FiledEvent
from rustrak_core.regroup import rekey

_ALONE: Final = 4
"""Pages that are worked out in this process, for it takes a second to start others."""

_PROCESSES_MAX: Final = 8

Task = list[tuple[str, tuple[tuple[str, str], ...], bytes | None]]
Keys = list[tuple[str, str] | None]
Rekeyed = list[tuple[FiledEvent, GroupingKey | None]]

_rules: list[Rules] = []


def with_keys(pages: Iterable[Sequence[FiledEvent]], rules: str, *, processes: int | None = None) -> Iterator[Rekeyed]:
    """Yield the events of *pages*, in their order, each with the key that *rules* give it.

    Args:
        pages: Read only as far ahead as keeps the processes busy.
        rules: A TOML document that can be read.
        processes: How many; as many as there are processors by default.
    """
    own = Rules.from_toml(rules)
    rest = iter(pages)
    for page in islice(rest, _ALONE):
        yield [(event, rekey(event.kind, event.hints, event.payload, own)) for event in page]
    first = next(rest, None)
    if first is not None:
        count = processes or min(os.cpu_count() or 1, _PROCESSES_MAX)
        yield from _by_processes(chain([first], rest), rules, count)


def _by_processes(pages: Iterable[Sequence[FiledEvent]], rules: str, count: int) -> Iterator[Rekeyed]:
    context = multiprocessing.get_context("spawn")  # a fork would take the database's connections along
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(rules,))
    waiting: deque[tuple[Sequence[FiledEvent], Future[Keys]]] = deque()
    try:
        for page in pages:
            task = [(event.kind, event.hints, event.payload) for event in page]
            waiting.append((page, pool.submit(_work, task)))
            if len(waiting) > 2 * count:
                yield _joined(*waiting.popleft())
        while waiting:
            yield _joined(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _joined(page: Sequence[FiledEvent], keys: "Future[Keys]") -> Rekeyed:
    return [
        (event, None if key is None else GroupingKey(mechanism=key[0], value=key[1]))
        for event, key in zip(page, keys.result(), strict=True)
    ]


def _begin(rules: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    _rules[:] = [Rules.from_toml(rules)]


def _work(task: Task) -> Keys:
    keys = (rekey(kind, hints, payload, _rules[0]) for kind, hints, payload in task)
    return [None if key is None else (key.mechanism, key.value) for key in keys]
