"""Databases of earlier versions, brought to ours: what was in them stays, as it was."""

import json
import logging
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from sqlalchemy import MetaData, create_engine, insert, make_url, text

from rustrak_core.digested import EventSummary, GroupingKey, StoredEvent, User
from rustrak_core.errors import SchemaError
from rustrak_core.issue import IssueId
from rustrak_core.page import EventQuery
from rustrak_core.project import ProjectId
from rustrak_core.times import to_micros
from rustrak_storage.factory import open_store
from rustrak_storage.sql import SqlStore
from rustrak_storage.sql.details import read_details
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.migrate import alembic_config
from rustrak_storage.sql.payloads import train
from rustrak_storage.testing.values import NOW, digested

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Rows = list[dict[str, Any]]
SAMPLES = [
    json.dumps({"number": n, "of": "a kind that comes often", "step": f"step {n % 7}"}).encode() for n in range(400)
]
DICTIONARY = train(SAMPLES) or b""
KEY = GroupingKey(mechanism="message@1", value="0f" * 16)
ALL: dict[str, Any] = {
    "kind": "csp",
    "type": "Grüße",
    "message": "two\nlines, \U0001f98a and \\",
    "culprit": "a.b in c",
    "level": "fatal",
    "platform": "javascript",
    "tags": (("a", "b"), ("ü", 'q"\n')),
    "remote_addr": "10.0.0.1",
    "sdk_client": "sentry.python/2.75.0",
    "hints": (("release", "x"), ("release", "y")),
}
LEAST: dict[str, Any] = {
    "kind": "event",
    "type": "ValueError",
    "message": "",
    "culprit": "",
    "level": "error",
    "platform": "other",
}


def event(number: int, details: dict[str, Any], payload: bytes | None, **columns: Any) -> StoredEvent:
    """Return event *number*, of the one issue."""
    summary = EventSummary(
        id=UUID(int=number),
        project_id=ProjectId(1),
        issue_id=IssueId(1),
        timestamp=NOW + timedelta(seconds=number),
        received_at=NOW,
        **columns,
    )
    return StoredEvent(summary=summary, key=KEY, payload=payload, **details)


EVENTS = [
    event(1, ALL, b'\n{"a":\n"b"}', environment="prod", release="1.0", user=User(id="1", ip_address="::1")),
    event(2, LEAST, SAMPLES[7] * 9),
    event(3, ALL, SAMPLES[3]),
    event(4, LEAST, None, environment="shed"),
    event(5, ALL, b""),
    *(event(n, LEAST, SAMPLES[n % 400]) for n in range(6, 700)),
]


def event_row(stored: StoredEvent) -> dict[str, Any]:
    """Return an event's row as 0001 has it."""
    summary, user = stored.summary, stored.summary.user
    return {
        "id": summary.id.int,
        "project_id": 1,
        "event_id": summary.id.bytes,
        "issue_id": 1,
        "timestamp": to_micros(summary.timestamp),
        "received_at": to_micros(summary.received_at),
        "mechanism": KEY.mechanism,
        "grouping_value": bytes.fromhex(KEY.value),
        **{name: getattr(stored, name) for name in (*LEAST, "remote_addr", "sdk_client")},
        "environment": summary.environment,
        "release": summary.release,
        "user": user and json.dumps([user.id, user.email, user.username, user.ip_address]),
        "tags": json.dumps(stored.tags) if stored.tags else None,
        "hints": json.dumps(stored.hints) if stored.hints else None,
    }


def payload_row(stored: StoredEvent) -> dict[str, Any] | None:
    """Return its payload's, if it has one: raw, packed alone, or with the dictionary."""
    if stored.payload is None:
        return None
    number, size = stored.summary.id.int, len(stored.payload)
    if number in {1, 5}:
        return {"event": number, "codec": "raw", "dictionary": None, "size": size, "data": stored.payload}
    used = None if number == 2 else zstd.ZstdDict(DICTIONARY)
    data = zstd.compress(stored.payload, zstd_dict=used)
    return {"event": number, "codec": "zstd", "dictionary": used and 1, "size": size, "data": data}


def fill(url: str) -> None:
    """Create a database as 0001 has it, with events in all of its forms."""
    upgrade(url, "0001")
    moment = to_micros(NOW)
    counts = {"event_count": len(EVENTS), "issue_count": 1, "last_number": 1}
    project = {"id": 1, "name": "x", "slug": "x", "sentry_key": "0" * 32, "created_at": moment, **counts}
    issue = {
        **dict.fromkeys(("id", "project_id", "number", "user_count"), 1),
        **dict.fromkeys(("type", "message", "culprit", "level", "platform", "search"), "x"),
        **dict.fromkeys(("first_seen", "last_seen"), moment),
        "state": "open",
        "event_count": len(EVENTS),
        "latest": b"\xff" * 32,
    }
    key = {"value": bytes.fromhex(KEY.value), "project_id": 1, "mechanism": KEY.mechanism, "issue_id": 1}
    write(url, "rustrak_project", [project])
    write(url, "rustrak_issue", [issue])
    write(url, "rustrak_grouping_key", [key])
    write(url, "rustrak_event", [event_row(each) for each in EVENTS])
    write(url, "rustrak_payload", [row for each in EVENTS if (row := payload_row(each))])
    write(url, "rustrak_dictionary", [{"id": 1, "created_at": moment, "data": DICTIONARY}])
    numbering = {"postgresql": "setval('rustrak_event_seq', :last)", "mariadb": "SETVAL(rustrak_event_seq, :last)"}
    if not url.startswith("sqlite"):
        ask(url, f"SELECT {numbering[make_url(url).get_backend_name()]}", last=len(EVENTS))


def upgrade(url: str, revision: str) -> None:
    """Bring a database to a version."""
    database = Database(make_url(url))
    with database.migrating() as connection:
        command.upgrade(alembic_config(connection), revision)
    database.close()


def write(url: str, table: str, rows: Rows) -> None:
    """Insert rows into a table as it is."""
    engine, found = create_engine(url), MetaData()
    found.reflect(engine, only=[table])
    with engine.begin() as connection:
        for start in range(0, len(rows), 200):
            connection.execute(insert(found.tables[table]), rows[start : start + 200])
    engine.dispose()


def ask(url: str, statement: str, **values: object) -> list[Any]:
    """Return what a statement gives, asked beside the store."""
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(text(statement), values)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def test_events_of_0001(blank_url: str) -> None:
    """Events of the first version are read as they were, shed ones too, and new ones are kept beside them."""
    fill(blank_url)
    store = open_store(blank_url)
    assert isinstance(store, SqlStore)
    assert [store.event(each.summary.id) for each in EVENTS] == EVENTS
    assert ask(blank_url, "SELECT COUNT(*), SUM(size) FROM rustrak_payload") == [
        (len(EVENTS), sum(len(each.payload or b"") for each in EVENTS))
    ]
    with store._database.reading() as connection:
        details = dict(read_details(connection, store._dictionaries, range(1, len(EVENTS) + 1)))
    assert {number: each.tags for number, each in details.items()} == {
        each.summary.id.int: each.tags for each in EVENTS
    }
    (recorded,) = store.record([digested(ProjectId(1), 5000, keys=(KEY,))])
    assert recorded.issue_id == 1
    assert store.event(UUID(int=5000)).payload == b'{"number": 5000}'
    newest = store.events(EventQuery(issue_id=IssueId(1), limit=2)).items
    assert [row.id.int for row in newest] == [len(EVENTS), len(EVENTS) - 1]
    store.close()


def test_numbers_are_not_used_again(tmp_path: Any) -> None:
    """On SQLite too, whose table is built anew, an event's number is not given to another after it was deleted."""
    url = f"sqlite:///{tmp_path}/rustrak.db"
    fill(url)
    ask(url, "DELETE FROM rustrak_event WHERE id > 690")
    store = open_store(url)
    store.record([digested(ProjectId(1), 5000)])
    assert ask(url, "SELECT MAX(id) FROM rustrak_event") == [(len(EVENTS) + 1,)]
    store.close()


def test_a_migration_that_was_interrupted(blank_url: str) -> None:
    """On MariaDB, where no transaction holds all of it, a migration goes on where it was interrupted."""
    fill(blank_url)
    content = b'{"kind":"event","type":"T","message":"","culprit":"","level":"error","platform":"other"}\n{}'
    values = "codec = 'plain', dictionary = NULL, size = 2, data = :data"
    ask(blank_url, f"UPDATE rustrak_payload SET {values} WHERE event = 3", data=content)
    upgrade(blank_url, "0002")
    ask(blank_url, "UPDATE rustrak_schema_version SET version_num = '0001'")
    store = open_store(blank_url)
    found = store.event(UUID(int=3))
    assert (found.type, found.payload) == ("T", b"{}")
    assert store.event(UUID(int=4)) == EVENTS[3]
    store.close()


@pytest.mark.parametrize(
    "damage", ["DELETE FROM rustrak_dictionary", "UPDATE rustrak_dictionary SET data = x'00ff00ff'"]
)
def test_a_dictionary_is_lost(tmp_path: Any, damage: str) -> None:
    """Without a dictionary in use nothing is migrated or touched, and the text says what to restore."""
    url = f"sqlite:///{tmp_path}/rustrak.db"
    fill(url)
    ask(url, damage)
    before = ask(url, "SELECT * FROM rustrak_payload ORDER BY event")
    with pytest.raises(SchemaError, match=r"dictionary 1, .* is missing or damaged in the table rustrak_dictionary"):
        open_store(url)
    assert ask(url, "SELECT * FROM rustrak_payload ORDER BY event") == before
    assert ask(url, "SELECT version_num FROM rustrak_schema_version") == [("0001",)]


def test_a_payload_is_damaged(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A payload that could not be read before keeps no other event from being migrated, and is told of."""
    url = f"sqlite:///{tmp_path}/rustrak.db"
    fill(url)
    ask(url, "UPDATE rustrak_payload SET data = :data WHERE event = 3", data=b"damaged")
    with caplog.at_level(logging.WARNING):
        store = open_store(url)
    assert [record.getMessage() for record in caplog.records] == [
        f"payload_lost event={UUID(int=3).hex} reason=damaged"
    ]
    found = store.event(UUID(int=3))
    assert (found.payload, found.tags) == (None, EVENTS[2].tags)
    assert store.event(UUID(int=6)) == EVENTS[5]
    store.close()
