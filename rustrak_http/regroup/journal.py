"""The undo file: each line is on disk before what it tells of is committed."""

import fcntl
import os
from collections.abc import Iterator
from io import BufferedRandom
from pathlib import Path
from typing import Self

from rustrak_core.errors import ConfigurationError, MalformedUndoError
from rustrak_core.ports import Refiled
from rustrak_core.regroup.undo import End, Heirs, Line, UndoHeader, read_line, write_line


class Journal:
    """An undo file, open for one process.

    Attributes:
        path: Where it is.
        header: Its first line.
        heirs: Those that were written, None before they were.
        ended: ``done`` or ``undone``, ``""`` for neither.
    """

    def __init__(self, path: Path, file: BufferedRandom, header: UndoHeader) -> None:
        self.path = path
        self.header = header
        self.heirs: Heirs | None = None
        self.ended = ""
        self._file = file
        self._batches: list[int] = []

    @classmethod
    def create(cls, path: Path, header: UndoHeader) -> Self:
        """Begin a file.

        Raises:
            ConfigurationError: there is one already, or it cannot be written.
        """
        new = path.with_name(f"{path.name}.new")
        try:
            if path.exists():
                raise ConfigurationError(f"there is a file {path} already; name another with --undo-file")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(write_line(header))
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)  # so that a file of that name has its first line, whatever happens
            _sync_folder(path)
        except OSError as error:
            raise ConfigurationError(f"cannot write the undo file {path}: {error.strerror}") from error
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a file that is there; half a line at its end, which a crash may leave, is cut off.

        Raises:
            ConfigurationError: it cannot be read or written, or another process has it open.
            MalformedUndoError: a line of it is damaged.
        """
        try:
            file = path.open("r+b")
        except OSError as error:
            raise ConfigurationError(f"cannot open the undo file {path}: {error.strerror}") from error
        try:
            _lock(path, file)
            return cls._read(path, file)
        except BaseException:
            file.close()
            raise

    @classmethod
    def _read(cls, path: Path, file: BufferedRandom) -> Self:
        journal: Self | None = None
        offset = 0
        for number, data in enumerate(file, 1):
            if not data.endswith(b"\n"):
                file.truncate(offset)  # what it was to tell of was not committed
                break
            line = read_line(data, number)
            if isinstance(line, UndoHeader):
                journal = cls(path, file, line)
            elif journal is not None:
                journal._take(line, offset)
            offset += len(data)
        if journal is None:
            raise MalformedUndoError("is missing: the file is empty, or not one of `rustrak regroup`", line=1)
        return journal

    def write(self, line: Line) -> None:
        """Append *line*, and return once it is on disk.

        Raises:
            ConfigurationError: it cannot be written.
        """
        try:
            offset = self._file.seek(0, os.SEEK_END)
            self._file.write(write_line(line))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise ConfigurationError(f"cannot write the undo file {self.path}: {error.strerror}") from error
        self._take(line, offset)

    def __len__(self) -> int:
        return len(self._batches)

    def backwards(self) -> Iterator[Refiled]:
        """Yield what was done, the last first, read one by one."""
        for number, offset in reversed(list(enumerate(self._batches, 1))):
            self._file.seek(offset)
            line = read_line(self._file.readline(), number + 1)
            assert isinstance(line, Refiled)  # noqa: S101 - it was when the file was opened
            yield line

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _take(self, line: Line, offset: int) -> None:
        if isinstance(line, Heirs):
            self.heirs = line
        elif isinstance(line, End):
            self.ended = line.word
        elif isinstance(line, Refiled):
            self._batches.append(offset)


def _sync_folder(path: Path) -> None:
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _lock(path: Path, file: BufferedRandom) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigurationError(f"another process is at work with the undo file {path}; wait until it ends") from None
