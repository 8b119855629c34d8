"""What is done to a database as a whole; see `rustrak_storage.factory`."""

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL

from rustrak_core.errors import ConfigurationError
from rustrak_storage.sql.checkup import check_up
from rustrak_storage.sql.copying import copy_all
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.migrate import HEAD, migrate
from rustrak_storage.upkeep import Bar, Checked, CopiedTable, Upgraded


def upgrade(url: URL, *, bar: Bar) -> Upgraded:
    """See `rustrak_storage.factory.upgrade_database`."""
    with closing(Database(url)) as database:
        return Upgraded(before=migrate(database, bar=bar), after=HEAD)


def check(url: URL, *, payloads: int | None, bar: Bar) -> Checked:
    """See `rustrak_storage.factory.check_database`."""
    with closing(Database(url)) as database:
        return check_up(database, payloads=payloads, bar=bar)


def copy(source_url: URL, target_url: URL, *, bar: Bar) -> Sequence[CopiedTable]:
    """See `rustrak_storage.factory.copy_database`."""
    if _place(source_url) == _place(target_url):
        raise ConfigurationError("source and destination are the same database; name two")
    with closing(Database(source_url)) as source, closing(Database(target_url)) as target:
        return copy_all(source, target, number=time.time_ns() // 1000, bar=bar)


def _place(url: URL) -> tuple[object, ...]:
    """Return where a database is, whoever asks for it."""
    if url.host is None and url.database is not None:
        return url.get_backend_name(), Path(url.database).absolute()
    return url.get_backend_name(), url.host, url.port, url.database
