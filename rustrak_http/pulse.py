"""The digest worker's signs of life: given while it gets on or waits, and not while it is stuck.

Whoever looks after the worker kills one that falls silent, and the event that it was at is blamed. So a worker that
waits for a database, or that gets no processor, must not fall silent; one that digests without end must. A thread beats
for it, and looks at two clocks: digesting is pure, so that an event that is not done after some time never will be;
whatever else it does may wait for as long as it likes, but not compute.
"""

import threading
import time
from collections.abc import Callable
from typing import Self

from rustrak_core.ports import Stage

BEAT_S = 1.0
STUCK_CPU_S = 60.0
"""A step other than digesting that has used so much of the processor is stuck."""


class Pulse:
    """Calls *beat* about once a second, by a thread of its own, while the worker is not stuck.

    Args:
        beat: Gives a sign of life, and says what keeps the worker from recording, as a text; empty where nothing does.
        stuck_s: How long digesting an event may take.
        stuck_cpu_s: How much processor time any other step may take.
    """

    def __init__(
        self,
        beat: Callable[[str], None],
        *,
        stuck_s: float,
        stuck_cpu_s: float = STUCK_CPU_S,
        beat_s: float = BEAT_S,
        monotonic: Callable[[], float] = time.monotonic,
        cpu_time: Callable[[], float] = time.process_time,
    ) -> None:
        self.trouble = ""
        self._beat = beat
        self._stuck_s = stuck_s
        self._stuck_cpu_s = stuck_cpu_s
        self._beat_s = beat_s
        self._monotonic = monotonic
        self._cpu_time = cpu_time
        self._stage = Stage.RESTING
        self._steps = self._steps_seen = 0
        self._since_s, self._since_cpu_s = monotonic(), cpu_time()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5)

    def step(self, stage: Stage) -> None:
        """Note that the worker has come further, and what it does next; called for each event, so it must be quick."""
        self._stage = stage
        self._steps += 1

    @property
    def is_stuck(self) -> bool:
        """Whether the worker has not come further for too long. One thread asks."""
        steps, stage = self._steps, self._stage
        if steps != self._steps_seen:
            self._steps_seen = steps
            self._since_s, self._since_cpu_s = self._monotonic(), self._cpu_time()
        if stage is Stage.DIGESTING:
            return self._monotonic() - self._since_s > self._stuck_s
        return self._cpu_time() - self._since_cpu_s > self._stuck_cpu_s

    def _run(self) -> None:
        while True:
            if not self.is_stuck:
                self._beat(self.trouble)
            if self._over.wait(self._beat_s):
                return
