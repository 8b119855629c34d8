"""A disk on paper: notes what is done to a folder, and tells what a power cut at any moment may leave of it."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

_SECTOR = 64
"""Bytes that reach the disk as one. Real ones are larger; records of tests are small."""


@attrs.define(eq=False)
class Node:
    """A file or folder; folders have entries."""

    is_folder: bool
    entries: dict[str, "Node"] = attrs.field(factory=dict)


@attrs.frozen
class Change:
    """What was done to *node*, which is durable once that node was synced afterwards: to its bytes, or its entries.

    Attributes:
        kind: ``write`` (*at*, *data*), ``cut`` (*at*), ``link`` (*name*, *other*), ``unlink`` (*name*), ``move``
            (*name*, *other*, *to*), ``sync``, or ``note`` (*note*: what the test itself wants to know at that moment).
    """

    kind: str
    node: Node
    at: int = 0
    data: bytes = b""
    name: str = ""
    to: str = ""
    other: Node | None = None
    note: Any = None


class PaperDisk:
    """Notes what this process does below *root* through ``os``, which is done to the real folder as well.

    What `os` does not see, as a store to mapped memory, can be told with `wrote`.
    """

    def __init__(self, root: Path) -> None:
        self.changes: list[Change] = []
        self._root = root
        self._top = Node(is_folder=True)
        self._fds: dict[int, Node] = {}

    def note(self, what: Any) -> None:
        """Write *what* into the list of changes, at this moment."""
        self.changes.append(Change("note", self._top, note=what))

    def wrote(self, path: Path, at: int, data: bytes) -> None:
        """Note a write that `os` does not see."""
        found = self._find(path)
        if found is not None:
            self.changes.append(Change("write", found, at=at, data=data))

    def patch(self, patcher: pytest.MonkeyPatch) -> None:
        """Watch `os`, until *patcher* undoes it."""
        for name in ("open", "close", "write", "pwrite", "writev", "ftruncate", "fsync", "fdatasync"):
            patcher.setattr(os, name, getattr(self, f"_{name}")(getattr(os, name)))
        for name in ("mkdir", "unlink", "rmdir", "rename", "replace"):
            patcher.setattr(os, name, getattr(self, f"_{name}")(getattr(os, name)))

    def after_cut(self, moment: int, chance: random.Random, folder: Path) -> list[Any]:
        """Build in *folder* what a power cut before change *moment* may leave; return the notes up to then.

        What was synced is there. Of the rest, each change may have reached the disk or not, whatever its order; of
        bytes, some sectors, zeros standing for those that did not come.
        """
        synced: dict[Node, int] = {}
        for index, change in enumerate(self.changes[:moment]):
            if change.kind == "sync":
                synced[change.node] = index
        likely = chance.choice((0.0, 0.5, 0.5, 1.0))
        entries: dict[Node, dict[str, Node]] = {}
        contents: dict[Node, bytearray] = {}
        for index, change in enumerate(self.changes[:moment]):
            durable = index < synced.get(change.node, -1)
            if change.kind == "write":
                data = contents.setdefault(change.node, bytearray())
                _write(data, change, chance, 1.0 if durable else likely)
            elif durable or chance.random() < likely:
                _apply(change, entries.setdefault(change.node, {}), contents)
        _build(folder, self._top, entries, contents)
        return [change.note for change in self.changes[:moment] if change.kind == "note"]

    def _find(self, path: Any, dir_fd: int | None = None) -> Node | None:
        place = Path(os.fsdecode(path))
        if dir_fd is not None:
            place = Path(f"/proc/self/fd/{dir_fd}").readlink() / place
        if not place.is_relative_to(self._root):
            return None
        node: Node | None = self._top
        for part in place.relative_to(self._root).parts:
            node = None if node is None else node.entries.get(part)
        return node

    def _parent(self, path: Any, dir_fd: int | None = None) -> tuple[Node | None, str]:
        place = Path(os.fsdecode(path))
        return self._find(place.parent, dir_fd), place.name

    def _link(self, path: Any, dir_fd: int | None, node: Node) -> Node | None:
        parent, name = self._parent(path, dir_fd)
        if parent is None:
            return None
        parent.entries[name] = node
        self.changes.append(Change("link", parent, name=name, other=node))
        return node

    def _unlinked(self, path: Any, dir_fd: int | None) -> None:
        parent, name = self._parent(path, dir_fd)
        if parent is not None and parent.entries.pop(name, None) is not None:
            self.changes.append(Change("unlink", parent, name=name))

    def _moved(self, source: Any, target: Any) -> None:
        parent, name = self._parent(source)
        if parent is not None:
            node = parent.entries.pop(name)
            to = Path(os.fsdecode(target)).name  # within one folder: the spool moves nothing elsewhere
            parent.entries[to] = node
            self.changes.append(Change("move", parent, name=name, to=to, other=node))

    def _open(self, real: Callable[..., int]) -> Callable[..., int]:
        def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            fd = real(path, flags, mode, dir_fd=dir_fd)
            node = self._find(path, dir_fd)
            if node is None and flags & os.O_CREAT:
                node = self._link(path, dir_fd, Node(is_folder=False))
            if node is not None:
                self._fds[fd] = node
                if flags & os.O_TRUNC:
                    self.changes.append(Change("cut", node))
            return fd

        return opened

    def _close(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def closed(fd: int) -> None:
            self._fds.pop(fd, None)
            real(fd)

        return closed

    def _appended(self, fd: int, data: bytes) -> None:
        if fd in self._fds:
            end = os.lseek(fd, 0, os.SEEK_CUR)
            self.changes.append(Change("write", self._fds[fd], at=end - len(data), data=data))

    def _write(self, real: Callable[..., int]) -> Callable[..., int]:
        def write(fd: int, data: bytes) -> int:
            written = real(fd, data)
            self._appended(fd, bytes(data[:written]))
            return written

        return write

    def _writev(self, real: Callable[..., int]) -> Callable[..., int]:
        def writev(fd: int, pieces: list[bytes]) -> int:
            written = real(fd, pieces)
            self._appended(fd, b"".join(pieces)[:written])
            return written

        return writev

    def _pwrite(self, real: Callable[..., int]) -> Callable[..., int]:
        def pwrite(fd: int, data: bytes, at: int) -> int:
            written = real(fd, data, at)
            if fd in self._fds:
                self.changes.append(Change("write", self._fds[fd], at=at, data=bytes(data[:written])))
            return written

        return pwrite

    def _ftruncate(self, real: Callable[..., None]) -> Callable[..., None]:
        def ftruncate(fd: int, length: int) -> None:
            real(fd, length)
            if fd in self._fds:
                self.changes.append(Change("cut", self._fds[fd], at=length))

        return ftruncate

    def _fsync(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def synced(fd: int) -> None:
            real(fd)
            node = self._fds.get(fd)
            if node is None:  # perhaps of a Python file object, which opens and writes elsewhere
                path = Path(f"/proc/self/fd/{fd}").readlink()
                node = self._find(path) or self._link(path, None, Node(is_folder=False))
                if node is None:
                    return
                self.changes.append(Change("write", node, data=path.read_bytes()))
            self.changes.append(Change("sync", node))

        return synced

    _fdatasync = _fsync

    def _mkdir(self, real: Callable[..., None]) -> Callable[..., None]:
        def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            real(path, mode, dir_fd=dir_fd)
            self._link(path, dir_fd, Node(is_folder=True))

        return mkdir

    def _unlink(self, real: Callable[..., None]) -> Callable[..., None]:
        def unlink(path: Any, *, dir_fd: int | None = None) -> None:
            real(path, dir_fd=dir_fd)
            self._unlinked(path, dir_fd)

        return unlink

    _rmdir = _unlink

    def _rename(self, real: Callable[..., None]) -> Callable[..., None]:
        def rename(source: Any, target: Any) -> None:
            real(source, target)
            self._moved(source, target)

        return rename

    _replace = _rename


def _write(data: bytearray, change: Change, chance: random.Random, likely: float) -> None:
    for start in range(0, len(change.data), _SECTOR):
        if likely == 1 or chance.random() < likely:
            piece = change.data[start : start + _SECTOR]
            at = change.at + start
            data.extend(bytes(max(0, at + len(piece) - len(data))))
            data[at : at + len(piece)] = piece


def _apply(change: Change, entries: dict[str, Node], contents: dict[Node, bytearray]) -> None:
    match change.kind:
        case "cut":
            del contents.setdefault(change.node, bytearray())[change.at :]
        case "link":
            assert change.other is not None
            entries[change.name] = change.other
        case "unlink":
            entries.pop(change.name, None)
        case "move":
            assert change.other is not None
            entries.pop(change.name, None)
            entries[change.to] = change.other
        case _:
            pass


def _build(folder: Path, node: Node, entries: dict[Node, dict[str, Node]], contents: dict[Node, bytearray]) -> None:
    folder.mkdir()
    for name, child in entries.get(node, {}).items():
        if child.is_folder:
            _build(folder / name, child, entries, contents)
        else:
            (folder / name).write_bytes(contents.get(child, bytearray()))
