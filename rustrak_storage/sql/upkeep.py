"""What is done to a database as a whole; see `rustrak_storage.factory`."""

from contextlib import closing

from sqlalchemy import URL

from rustrak_storage.sql.checkup import check_up
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.migrate import HEAD, migrate
from rustrak_storage.upkeep import Bar, Checked, Upgraded


def upgrade(url: URL, *, bar: Bar) -> Upgraded:
    """See `rustrak_storage.factory.upgrade_database`."""
    with closing(Database(url)) as database:
        return Upgraded(before=migrate(database, bar=bar), after=HEAD)


def check(url: URL, *, payloads: int | None, bar: Bar) -> Checked:
    """See `rustrak_storage.factory.check_database`."""
    with closing(Database(url)) as database:
        return check_up(database, payloads=payloads, bar=bar)
