"""What ends a command from outside."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Have SIGTERM, and a terminal that is closed, end what is done here as Ctrl-C does: what it made goes with it.

    Once it ends so, further signals change nothing until the process is gone, or clearing away would be what they end.
    What the process ignores, as under nohup, it goes on to ignore.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [number for number, does in before.items() if does in {signal.SIG_DFL, signal.default_int_handler}]
    is_ending = False

    def end(_number: int, _frame: object) -> NoReturn:
        nonlocal is_ending
        is_ending = True
        for number in heard:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in heard:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in () if is_ending else heard:
            signal.signal(number, before[number])
