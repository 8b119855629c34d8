"""Group commit: whoever comes first writes and syncs for all that wait."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from rustrak_core.errors import RustrakError, SpoolUnavailableError
from rustrak_storage.spool.record import EncodedRecord

_logger = logging.getLogger("rustrak.spool")

_GROUP_BYTES = 8 * 1024 * 1024
_LEADS_FOR_S = 0.02

Failure = Callable[[], RustrakError]
Settled = Callable[[RustrakError | None], None]


class _Ticket:
    """One record on its way, and the thread that waits for it."""

    __slots__ = ("failure", "gone", "leads", "record", "settled", "woken")

    def __init__(self, record: EncodedRecord | None) -> None:
        self.record = record
        self.woken = threading.Lock()
        self.woken.acquire()
        self.failure: Failure | None = None
        self.leads = False
        self.settled = False
        self.gone = False

    def settle(self, failure: Failure | None) -> None:
        self.failure = failure
        self.settled = True
        self.woken.release()

    def take_the_lead(self) -> bool:
        """Have its thread lead; False where it cannot."""
        if self.gone:
            return False
        self.leads = True
        self.woken.release()
        return True


class _Note:
    """One record on its way for which no thread waits; somebody is told instead."""

    __slots__ = ("record", "tell")

    def __init__(self, record: EncodedRecord, tell: Settled) -> None:
        self.record = record
        self.tell = tell

    def settle(self, failure: Failure | None) -> None:
        try:
            self.tell(None if failure is None else failure())
        except Exception:
            _logger.exception("what a record was submitted for failed")

    def take_the_lead(self) -> bool:
        return False


class GroupCommit:
    """Brings the records of many threads to disk in groups.

    The first thread to come leads: it writes what waits, and goes on while more has come meanwhile, so that everything
    that arrives during one sync shares the next. After some milliseconds it hands over to a thread that waits, since it
    has a client of its own to answer. Records that were submitted, rather than committed, have no thread; where nobody
    else leads, one that is kept for it does, and it is started at the first need.

    Args:
        write: Writes the records of a group and returns None, or what each of its threads is to raise. It is called by
            one thread at a time.
    """

    def __init__(self, write: Callable[[Sequence[EncodedRecord]], Failure | None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: list[_Ticket | _Note] = []
        self._led = False
        self._committer: threading.Thread | None = None
        self._called: SimpleQueue[None] = SimpleQueue()
        self._handed = False
        self._closed = False

    def commit(self, record: EncodedRecord | None) -> None:
        """Return when *record* is written; None writes only what else there is.

        Raises:
            RustrakError: as *write* said.
        """
        ticket = _Ticket(record)
        with self._lock:
            self._waiting.append(ticket)
            leads = not self._led
            self._led = True
        if leads or self._follow(ticket):
            self._lead(ticket)
        if ticket.failure is not None:
            raise ticket.failure()

    def submit(self, record: EncodedRecord, tell: Settled) -> None:
        """Have *record* written after the next `push`, and *tell* called then, by any thread.

        *tell* gets None, or why the record was not written. It must be quick, and raise nothing.
        """
        with self._lock:
            self._waiting.append(_Note(record, tell))

    def push(self) -> None:
        """Have written what was submitted, unless somebody is at it already."""
        with self._lock:
            if self._led or not self._waiting:
                return
            self._led = True
            if not self._closed:
                self._hand_to_committer()
                return
        self._lead(None)

    def close(self) -> None:
        """End the thread that was kept, if there is one, when it has written what it is at."""
        with self._lock:
            self._closed = True
            committer = self._committer
        if committer is not None:
            self._called.put(None)
            committer.join()

    def _hand_to_committer(self) -> None:
        """Have the kept thread lead; the lock is held."""
        self._handed = True
        if self._committer is None:
            self._committer = threading.Thread(target=self._lead_when_called, name="spool-commit", daemon=True)
            self._committer.start()
        self._called.put(None)

    def _lead_when_called(self) -> None:
        while True:
            self._called.get()
            with self._lock:
                handed, self._handed = self._handed, False
            if handed:
                try:
                    self._lead(None)
                except Exception:
                    _logger.exception("writing a group failed")
            elif self._closed:
                return

    def _follow(self, ticket: _Ticket) -> bool:
        try:
            ticket.woken.acquire()
        except BaseException:  # an interrupt: nobody may wait for this thread to lead
            with self._lock:
                ticket.gone = True
            if ticket.leads:
                self._lead(ticket)
            raise
        return ticket.leads

    def _lead(self, own: _Ticket | None) -> None:
        until = time.monotonic() + _LEADS_FOR_S
        while group := self._next_group(own, until):
            failure: Failure | None = _interrupted
            try:
                failure = self._write([ticket.record for ticket in group if ticket.record is not None])
            except BaseException:
                until = 0.0
                self._settle(group, own, failure)
                self._resign(own)
                raise
            self._settle(group, own, failure)

    def _settle(self, group: "list[_Ticket | _Note]", own: _Ticket | None, failure: Failure | None) -> None:
        for ticket in group:
            if ticket is own and own is not None:
                own.failure = failure
                own.settled = True
            else:
                ticket.settle(failure)

    def _next_group(self, own: _Ticket | None, until: float) -> "list[_Ticket | _Note]":
        with self._lock:
            if not self._waiting:
                self._led = False
                return []
            if own is not None and own.settled and time.monotonic() > until and self._hand_over():
                return []
            size = count = 0
            for ticket in self._waiting:
                size += ticket.record.size if ticket.record else 0
                if count and size > _GROUP_BYTES:
                    break
                count += 1
            group, self._waiting = self._waiting[:count], self._waiting[count:]
            return group

    def _resign(self, own: _Ticket | None) -> None:
        with self._lock:
            if own is not None and own in self._waiting:
                self._waiting.remove(own)
            if not self._hand_over():
                self._led = False

    def _hand_over(self) -> bool:
        """Have another thread lead, if anything waits; the lock is held."""
        if any(ticket.take_the_lead() for ticket in self._waiting):
            return True
        if any(isinstance(ticket, _Note) for ticket in self._waiting) and not self._closed:
            self._hand_to_committer()
            return True
        return False


def _interrupted() -> RustrakError:
    return SpoolUnavailableError("the write was interrupted; nothing was kept, send it again")
