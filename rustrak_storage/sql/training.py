"""Dictionaries, trained from what is recorded.

A recorder sets aside some of the contents that it packs, and from time to time trains a dictionary from them. It is
kept as a new version only where it packs others of them a good deal smaller than the version in use does.
"""

import contextlib
import threading
from collections.abc import Sequence

import attrs

from rustrak_core.errors import RustrakError
from rustrak_storage.sql import payloads
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.payloads import Dictionary, Packed

_TESTED = 10
"""Every how-manieth sample is not trained from, but tells how good the dictionary is."""

_SAMPLE_BYTES = 32 * 1024
_PACKED_BYTES = 16 * 1024
"""Contents that are larger once packed are no samples: they are kept in memory so."""

_TRAINED_BYTES = 6 * 1024 * 1024
"""How much is unpacked at most to train from."""

_WORTH = 0.9
"""A new version must need at most so much of the room that the one in use needs."""


@attrs.frozen
class _Round:
    """A round of training: every *step*-th content is a sample, until there are so many."""

    step: int
    samples: int


_ROUNDS = (_Round(1, 200), _Round(1, 1000), _Round(31, 1000), _Round(127, 1000))
"""A small dictionary soon, where there is none; then a good one; then seldom. A thousand samples are a quarter of a
second's work; from eight hundred, payloads take 40 bytes more. Steps are primes, so that kinds that take turns come."""


class Trainer:
    """Trains dictionaries from what is recorded. Thread-safe: one thread at a time, the others go on without."""

    def __init__(self, dictionaries: Dictionaries) -> None:
        """Keep what was trained in *dictionaries*."""
        self._dictionaries = dictionaries
        self._working = threading.Lock()
        self._samples: list[tuple[Packed, Dictionary | None]] = []
        self._seen = 0
        self._round = 0

    def learn(self, contents: Sequence[Packed], used: Dictionary | None, now: int) -> None:
        """Take samples of *contents* and, where there are enough, train; nothing that goes wrong here costs a batch.

        Args:
            contents: As they were packed, for so they take a tenth of the memory.
            used: What they were packed with.
            now: The time of it, in microseconds.
        """
        if not contents or not self._working.acquire(blocking=False):
            return
        try:
            if self._samples and self._samples[0][1] is not used:  # another process was quicker
                self._next_round()
            if used is not None:
                self._round = max(self._round, 1)
            wanted = _ROUNDS[self._round]
            chosen = contents[-self._seen % wanted.step :: wanted.step]
            fit = [(content, used) for content in chosen if len(content.data) <= _PACKED_BYTES]
            self._samples += fit[: wanted.samples - len(self._samples)]
            self._seen += len(contents)
            if len(self._samples) >= wanted.samples:
                # The batch is recorded whatever comes of it; a later one trains again.
                with contextlib.suppress(RustrakError), self._dictionaries.training(now) as is_ours:
                    if is_ours:
                        self._train(used, now)
                self._next_round()
        finally:
            self._working.release()

    def _train(self, used: Dictionary | None, now: int) -> None:
        contents = self._unpacked()
        tested = contents[::_TESTED]
        trained = payloads.train([content for index, content in enumerate(contents) if index % _TESTED])
        if trained is None:
            return
        before = payloads.packed_bytes(tested, None if used is None else used.data.as_bytes())
        if payloads.packed_bytes(tested, trained) <= before * _WORTH:
            self._dictionaries.add(trained, now, after=used)

    def _next_round(self) -> None:
        self._samples, self._seen = [], 0
        self._round = min(self._round + 1, len(_ROUNDS) - 1)

    def _unpacked(self) -> list[bytes]:
        """Return the samples as they were, as many as may be trained from."""
        contents: list[bytes] = []
        room = _TRAINED_BYTES
        for content, dictionary in self._samples:
            used = dictionary if content.dictionary is not None else None
            contents.append(payloads.decode(content.codec, content.data, used)[: min(_SAMPLE_BYTES, room)])
            room -= len(contents[-1])
            if room <= 0:
                break
        return contents
