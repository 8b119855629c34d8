"""What can be wrong with a dataset, a question or a statement, and DuckDB's errors turned into ours."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from rustrak_core.errors import ConfigurationError, InvalidInputError, NotFoundError, RustrakError

_FULL = "the disk is full; free some space and do it again"
_DAMAGED = "the dataset is damaged; delete it and export it anew"
_MISSING = "files are missing; it was perhaps exported anew meanwhile, so try again, else delete it and export anew"
# What DuckDB says, in small letters, and what to do.
_HINTS = (
    ("no space left", _FULL),
    ("disk quota", _FULL),
    ("disk is full", _FULL),
    ("lock on file", "another process has it open; wait for it or end it"),
    ("different configuration", "this process has it open already, which must be closed first"),
    ("not a valid duckdb database", "it is no DuckDB database; name another path, or move the file away"),
    ("no magic bytes", _DAMAGED),
    ("read enough bytes", _DAMAGED),
    ("corrupt", _DAMAGED),
    ("too small to be a parquet", _DAMAGED),
    ("replaying wal", _DAMAGED),
    ("no files found", _MISSING),
    ("no such file", _MISSING),
)


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
        return _FULL
    if isinstance(error, OSError):
        return f"{error.strerror or error}; check the path and who owns it"
    text = first_line(error)
    return next((told for sign, told in _HINTS if sign in text.lower()), text)


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
