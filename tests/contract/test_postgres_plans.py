"""PostgreSQL finds rows by an index, however large a table has become since it was last looked at."""

from collections.abc import Callable

from sqlalchemy import make_url, text

from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.engine import Database

_USER = ("issue_id", "user_hash")
_ROWS = 20_000


def test_rows_are_found_by_an_index(emptied: Callable[[str], str]) -> None:
    """Nothing analyses the table, which was empty when the statement was first planned."""
    database = Database(make_url(emptied("postgres")))
    plans: list[str] = []
    with database.reading() as connection:
        settings = "SELECT current_setting('plan_cache_mode'), current_setting('jit')"
        assert tuple(connection.execute(text(settings)).one()) == ("force_custom_plan", "off")
        rows = [(number, number.to_bytes(16)) for number in range(_ROWS)]
        wanted = rows[::100]
        for _ in range(10):  # after five times, the driver has the statement prepared
            assert not list(bulk.find(connection, schema.issue_user, _USER, _USER, wanted))
        bulk.write(connection, schema.issue_user.insert(), _USER, rows)
        sql = bulk._find_in_lists(connection.dialect, schema.issue_user, _USER, _USER)
        plans += connection.exec_driver_sql(f"EXPLAIN {sql}", tuple(map(list, zip(*wanted, strict=True)))).scalars()
        found = [(issue, bytes(user)) for issue, user in bulk.find(connection, schema.issue_user, _USER, _USER, wanted)]
        assert sorted(found) == wanted
    assert any("Index" in step for step in plans), plans
    assert not any("Seq Scan" in step for step in plans), plans
    database.close()
