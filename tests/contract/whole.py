"""A store with something of everything that one can hold: rows in every table."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import Connection, insert, inspect

from rustrak_core.accepted import Count, Outcome
from rustrak_core.issue import IssueState, ShortId
from rustrak_core.ports import Store
from rustrak_core.project import Project
from rustrak_storage.factory import _sql_url, open_store
from rustrak_storage.sql import schema
from rustrak_storage.sql.engine import Database
from rustrak_storage.testing.similar import error
from rustrak_storage.testing.values import NOW, after, create_project, digested, step, user

EVENTS = 460
"""Enough for a dictionary to be trained from them."""


def fill(url: str) -> None:
    """Fill the empty store at *url*."""
    store = open_store(url)
    shop, till = create_project(store, "Shop"), create_project(store, "Grüße \U0001f98a")
    gone = create_project(store, "Gone")
    for number in range(3):
        store.create_token(sha256=bytes([number]) * 32, prefix="a1b2", description=f"token {number}", now=NOW)
    record(store, shop, till, gone)
    issues = [store.issue(ShortId(f"SHOP-{number}")) for number in range(1, 7)]
    store.set_issue_state(issues[0].id, IssueState.RESOLVED, now=after(5000))
    store.record([digested(shop, 9001, "issue 0", at=6000, release="3.0")])
    store.set_issue_state(issues[1].id, IssueState.MUTED, now=NOW)
    store.merge_issues(issues[2].id, [issues[3].id, issues[4].id], now=NOW)
    store.set_grouping(shop.id, '# mine\nmechanism = "anchor@1"\n', now=NOW)
    # The highest ids of all, which must not be given out again.
    store.record([digested(till, 9100 + number, f"last {number}", at=7000) for number in range(3)])
    last = store.record([digested(till, 9200, "the last one", at=8000)])[0].issue_id
    assert last is not None
    store.delete_issue(last, now=NOW)
    while store.purge():
        pass
    store.delete_token(store.create_token(sha256=b"x" * 32, prefix="ffff", description=None, now=NOW).id)
    store.delete_issue(issues[5].id, now=NOW)
    store.delete_project(gone.id, now=NOW)
    store.close()
    note_work(url, shop.id, issues[0].id)


def record(store: Store, shop: Project, till: Project, gone: Project) -> None:
    """Record events of six issues of the shop, and some of the others."""
    counts = [Count(project_id=shop.id, day=NOW.date(), category="error", outcome=Outcome.FILTERED, quantity=3)]
    for start in range(0, EVENTS, 115):
        batch = [
            digested(
                shop,
                number,
                f"issue {number % 6}",
                at=number,
                payload=None if number % 50 == 7 else json.dumps({"number": number, "of": ["a", "kind"] * 20}).encode(),
                environment="prod",
                release=f"{number % 3}.0",
                user=user(number % 9),
                tags=(("shelf", f"north {number % 4}"), ("ü", "\U0001f98a")),
            )
            for number in range(start, start + 115)
        ]
        store.record(batch, counts=counts, advance=step(start // 115))
    store.record([error(till, 5000 + n, "PaymentError", "cannot pay", f"pay {n}") for n in range(3)])
    store.record([digested(gone, 6000)])


def note_work(url: str, project: int, issue: int) -> None:
    """Note work that is under way."""
    backfill = {"project_id": project, "mechanism": "anchor@1", "stage": "attaching", "upto": EVENTS}
    key = {"project_id": project, "value": b"\x00\xff" * 8, "mechanism": "anchor@1", "issue_id": None}
    with beside(url) as connection:
        connection.execute(insert(schema.unsettled).values(issue_id=issue, project_id=project))
        connection.execute(insert(schema.backfill).values(backfill))
        connection.execute(insert(schema.newer_key).values(key))


def tables_of(url: str) -> list[str]:
    """Return the names of a database's tables."""
    with closing(Database(_sql_url(url))) as database, database.reading() as connection:
        return inspect(connection).get_table_names()


@contextmanager
def beside(url: str) -> Iterator[Connection]:
    """Give a connection to a database beside the store, in a transaction."""
    with closing(Database(_sql_url(url))) as database, database.migrating() as connection:
        yield connection
