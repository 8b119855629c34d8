"""Bodies that come in at granian: which are given up, so that others get in."""

from typing import Any

import pytest

pytest.importorskip("granian", reason="granian is not installed; it comes with the extra `fast`")

from rustrak_http.granian_server import _Incoming, _Target
from rustrak_http.server import ServerSettings

ROOM = 4


class Body:
    """Stands for the task that reads a body."""

    def __init__(self) -> None:
        self.is_given_up = False

    def cancel(self) -> None:
        self.is_given_up = True


def target_with(*sizes: int) -> tuple[Any, list[Body]]:
    """Return what granian calls, with bodies that began at 0 and have brought so many bytes by now."""
    target: Any = _Target(lambda *_: [], ServerSettings(body_bytes=1, connections=ROOM))
    bodies = [Body() for _ in sizes]
    target._incoming = {body: _Incoming(0.0, 0.0, size) for body, size in zip(bodies, sizes, strict=True)}
    return target, bodies


def given_up(bodies: list[Body]) -> list[bool]:
    return [body.is_given_up for body in bodies]


def look(target: Any, begin: int, end: int) -> None:
    """Look at bodies once a second, as the server does."""
    for now in range(begin, end):
        target.give_up_slow_bodies(float(now))


def test_slow_bodies_where_places_are_short() -> None:
    """Once half of the connections bring bodies, those under 1,000 bytes a second go after five; others stay."""
    target, bodies = target_with(5_000, 1_000_000)
    look(target, 0, 6)
    assert given_up(bodies) == [False, False]
    look(target, 6, 8)
    assert given_up(bodies) == [True, False]
    look(target, 8, 32)
    assert given_up(bodies) == [True, True]  # after 30 seconds, however quick it is


def test_slow_bodies_where_there_is_room() -> None:
    """Nobody is kept out by one, so that it may take its time, while anything comes."""
    target, bodies = target_with(5_000)
    look(target, 0, 100)
    assert given_up(bodies) == [False]
    look(target, 100, 130)  # nothing came for two minutes
    assert given_up(bodies) == [True]


def test_a_server_that_stood_still_blames_nobody() -> None:
    """What it did not get to read meanwhile is not late."""
    target, bodies = target_with(5_000, 5_000)
    look(target, 0, 3)
    look(target, 60, 65)
    assert given_up(bodies) == [False, False]
    look(target, 65, 68)
    assert given_up(bodies) == [True, True]
