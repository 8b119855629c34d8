"""What DuckDB complains of, and what to do about it. Its driver takes long to load, so that nothing here does."""

from typing import Any

OTHER_PROCESS = (
    "another process has the DuckDB file open, and a DuckDB file belongs to one process at a time: while "
    "`rustrak serve` runs on it, use the HTTP API, or stop the server and try again"
)
FORKED = (
    "a DuckDB file belongs to the process that opened it, and this one was forked from that; open the store after the "
    "fork instead, in one process"
)
# What DuckDB says, in small letters, and what to do.
_HINTS = (
    ("lock on file", OTHER_PROCESS),
    ("different configuration", "this process has the DuckDB file open already, with other settings; close that first"),
    ("not a valid duckdb database", "the file is no DuckDB database; move it away, or choose another"),
    ("newer version", "a newer DuckDB wrote the file; install that one: pip install --upgrade duckdb"),
    ("no space left", "the disk is full; free some space"),
    ("permission denied", "the DuckDB file, or its folder, cannot be read and written; check who owns it"),
    ("read-only", "the DuckDB file, or its folder, cannot be written; check who owns it"),
    ("no such file", "the DuckDB file cannot be opened; check that its folder exists and can be written"),
    ("is a directory", "the path of the DuckDB file leads to a folder; name a file"),
    ("out of memory", "DuckDB needs more memory; allow it with ?memory_limit=2GB at the end of the database URL"),
    ("does not exist", "tables are missing; was the file replaced? Restart to create or migrate them"),
    ("invalidated", "DuckDB gave up after a fault of the disk or of its own; restart"),
    ("corrupt", "the DuckDB file is damaged; restore a copy"),
    ("checksum", "the DuckDB file is damaged; restore a copy"),
)


def is_of_duckdb(error: BaseException | None) -> bool:
    """Tell whether DuckDB's driver raised an error."""
    return "duckdb" in type(error).__module__


def hint(error: BaseException) -> str | None:
    """Return what to do about an error of the driver, None where there is nothing to say but what DuckDB did."""
    said = str(error).lower()
    return next((text for sign, text in _HINTS if sign in said), None)


def is_conflict(error: Any) -> bool:
    """Tell whether a transaction lost a race against another."""
    return type(error).__name__ == "TransactionException" and "conflict" in str(error).lower()
