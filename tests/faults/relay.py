"""What stands between a server and its database: it passes bytes on, late if asked to, or not at all."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Self


class Relay:
    """Listens on a port, and passes on what comes, both ways.

    Attributes:
        port: Where it listens, and does again after it was cut.
        broken: How many connections were broken one by one.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._delay_s = 0.0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.broken = 0

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._break()
        for thread in self._threads:
            thread.join(10)

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Break all connections, and refuse others."""
        self._break()
        yield
        self._listen()

    @contextlib.contextmanager
    def slow(self, delay_s: float) -> Iterator[None]:
        """Hold each piece back for so long, which makes every statement take that twice."""
        self._delay_s = delay_s
        yield
        self._delay_s = 0.0

    @contextlib.contextmanager
    def frayed(self, chance: random.Random, *, pause_s: float) -> Iterator[None]:
        """Break a connection at a time, whichever it is and whatever it is at, with pauses of *pause_s* on average."""
        over = threading.Event()

        def break_some() -> None:
            while not over.wait(chance.uniform(0, 2 * pause_s)):
                with self._lock:
                    passing = [sock for sock in self._open if sock is not self._listener]
                if passing:
                    with contextlib.suppress(OSError):
                        chance.choice(passing).shutdown(socket.SHUT_RDWR)
                        self.broken += 1

        thread = threading.Thread(target=break_some, name="fray", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._listener = listener
        self.port = listener.getsockname()[1]
        self._keep(listener)
        self._start(self._accept, listener)

    def _break(self) -> None:
        with self._lock:
            sockets, self._open = self._open, set()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
            sock.close()

    def _keep(self, *sockets: socket.socket) -> None:
        with self._lock:
            self._open.update(sockets)

    def _start(self, work: object, *args: object) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=args, name="relay", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.create_connection(self._target, timeout=30)
                there.settimeout(None)
                self._keep(here, there)
                self._start(self._pass_on, here, there)
                self._start(self._pass_on, there, here)

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                time.sleep(self._delay_s)
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, sink}
        source.close()
