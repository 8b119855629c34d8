"""What ends a command from outside."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Have SIGTERM, and a terminal that is closed, end what is done here as Ctrl-C does: what it made goes with it.

    What the process ignores, as under nohup, it goes on to ignore.
    """
    heard = [number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_DFL]
    for number in heard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)
