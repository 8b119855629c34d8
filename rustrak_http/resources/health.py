"""``/health`` and ``/health/ready``: is the process alive, and could it do its work now?"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime

import falcon

from rustrak_core.errors import OverloadError, RustrakError, SchemaError
from rustrak_core.ports import Maintenance, Spool
from rustrak_http.answers import answer
from rustrak_http.errors import NotReadyError

WorkerProbe = Callable[[], bool | str | None]
"""Tells whether the digest worker lives: True or None if so, else False, or a text that says what is wrong."""

_log = logging.getLogger("rustrak.http")
_DISK_REASON = "disk"


class LiveResource:
    """``/health``: the process answers. Nothing else is looked at, so that no outage has it restarted."""

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer ok."""
        answer(resp, {"status": "ok"})


class ReadyResource:
    """``/health/ready``: all that accepting and digesting need is there."""

    def __init__(
        self,
        store: Maintenance,
        *,
        spool: Spool | None,
        worker_alive: WorkerProbe | None,
        clock: Callable[[], datetime],
        undigested_max_s: float,
        role: str | None = None,
    ) -> None:
        self._store = store
        self._spool = spool
        self._worker_alive = worker_alive
        self._clock = clock
        self._undigested_max_s = undigested_max_s
        self._role = role

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer ok with what each check found.

        Raises:
            NotReadyError: a check failed.
        """
        found: dict[str, str] = {} if self._role is None else {"role": self._role}
        failing: list[str] = []
        for name, fault, well in self._checks():
            found[name] = fault or well
            if fault:
                failing.append(name)
        if failing:
            raise NotReadyError(tuple(failing), {"status": "unavailable", **found})
        answer(resp, {"status": "ok", **found})

    def _checks(self) -> Iterator[tuple[str, str | None, str]]:
        """Yield for each check its name, its fault or None, and the word for being well."""
        fault = _fault_of(self._store.check)
        schema = isinstance(fault, SchemaError)
        yield "database", None if schema else _text(fault), "connected"
        yield "migrations", _text(fault) if schema else None, "current" if fault is None or schema else "unknown"
        if self._spool is not None:
            fault = _fault_of(self._spool.check)
            disk = isinstance(fault, OverloadError) and _DISK_REASON in fault.reason
            yield "spool", None if disk else _text(fault), "writable"
            yield "disk", _text(fault) if disk else None, "enough"
            yield "backlog", self._backlog(self._spool), "fresh"
        if self._worker_alive is not None:
            yield "worker", self._worker(self._worker_alive), "alive"

    def _backlog(self, spool: Spool) -> str | None:
        ages: list[float] = []

        def measure() -> None:
            oldest = spool.stats().oldest_at
            if oldest is not None:
                ages.append((self._clock() - oldest).total_seconds())

        fault = _fault_of(measure)
        if fault is not None:
            return _text(fault)
        if ages and ages[0] > self._undigested_max_s:
            return f"the oldest undigested event has waited {ages[0]:.0f} s; see the digest worker's log"
        return None

    @staticmethod
    def _worker(probe: WorkerProbe) -> str | None:
        said: list[bool | str | None] = []
        fault = _fault_of(lambda: said.append(probe()))
        if fault is not None:
            return _text(fault)
        if isinstance(said[0], str):
            return said[0] or None
        return "no heartbeat; the digest worker is dead or stuck, see its log" if said[0] is False else None


def _fault_of(check: Callable[[], object]) -> Exception | None:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - whatever it is, we are not ready, and the prober is owed an answer
        if not isinstance(error, RustrakError):
            _log.warning("readiness_check_failed error=%s", type(error).__qualname__)
        return error
    return None


def _text(fault: Exception | None) -> str | None:
    """Return what may be shown of *fault*: our own texts, no driver's."""
    if fault is None:
        return None
    return str(fault) if isinstance(fault, RustrakError) else "unavailable; see the log"
