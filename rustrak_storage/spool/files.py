"""What a spool asks of the file system: whole writes, writes that reached the disk, locks, a folder of our own."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rustrak_core.errors import ConfigurationError
from rustrak_storage.spool.record import FORMAT_VERSION

_IOV_MAX = 512
_FORMAT_FILE = "FORMAT"
_FORMAT_TEXT = "rustrak spool {}\n"


def write_all(fd: int, pieces: Sequence[bytes]) -> None:
    """Append *pieces* to *fd*, all of them.

    Raises:
        OSError: as ``write`` does; a part may have been written.
    """
    for first in range(0, len(pieces), _IOV_MAX):
        part = pieces[first : first + _IOV_MAX]
        written = os.writev(fd, part)
        if written < sum(map(len, part)):
            rest = memoryview(b"".join(part))[written:]
            while rest:
                rest = rest[os.write(fd, rest) :]


def sync(fd: int) -> None:
    """Return when the data written to *fd* would survive a power cut."""
    if hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync stops at the drive's cache
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    elif hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def sync_directory(path: Path) -> None:
    """Return when the names in the folder *path* would survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lock_file(path: Path) -> int | None:
    """Take the lock on *path*, creating the file if need be.

    Returns:
        A descriptor, to be closed to give the lock back; None where someone else has it, or the file's folder is gone.
        The lock is of the descriptor: two takers in one process exclude each other, and a forked child keeps it too.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, its owner may have removed the folder: then the lock is worth nothing.
        if os.path.samestat(os.fstat(fd), path.stat()):
            return fd
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


@contextlib.contextmanager
def held_lock(path: Path) -> Iterator[None]:
    """Hold the lock on *path*, creating the file if need be, and waiting for whoever has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def prepare_directory(directory: Path) -> None:
    """Make *directory* a spool's folder, or see that it is one.

    Raises:
        ConfigurationError: it is not a folder, not ours, of another version, or cannot be written; nothing was touched.
    """
    with _told(directory):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _is_spool(directory):
            _sync_names_above(directory)
            _write_format(directory)


def check_directory(directory: Path) -> None:
    """Return if *directory* is a spool's folder, or could become one: it is empty, or not there. Changes nothing.

    Raises:
        ConfigurationError: as `prepare_directory`.
    """
    with _told(directory), contextlib.suppress(FileNotFoundError):
        _is_spool(directory)


def _is_spool(directory: Path) -> bool:
    """Return whether *directory* is a spool's folder, rather than empty.

    Raises:
        ConfigurationError: it is neither, or the spool is of another version, or cannot be written.
    """
    names = [path.name for path in directory.iterdir() if not path.name.startswith(".")]
    if _FORMAT_FILE in names:
        _check_format(directory)
    elif names:
        raise ConfigurationError(
            f"{directory} holds files but is not a spool (it has no {_FORMAT_FILE} file); "
            "set RUSTRAK_DATA_DIR to a folder of Rustrak's own, or move these files away"
        )
    return bool(names)


@contextlib.contextmanager
def _told(directory: Path) -> Iterator[None]:
    """Turn what the system says of *directory* into an error that says what to do."""
    try:
        yield
    except OSError as error:
        if directory.is_file():
            message = (
                f"{directory} is a file, but the spool needs a folder there; move the file, or set --data-dir "
                "(RUSTRAK_DATA_DIR)"
            )
            raise ConfigurationError(message) from error
        raise ConfigurationError(
            f"the spool folder {directory} cannot be used: {error.strerror}; "
            "make it readable and writable for this user, or set --data-dir (RUSTRAK_DATA_DIR) to a folder that is"
        ) from error


def _sync_names_above(directory: Path) -> None:
    """Make durable that *directory* is where it is; folders above may have been created a moment ago, by others too."""
    for above in directory.resolve().parents:
        with contextlib.suppress(OSError):  # one that we may not read is not one that we created
            sync_directory(above)


def _check_format(directory: Path) -> None:
    text = (directory / _FORMAT_FILE).read_text("utf-8", "replace")
    if text != _FORMAT_TEXT.format(FORMAT_VERSION):
        raise ConfigurationError(
            f"{directory} is a spool of another version ({text.strip()[:40]!r}; this Rustrak reads version "
            f"{FORMAT_VERSION}); let the version that wrote it drain it, then move it away; "
            "or set another RUSTRAK_DATA_DIR"
        )
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"the spool folder {directory} cannot be written; make it writable for this user")


def _write_format(directory: Path) -> None:
    # Its name appears with its content, and before anything else: whoever finds other files without it is elsewhere.
    draft = directory / f".{_FORMAT_FILE}.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(_FORMAT_TEXT.format(FORMAT_VERSION))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(directory / _FORMAT_FILE)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    sync_directory(directory)
