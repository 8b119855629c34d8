"""The loop that waits for sockets: waitress' own, and on Linux one that costs the same however many are connected.

waitress asks every connection at every turn whether it wants to read or write, and each answered request makes a turn.
With epoll, a connection is armed for one event; the thread that has answered a request arms it again by itself, without
waking the loop.
"""

import select
import threading
from typing import Any, Protocol

from waitress import wasyncore


class Loop(Protocol):
    """Waits for sockets and calls what handles their events."""

    def turn(self, timeout_s: float) -> None:
        """Wait for events up to *timeout_s* seconds, and handle those that are there."""
        ...

    def wake(self, channel: Any) -> None:
        """Note, from any thread, that what *channel* waits for may have changed."""
        ...

    def forget(self, channel: Any) -> None:
        """Take a channel out of the map, its socket being about to be closed."""
        ...

    def close(self) -> None:
        """Release the loop's own files."""
        ...


class PollLoop:
    """waitress' own loop, on any platform."""

    def __init__(self, server: Any, channels: dict[int, Any]) -> None:
        self._server = server
        self._map = channels

    def turn(self, timeout_s: float) -> None:
        """Ask every channel what it waits for, and wait."""
        wasyncore.poll2(timeout_s, self._map)
        self._server.finish_turn()

    def wake(self, channel: Any) -> None:
        """Wake the loop, which asks everyone."""
        del channel
        self._server.pull_trigger()

    def forget(self, channel: Any) -> None:
        """Do nothing: what is not in the map is not waited for."""

    def close(self) -> None:
        """Do nothing: there are no files."""


class EpollLoop:
    """A loop for Linux. Listener and trigger are always armed; channels for one event at a time."""

    def __init__(self, server: Any, channels: dict[int, Any]) -> None:
        self._server = server
        self._map = channels
        self._epoll = select.epoll()
        self._lock = threading.Lock()
        self._armed: set[int] = set()
        self._listening = True
        self._epoll.register(server.socket, select.EPOLLIN)
        self._epoll.register(server.trigger.socket.fileno(), select.EPOLLIN)

    def turn(self, timeout_s: float) -> None:
        """Wait, and handle each event in the order of arrival."""
        self._watch_listener()
        for fd, events in self._epoll.poll(timeout_s, 256):
            obj = self._map.get(fd)
            if obj is None:
                continue
            wasyncore.readwrite(obj, events)
            if obj is not self._server and obj is not self._server.trigger:
                self.wake(obj)
        self._server.finish_turn()

    def wake(self, channel: Any) -> None:
        """Arm a channel for what it waits for now, if anything.

        The lock makes the last caller the one that saw the newest state. Nothing is ever disarmed but by an event.
        """
        with self._lock:
            fd = channel._fileno  # noqa: SLF001 - waitress has no other name for it
            if fd is None or not self._is_here(channel, fd):
                return
            events = (select.EPOLLIN if channel.readable() else 0) | (select.EPOLLOUT if channel.writable() else 0)
            if not events:
                return
            if fd in self._armed:
                self._epoll.modify(fd, events | select.EPOLLONESHOT)
            else:
                self._armed.add(fd)
                self._epoll.register(fd, events | select.EPOLLONESHOT)

    def forget(self, channel: Any) -> None:
        """Take a channel out, so that no thread arms a number that another connection has got meanwhile."""
        with self._lock:
            fd = channel._fileno  # noqa: SLF001 - as above
            if fd in self._armed:
                self._armed.discard(fd)
                self._epoll.unregister(fd)

    def close(self) -> None:
        """Close the epoll."""
        self._epoll.close()

    def _is_here(self, channel: Any, fd: int) -> bool:
        return self._map.get(fd) is channel

    def _watch_listener(self) -> None:
        """Listen or not, as the number of connections allows; idle ones are closed at the same occasion."""
        server = self._server
        wanted = server.readable()
        if wanted != self._listening and server.accepting:
            self._listening = wanted
            self._epoll.modify(server.socket, select.EPOLLIN if wanted else 0)


def make_loop(server: Any, channels: dict[int, Any]) -> Loop:
    """Return the best loop that this platform has."""
    return EpollLoop(server, channels) if hasattr(select, "epoll") else PollLoop(server, channels)
