"""The roles of ``rustrak serve``: which parts of a server a command runs, where several share a database."""

from enum import StrEnum

from rustrak_core.errors import ConfigurationError

_OF_ONE_PROCESS = {"memory": "a database in memory", "duckdb": "a DuckDB file"}


class ServerRole(StrEnum):
    """What a server is there for.

    Whoever accepts keeps events in the spool of its data directory; whoever digests takes them from there. So each
    data directory in which events are accepted needs a worker beside it, on the same machine.
    """

    ALL = "all"
    HTTP = "http"
    WORKER = "worker"

    @property
    def accepts(self) -> bool:
        """Whether it listens, accepts events, and answers the API."""
        return self is not ServerRole.WORKER

    @property
    def digests(self) -> bool:
        """Whether it digests what was accepted in its data directory."""
        return self is not ServerRole.HTTP


def digests_in_thread(database_url: str) -> bool:
    """Tell whether what is accepted must be digested in a thread of the one process that has the database open."""
    return _scheme(database_url) == "duckdb"


def is_of_one_process(database_url: str) -> bool:
    """Tell whether no other process can use the database while one has it open."""
    return _scheme(database_url) in _OF_ONE_PROCESS


def require_shareable(database_url: str, *, role: ServerRole, processes: int, workers: int) -> None:
    """Return if a server of that *role*, with so many processes, can use the database.

    Raises:
        ConfigurationError: a database of that kind belongs to one process.
    """
    kept = _OF_ONE_PROCESS.get(_scheme(database_url))
    if kept is None:
        return
    if role is not ServerRole.ALL:
        raise ConfigurationError(
            f"--role {role} (RUSTRAK_ROLE) is for servers that share a database, and {kept} belongs to one process; "
            "leave --role away, or set --database-url (RUSTRAK_DATABASE_URL) to PostgreSQL, MariaDB or SQLite"
        )
    if not digests_in_thread(database_url):
        raise ConfigurationError(
            f"{kept} is of one process, and `rustrak serve` has several; leave --database-url away"
        )
    for option, count in (("processes", processes), ("workers", workers)):
        if count > 1:
            raise ConfigurationError(
                f"--{option} {count} (RUSTRAK_{option.upper()}): {kept} belongs to one process, which then digests in "
                f"a thread; leave --{option} away, or set --database-url (RUSTRAK_DATABASE_URL) to PostgreSQL, MariaDB "
                "or SQLite"
            )


def _scheme(database_url: str) -> str:
    return database_url.partition(":")[0].partition("+")[0].lower()
