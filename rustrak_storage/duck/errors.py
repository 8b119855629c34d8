"""What can be wrong with a dataset, a question or a statement, and DuckDB's errors turned into ours."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from rustrak_core.errors import ConfigurationError, InvalidInputError, NotFoundError, RustrakError

_NO_SPACE = ("no space left", "disk quota", "disk is full")

_DAMAGED = ("no magic bytes", "read enough bytes", "corrupt", "too small to be a parquet")


class DatasetError(RustrakError):
    """A dataset cannot be read or written; the text says why and what to do, and what was there is as it was."""


class UnknownQuestionError(NotFoundError):
    """No question has that name."""


class StatementError(InvalidInputError):
    """A statement in SQL cannot be answered: it is wrong, or does more than read the dataset."""

    def __init__(self, reason: str) -> None:
        super().__init__("SQL", reason)


class MissingLibraryError(ConfigurationError):
    """What was asked for needs a library that is not installed."""

    def __init__(self, what: str, install: str) -> None:
        super().__init__(f"{what} needs a library that is not installed: pip install {install}")


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turn what fails while *what* is written into a `DatasetError`."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise DatasetError(f"{what} cannot be written: {reason(error)}") from error


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn what fails while *what* is opened or read into a `DatasetError`."""
    try:
        yield
    except (duckdb.Error, OSError) as error:
        raise DatasetError(f"{what} cannot be read: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Return what went wrong, on one line, and what to do."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the disk is full; free some space and do it again"
    if isinstance(error, OSError):
        return f"{error.strerror or error}; check the path and who owns it"
    text = first_line(error)
    lowered = text.lower()
    if any(sign in lowered for sign in _NO_SPACE):
        return "the disk is full; free some space and do it again"
    if "lock on file" in lowered:
        return "another process has it open; wait for it or end it"
    if "not a valid duckdb database" in lowered:
        return "it is no DuckDB database; name another path, or move the file away"
    if any(sign in lowered for sign in _DAMAGED):
        return "the dataset is damaged; delete it and export it anew"
    if "no files found" in lowered or "no such file" in lowered:
        return "files are missing; it was perhaps exported anew meanwhile, so try again, else delete it and export anew"
    return text


def check_text(name: str, text: str) -> None:
    """Return if DuckDB takes *text*, which is what *name* is given as.

    Raises:
        InvalidInputError: it holds lone surrogates, as which Python shows bytes that are no UTF-8.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInputError(name, "must be text in UTF-8") from None


def first_line(error: Exception) -> str:
    """Return the first line of what DuckDB says."""
    return str(error).strip().partition("\n")[0]
