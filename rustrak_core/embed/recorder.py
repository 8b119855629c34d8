"""A bounded queue, emptied in batches by one daemon thread that starts when something is first put in."""

import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

BATCH_ENTRIES = 100
BATCH_BYTES = 4 * 1024 * 1024


class Recorder(Generic[T]):
    """Takes entries from any thread, and hands them over in order from one of its own.

    After a fork the child calls `reset`: it begins with an empty queue and no thread, since what was queued is the
    parent's to hand over.

    Args:
        hand_over: Called with some entries, one call at a time. It may take its time, and should not raise.
        max_entries: Entries that may wait or be under way.
        max_bytes: Their size in all.
        name: The thread's.
    """

    def __init__(
        self, hand_over: Callable[[Sequence[T]], None], *, max_entries: int, max_bytes: int, name: str
    ) -> None:
        self._hand_over = hand_over
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._name = name
        self.reset()

    def reset(self) -> None:
        """Begin anew with an empty queue; for the child of a fork, where all other threads are gone."""
        self._changed = threading.Condition()
        self._queue: deque[tuple[T, int]] = deque()
        self._entries = 0
        self._bytes = 0
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._at_work: int | None = None

    @property
    def is_full(self) -> bool:
        """No further entry would be taken, however small."""
        return self._entries >= self._max_entries or self._bytes >= self._max_bytes

    @property
    def is_own_thread(self) -> bool:
        """The caller runs within `hand_over`."""
        return self._at_work == threading.get_ident()

    def put(self, entry: T, size_bytes: int) -> bool:
        """Queue an entry; False, at once, where there is no room."""
        with self._changed:
            if self._entries >= self._max_entries or self._bytes + size_bytes > self._max_bytes:
                return False
            self._queue.append((entry, size_bytes))
            self._entries += 1
            self._bytes += size_bytes
            self._stopping = False
            self._start()
            self._changed.notify_all()
        return True

    def flush(self, timeout_s: float) -> int:
        """Wait until all entries were handed over, at most for *timeout_s*; return how many were not."""
        if self.is_own_thread:
            return self._entries
        with self._changed:
            can_wait = not self._queue or self._start()
            if can_wait:
                self._changed.wait_for(lambda: self._entries == 0, timeout_s)
                return self._entries
        while batch := self._take():  # the interpreter is shutting down and starts no thread: do its work here
            self._deliver(batch)
        return 0

    def stop(self) -> None:
        """Let the thread end once the queue is empty; `pause` ends at once. A later `put` starts it again."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def pause(self, seconds: float) -> bool:
        """Wait, within `hand_over`, before trying again; False where `stop` was called meanwhile."""
        with self._changed:
            return not self._changed.wait_for(lambda: self._stopping, seconds)

    def _start(self) -> bool:
        """Start the thread if it does not run; False where the interpreter starts none any more. The lock is held."""
        if self._thread is not None and self._thread.is_alive():
            return True
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._stopping)
                if not self._queue:
                    self._thread = None
                    return
            try:
                self._deliver(self._take())
            except Exception:  # noqa: BLE001 - a thread that ends while it seems alive would leave entries behind
                self._report()

    def _report(self) -> None:
        """Say what went wrong where errors of threads go, and nowhere else: we must not capture our own."""
        kind, error, traceback = sys.exc_info()
        if kind is not None:
            threading.excepthook(threading.ExceptHookArgs((kind, error, traceback, threading.current_thread())))

    def _take(self) -> list[tuple[T, int]]:
        """Take the next entries off the queue; they count as under way until they were handed over."""
        batch: list[tuple[T, int]] = []
        size = 0
        with self._changed:
            while self._queue and len(batch) < BATCH_ENTRIES and size < BATCH_BYTES:
                batch.append(self._queue.popleft())
                size += batch[-1][1]
        return batch

    def _deliver(self, batch: Sequence[tuple[T, int]]) -> None:
        self._at_work = threading.get_ident()
        try:
            self._hand_over([entry for entry, _ in batch])
        finally:
            self._at_work = None
            with self._changed:
                self._entries -= len(batch)
                self._bytes -= sum(size for _, size in batch)
                self._changed.notify_all()
