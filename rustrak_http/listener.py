"""The listening socket: waitress' own, which makes room for new connections and has an express lane."""

import threading
import time
from collections import deque
from typing import Any

from waitress.server import TcpWSGIServer

from rustrak_http.connection import Connection
from rustrak_http.express import Lane
from rustrak_http.header_memory import HeaderMemory
from rustrak_http.request_parser import HARD_BODY_BYTES

ROOM_EVERY_S = 0.2
ROOM_IDLE_S = 1.0
ROOM_SLOW_S = 30.0
"""Where as many connections are open as may be, one that was idle for so long, or whose request has been coming in for
so long, is closed for others. SDKs open another, or have given up by then."""

ROOM_RATE_S = 5.0
ROOM_BYTES_PER_S = 1000
"""Likewise one whose request has been coming in for so long at fewer bytes a second, headers included."""

_STALLED_S = 1.0


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """The listening socket.

    Attributes:
        loop: Waits for it and its connections.
        lane: The express lane; None where all requests go through the application.
        accepts_at_once: How many connections a turn of the loop accepts.
        stopping: Connections are closed after the request that they are at.
        trusts_proxy: waitress looks after the headers of proxies; else they are dropped.
    """

    channel_class = Connection
    loop: Any = None
    stopping = False
    trusts_proxy = False
    kept_body_bytes = HARD_BODY_BYTES
    accepts_at_once = 64

    def __init__(self, *args: Any, lane: Lane | None = None, **kwargs: Any) -> None:
        self.lane = lane
        self.header_memory = HeaderMemory(lane)
        self._answers: deque[tuple[Any, bytes | None]] = deque()
        self._told = False
        self._room_at = 0.0
        self._watched_since = 0.0
        self._trigger_lock = threading.RLock()  # re-entrant, since a signal handler may come in between
        super().__init__(*args, **kwargs)

    def handle_accept(self) -> None:
        """Accept all connections that wait, up to a number that keeps the others served."""
        for _ in range(self.accepts_at_once):
            if not self.accept_one():
                return

    @property
    def is_full(self) -> bool:
        """Whether as many connections are open as may be."""
        return len(self._map) >= int(self.adj.connection_limit)

    def readable(self) -> bool:
        """Tell whether connections may be accepted; where there are too many, close some that have waited longest."""
        if self.accepting and self.is_full:
            self._make_room(time.monotonic())
        allowed: bool = super().readable()
        return allowed

    def accept_one(self) -> bool:
        """Accept a connection that waits; tell whether there was one."""
        before = len(self._map)
        super().handle_accept()
        return len(self._map) > before

    def add_task(self, channel: Any) -> None:
        """Have the next request of *channel* answered, by the express lane if it takes it, else by a thread."""
        if self.lane is None or not channel.take_lane():
            super().add_task(channel)

    def answered(self, channel: Any, body: bytes | None) -> None:
        """Have the loop send the answer of the express lane, or None the long way; called by any thread."""
        self._answers.append((channel, body))
        if not self._told:
            self._told = True
            self.pull_trigger()

    def finish_turn(self) -> None:
        """Send answers that have come meanwhile, and have kept what was taken in; the loop calls it at each turn."""
        self._told = False
        while self._answers:
            channel, body = self._answers.popleft()
            if body is None:
                super().add_task(channel)
            else:
                channel.answer(body)
        if self.lane is not None:
            self.lane.push()

    def pull_trigger(self) -> None:
        """Wake the loop, unless it has ended: the number of its pipe may be another file's by now."""
        with self._trigger_lock:
            if not self.trigger._closed:  # noqa: SLF001 - waitress has no other name for it
                super().pull_trigger()

    def close(self) -> None:
        """Close the listening socket and the trigger."""
        with self._trigger_lock:
            super().close()

    def maintenance(self, now: float) -> None:
        """Close connections that were idle for too long."""
        cutoff = now - self.adj.channel_timeout
        for channel in list(self.active_channels.values()):
            if not channel.requests and channel.last_activity < cutoff:
                channel.handle_close()

    def _make_room(self, now: float) -> None:
        """Close the idlest connections, else those whose request comes in too slowly, so that others get in."""
        if now < self._room_at + ROOM_EVERY_S:
            return
        if now > self._room_at + _STALLED_S:  # there was room, or this process did not get to read: blame nobody
            self._watched_since = now
        self._room_at = now
        channels = sorted(self.active_channels.values(), key=lambda channel: channel.last_activity)
        idle_before = time.time() - ROOM_IDLE_S
        idle = [channel for channel in channels if channel.is_idle() and channel.last_activity < idle_before]
        slow = [channel for channel in channels if self._is_too_slow(channel, now)]
        for channel in [*idle, *slow][: len(channels) // 4 + 1]:
            channel.handle_close()

    def _is_too_slow(self, channel: Any, now: float) -> bool:
        seconds, size = channel.watched(now, since=self._watched_since)
        return bool(seconds > ROOM_SLOW_S or (seconds > ROOM_RATE_S and size < ROOM_BYTES_PER_S * seconds))

    def stop_listening(self) -> None:
        """Close the listening socket, but not the trigger, by which threads wake the loop."""
        self.accepting = False
        self.del_channel()
        self.socket.close()
