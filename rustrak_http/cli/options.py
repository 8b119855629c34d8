"""The options that commands share, and what they lead to: a data directory, a store, a DSN.

Every option is an environment variable too, by one rule: ``--data-dir`` is ``RUSTRAK_DATA_DIR``.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from rustrak_core.errors import ConfigurationError, InvalidInputError, MalformedDsnError, UnknownProjectError
from rustrak_core.project import ProjectId
from rustrak_core.quota import Quota

if TYPE_CHECKING:
    from rustrak_core.ports import Store
    from rustrak_core.project import Project
    from rustrak_core.tracker import Tracker

F = TypeVar("F", bound=Callable[..., Any])

MAX_ID_DIGITS = 16
DATABASE_FILE = "rustrak.db"
SPOOL_FOLDER = "spool"
QUOTA_FILE = "quotas"
URL_FILE = "public_url"
URL_DEFAULT = "http://127.0.0.1:8080"


class Integer(click.IntRange):
    """An integer within bounds, which a refused text is told by its own name."""

    name = "integer"


class Number(click.FloatRange):
    """A number within bounds, with or without a fraction."""

    name = "number"


def option(*declarations: str, **settings: Any) -> Callable[[F], F]:
    """Declare an option that is an environment variable too, as ``click.option`` does and with the same settings."""
    long = next(text for text in declarations if text.startswith("--"))
    name = long.removeprefix("--").partition("/")[0].replace("-", "_").upper()
    settings.setdefault("envvar", f"RUSTRAK_{name}")
    settings.setdefault("show_envvar", True)
    return click.option(*declarations, **settings)


def quota_option(name: str, default: int, text: str) -> Callable[[F], F]:
    """Declare an option that is a quota; the command gets a `rustrak_core.quota.Quota`."""

    def parsed(_ctx: click.Context, _param: click.Parameter, given: str) -> Quota:
        try:
            return Quota.parse(given)
        except InvalidInputError as error:
            raise click.BadParameter(f"{error}; write as in 5000, error=5000,attachment=100, or none") from None

    return option(name, default=str(default), show_default=True, callback=parsed, metavar="QUOTA", help=text)


@attrs.frozen(kw_only=True)
class Place:
    """Where the data of an installation is.

    Attributes:
        data_dir: The folder of the spool, the cached keys and, by default, the database.
        database_url: The database, as SQLAlchemy writes URLs; holds a password perhaps, so it is never printed.
    """

    data_dir: Path
    database_url: str = attrs.field(repr=False)

    @property
    def spool_dir(self) -> Path:
        """The folder of accepted events that wait to be digested."""
        return self.data_dir / SPOOL_FOLDER

    @property
    def quota_file(self) -> Path:
        """The file in which the processes of this machine count against quotas."""
        return self.data_dir / QUOTA_FILE

    @property
    def database_file(self) -> Path | None:
        """The file of SQLite or DuckDB, or None where the database is another one."""
        scheme, _, path = self.database_url.partition(":///")
        file = path.partition("?")[0]
        return Path(file) if scheme.startswith(("sqlite", "duckdb")) and file not in {"", ":memory:"} else None

    def make(self) -> None:
        """Create the data directory, for its owner alone.

        Raises:
            ConfigurationError: it cannot be created, or is no directory.
        """
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            why = "a file has that name" if isinstance(error, FileExistsError) else error.strerror
            reason = f"cannot create the data directory {self.data_dir}: {why}"
            raise ConfigurationError(f"{reason}; choose another with --data-dir") from error


def data_dir_default() -> str:
    """Return the platform's folder for data of this user's applications."""
    import platformdirs

    return platformdirs.user_data_dir("rustrak", appauthor=False)


def with_place(command: F) -> F:
    """Give a command ``--data-dir`` and ``--database-url``; it gets them as one argument, ``place: Place``."""

    @option("--data-dir", default=data_dir_default, metavar="DIR", help="Folder of all data.")
    @option("--database-url", metavar="URL", help="Database; a SQLite file in the data directory by default.")
    @functools.wraps(command)
    def wrapper(*args: Any, data_dir: str, database_url: str | None, **kwargs: Any) -> Any:
        return command(*args, place=make_place(data_dir, database_url), **kwargs)

    return wrapper  # type: ignore[return-value]


def make_place(data_dir: str | Path, database_url: str | None) -> Place:
    """Return the place that two options name; relative folders begin where the command was started."""
    folder = Path(data_dir).expanduser().absolute()
    if database_url is None and set("?%") & set(str(folder)):  # SQLAlchemy 2.0 and 2.1 read them differently
        raise ConfigurationError("the data directory's path holds ? or %, which a database URL cannot; use another")
    return Place(data_dir=folder, database_url=database_url or f"sqlite:///{folder / DATABASE_FILE}")


def public_url_option(command: F) -> F:
    """Give a command ``--public-url``, from which DSNs are built; None where it is not set."""
    return option("--public-url", metavar="URL", help="URL at which applications reach the server, as DSNs show it.")(
        command
    )


def json_option(command: F) -> F:
    """Give a command ``--json``; it gets the argument ``as_json: bool``."""
    return option("--json", "as_json", is_flag=True, help="Print JSON, in the shapes of the API.")(command)


def open_configured_store(place: Place, *, create: bool = True) -> "Store":
    """Open the store of a place, migrating its schema where it is an old one. The caller closes it.

    Args:
        place: Where it is.
        create: Make the data directory and an empty file of SQLite or DuckDB where there is none yet.

    Raises:
        ConfigurationError: the data directory cannot be made; or *create* is false and there is nothing there.
        StoreUnavailableError: the database cannot be reached, or its schema is of another version.
    """
    file = place.database_file
    if create and (file is None or file.parent == place.data_dir):
        place.make()
    elif not create and file is not None and not _exists(file):
        message = f"there is no database at {file}; start with `rustrak serve`, or name another with --data-dir"
        raise ConfigurationError(message)
    from rustrak_storage.factory import open_store

    return open_store(place.database_url)


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except OSError as error:
        reason = f"cannot read {file}: {error.strerror}"
        raise ConfigurationError(f"{reason}; run this as its owner, or name another with --data-dir") from error


def remember_public_url(place: Place, url: str) -> None:
    """Note in the data directory where `rustrak serve` is reached, so that other commands print DSNs that work."""
    (place.data_dir / URL_FILE).write_text(url + "\n", encoding="utf-8")


def checked_public_url(given: str) -> str:
    """Return a URL at which applications reach the server, without a slash at its end.

    Raises:
        ConfigurationError: it is no http(s) URL.
    """
    from rustrak_core.dsn import Dsn

    try:
        return Dsn.at(given, sentry_key="0" * 32, project_id=ProjectId(1)).base_url
    except MalformedDsnError:
        reason = "--public-url (RUSTRAK_PUBLIC_URL) must be as in https://errors.example.com, with a path at most"
        raise ConfigurationError(reason) from None


def known_public_url(place: Place, given: str | None) -> str:
    """Return the URL at which applications reach the server.

    What was *given*, else what the last `rustrak serve` on this data directory noted, else its default.

    Raises:
        ConfigurationError: what was given is no http(s) URL.
    """
    if given is not None:
        return checked_public_url(given)
    try:
        return (place.data_dir / URL_FILE).read_text(encoding="utf-8").strip() or URL_DEFAULT
    except OSError:
        return URL_DEFAULT


@contextmanager
def open_tracker(place: Place, *, create: bool = False) -> "Iterator[Tracker]":
    """Open the store of a place behind a `Tracker`, and close it at the end; see `open_configured_store`."""
    from rustrak_core.tracker import Tracker

    store = open_configured_store(place, create=create)
    try:
        yield Tracker(store)
    finally:
        store.close()


def project_named(tracker: "Tracker", text: str) -> "Project":
    """Return the project that *text* names: its number, else its slug.

    Raises:
        UnknownProjectError: there is none; the text says how to list them.
    """
    if text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS:
        with suppress(UnknownProjectError):
            return tracker.project(int(text))
    try:
        return tracker.project(text)
    except UnknownProjectError:
        raise UnknownProjectError("no such project; `rustrak project list` shows them all") from None


def forget_keys(place: Place, store: "Store") -> None:
    """Let every server on this data directory know that a project was created or deleted."""
    if place.data_dir.is_dir():
        from rustrak_storage.keys import StoredKeyRing

        StoredKeyRing(store, directory=place.data_dir).changed()
