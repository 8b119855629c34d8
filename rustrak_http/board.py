"""What the processes of one server know of each other: a few numbers in memory that parent and children share.

A child says that it lives, and what ails it; the others read that without a system call, a lock or a message. It is
made before the processes are, and gone with the last of them.
"""

import mmap
import struct
import time

import attrs

_SLOT_BYTES = 128
_SAID_BYTES = 80
_FACTS = struct.Struct(f"<QQ{_SAID_BYTES}s")
_BEAT_AT = _FACTS.size


@attrs.frozen(kw_only=True)
class ChildState:
    """How a child is.

    Attributes:
        pid: Its process id; None where none runs just now.
        beat_age_s: Seconds since its last sign of life, of this child or the one before; None where there was none yet.
        said: What it said with it, ASCII.
        restarts: How often it was started again.
    """

    pid: int | None
    beat_age_s: float | None
    said: str
    restarts: int


class Board:
    """Slots, one a child. The parent writes who is in a slot, the child how it is; anybody reads.

    Args:
        slots: How many there are.
    """

    def __init__(self, slots: int) -> None:
        self._map = mmap.mmap(-1, slots * _SLOT_BYTES)
        self._beats = memoryview(self._map).cast("d")

    def started(self, slot: int, pid: int | None, *, restarts: int) -> None:
        """Note who is in a slot now, None where nobody is."""
        _FACTS.pack_into(self._map, slot * _SLOT_BYTES, pid or 0, restarts, self._said(slot))

    def beat(self, slot: int, said: str = "") -> None:
        """Give a sign of life, and say what ails the child; at most 80 characters of ASCII."""
        at = slot * _SLOT_BYTES
        struct.pack_into(f"{_SAID_BYTES}s", self._map, at + 16, said.encode("ascii", "replace"))
        self._beats[(at + _BEAT_AT) // 8] = time.monotonic()  # one store, never seen by halves

    def state(self, slot: int) -> ChildState:
        """Return how the child in a slot is."""
        pid, restarts, said = _FACTS.unpack_from(self._map, slot * _SLOT_BYTES)
        beat = self._beats[(slot * _SLOT_BYTES + _BEAT_AT) // 8]
        return ChildState(
            pid=pid or None,
            beat_age_s=time.monotonic() - beat if beat else None,
            said=said.rstrip(b"\0").decode("ascii", "replace"),
            restarts=restarts,
        )

    def _said(self, slot: int) -> bytes:
        said: bytes = _FACTS.unpack_from(self._map, slot * _SLOT_BYTES)[2]
        return said
