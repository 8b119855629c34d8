"""Group commit without a thread of its own: whoever comes first writes and syncs for all that wait."""

import threading
import time
from collections.abc import Callable, Sequence

from rustrak_core.errors import RustrakError, SpoolUnavailableError
from rustrak_storage.spool.record import EncodedRecord

_GROUP_BYTES = 8 * 1024 * 1024
_LEADS_FOR_S = 0.02


class _Ticket:
    """One record on its way, and the thread that waits for it."""

    __slots__ = ("failure", "gone", "leads", "record", "settled", "woken")

    def __init__(self, record: EncodedRecord | None) -> None:
        self.record = record
        self.woken = threading.Lock()
        self.woken.acquire()
        self.failure: Callable[[], RustrakError] | None = None
        self.leads = False
        self.settled = False
        self.gone = False


class GroupCommit:
    """Brings the records of many threads to disk in groups.

    The first thread to come leads: it writes what waits, and goes on while more has come meanwhile, so that everything
    that arrives during one sync shares the next. After some milliseconds it hands over to a thread that waits, since it
    has a client of its own to answer.

    Args:
        write: Writes the records of a group and returns None, or what each of its threads is to raise. It is called by
            one thread at a time.
    """

    def __init__(self, write: Callable[[Sequence[EncodedRecord]], Callable[[], RustrakError] | None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: list[_Ticket] = []
        self._led = False

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

    def _lead(self, own: _Ticket) -> None:
        until = time.monotonic() + _LEADS_FOR_S
        while group := self._next_group(own, until):
            failure: Callable[[], RustrakError] | None = _interrupted
            try:
                failure = self._write([ticket.record for ticket in group if ticket.record is not None])
            except BaseException:
                until = 0.0
                self._settle(group, own, failure)
                self._resign(own)
                raise
            self._settle(group, own, failure)

    def _settle(self, group: list[_Ticket], own: _Ticket, failure: Callable[[], RustrakError] | None) -> None:
        for ticket in group:
            ticket.failure = failure
            ticket.settled = True
            if ticket is not own:
                ticket.woken.release()

    def _next_group(self, own: _Ticket, until: float) -> list[_Ticket]:
        with self._lock:
            if not self._waiting:
                self._led = False
                return []
            if own.settled and time.monotonic() > until and self._hand_over():
                return []
            size = count = 0
            for ticket in self._waiting:
                size += ticket.record.size if ticket.record else 0
                if count and size > _GROUP_BYTES:
                    break
                count += 1
            group, self._waiting = self._waiting[:count], self._waiting[count:]
            return group

    def _resign(self, own: _Ticket) -> None:
        with self._lock:
            if own in self._waiting:
                self._waiting.remove(own)
            if not self._hand_over():
                self._led = False

    def _hand_over(self) -> bool:
        for ticket in self._waiting:
            if not ticket.gone:
                ticket.leads = True
                ticket.woken.release()
                return True
        return False


def _interrupted() -> RustrakError:
    return SpoolUnavailableError("the write was interrupted; nothing was kept, send it again")
