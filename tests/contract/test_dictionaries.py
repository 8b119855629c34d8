"""Dictionaries: trained from what is recorded, kept in versions for ever, and what happens where one is missing."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from rustrak_core.errors import StoreUnavailableError
from rustrak_core.page import EventQuery, IssueQuery
from rustrak_core.ports import Store
from rustrak_core.project import Project
from rustrak_storage.factory import open_store
from rustrak_storage.sql.dictionaries import Dictionaries
from rustrak_storage.sql.engine import Database
from rustrak_storage.sql.payloads import Dictionary, decode, encode, train
from rustrak_storage.testing.values import NOW, create_project, digested


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.needs_server),
        pytest.param("mariadb", marks=pytest.mark.needs_server),
    ]
)
def store_url(request: pytest.FixtureRequest) -> str:
    url: str = (
        request.getfixturevalue("sqlite_url")
        if request.param == "sqlite"
        else request.getfixturevalue("emptied")(request.param)
    )
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    store = open_store(store_url)
    yield store
    store.close()


@pytest.fixture
def project(store: Store) -> Project:
    return create_project(store, "x")


@pytest.fixture
def database(store_url: str, store: Store) -> Iterator[Database]:
    """The database of the store, for another process' eyes."""
    database = Database(create_engine(store_url).url)
    yield database
    database.close()


def body(number: int, kind: str = "shop") -> bytes:
    """Return a payload of some 900 bytes, much like others of its *kind*."""
    seed = hashlib.md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest()
    frames = [
        {"module": f"{kind}.views.step{n}", "function": f"handle_{kind}_{n}", "lineno": n * 7 + len(kind)}
        for n in range(8)
    ]
    event = {"event_id": seed, f"{kind}_order": number, "exception": {"stacktrace": {"frames": frames}}, "by": kind}
    return json.dumps(event).encode()


def record(store: Store, project: Project, numbers: range, kind: str = "shop") -> None:
    for start in range(numbers.start, numbers.stop, 200):
        some = range(start, min(start + 200, numbers.stop))
        store.record([digested(project, n, payload=body(n, kind)) for n in some])


def ask(url: str, statement: str, **values: object) -> list[Any]:
    """Return what a statement with *values* gives, asked beside the store."""
    engine = create_engine(url)
    with engine.begin() as connection:
        result = connection.execute(text(statement), values)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def test_a_dictionary_is_trained(store: Store, project: Project, store_url: str) -> None:
    """After two hundred events, payloads name a dictionary, take far less room, and come back as they were sent."""
    record(store, project, range(1, 51))
    record(store, project, range(51, 1001))
    assert ask(store_url, "SELECT id FROM rustrak_dictionary") == [(1,)]
    sizes = dict(
        ask(store_url, "SELECT COALESCE(dictionary, 0), AVG(LENGTH(data)) FROM rustrak_payload GROUP BY dictionary")
    )
    assert set(sizes) == {0, 1}
    assert sizes[1] * 2 < sizes[0]
    other = open_store(store_url)
    for number in (1, 50, 51, 999, 1000):
        event_id = digested(project, number).event_id
        assert store.event(event_id).payload == other.event(event_id).payload == body(number)
    other.close()


def test_a_new_version_only_where_it_pays(store: Store, project: Project, store_url: str) -> None:
    """Another process that sees the same keeps the version there is; one that sees something else adds a version."""
    record(store, project, range(1, 601))
    same, different = open_store(store_url), open_store(store_url)
    record(same, project, range(1001, 2101))
    assert ask(store_url, "SELECT id FROM rustrak_dictionary") == [(1,)]
    record(different, project, range(3001, 4101), "warehouse")
    assert ask(store_url, "SELECT id FROM rustrak_dictionary ORDER BY id") == [(1,), (2,)]
    record(store, project, range(5001, 5401), "warehouse")
    used = ask(store_url, "SELECT dictionary FROM rustrak_payload ORDER BY event DESC LIMIT 1")
    assert used == [(2,)]  # the first one found it while it recorded
    for number, kind in ((2, "shop"), (1500, "shop"), (3700, "warehouse"), (5400, "warehouse")):
        assert store.event(digested(project, number).event_id).payload == body(number, kind)
    same.close()
    different.close()


def test_workers_train_at_once(store: Store, database: Database) -> None:
    """Of many processes that trained a dictionary at once, one keeps it, and the others use that one."""
    contents = [train([body(n, f"shop{worker}") for n in range(300)]) for worker in range(6)]

    def add(content: bytes | None) -> bool:
        assert content is not None
        return Dictionaries(database).add(content, 5, after=None)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(add, contents)) == [False] * 5 + [True]
    newest = Dictionaries(database).newest()
    assert newest is not None
    assert (newest.number, newest.created_at) == (1, 5)
    assert newest.data.as_bytes() in contents


def test_one_trains_at_a_time(database: Database) -> None:
    """While a process trains, others do not; one that was killed at it is not waited for longer than a minute."""
    first, second = Dictionaries(database), Dictionaries(database)
    minute = 60_000_000
    with first.training(10 * minute) as is_ours, second.training(10 * minute + 5) as is_others:
        assert (is_ours, is_others) == (True, False)
        with second.training(11 * minute) as is_others_later:
            assert is_others_later
    with second.training(11 * minute) as is_others:
        assert is_others


def test_a_missing_dictionary(store: Store, project: Project, store_url: str) -> None:
    """Without its dictionary an event says what is missing; it costs no list, and no other event."""
    record(store, project, range(1, 2))
    record(store, project, range(2, 801))
    store.examine()
    ask(store_url, "DELETE FROM rustrak_dictionary")
    other = open_store(store_url)
    with pytest.raises(
        StoreUnavailableError, match=r"dictionary 1, .* is missing from the table .* restore that table"
    ):
        other.examine()
    with pytest.raises(StoreUnavailableError, match=r"dictionary 1, .* is missing from the table rustrak_dictionary"):
        other.event(digested(project, 800).event_id)
    plain = other.event(digested(project, 1).event_id)
    assert plain.payload == body(1)
    assert len(other.events(EventQuery(issue_id=plain.summary.issue_id, limit=100)).items) == 100
    other.close()


def test_a_database_restored_beneath(store: Store, project: Project, store_url: str) -> None:
    """A process whose dictionary the database holds no longer packs without, so that no payload is lost."""
    record(store, project, range(1, 801))
    ask(store_url, "DELETE FROM rustrak_dictionary")
    record(store, project, range(1001, 1201))
    other = open_store(store_url)
    assert other.event(digested(project, 1001).event_id).payload == body(1001)
    other.close()


def test_a_dictionary_of_the_same_number(store: Store, project: Project, database: Database, store_url: str) -> None:
    """A process that knows another dictionary by that number asks the database again."""
    record(store, project, range(1, 801))
    assert store.event(digested(project, 800).event_id).payload == body(800)
    ask(store_url, "DELETE FROM rustrak_dictionary")
    content = train([body(n, "warehouse") for n in range(300)])
    assert content is not None
    assert Dictionaries(database).add(content, 77, after=None)
    other = open_store(store_url)
    record(other, project, range(2001, 2201), "warehouse")
    other.close()
    assert store.event(digested(project, 2100).event_id).payload == body(2100, "warehouse")
    with pytest.raises(StoreUnavailableError, match="payload cannot be read"):
        store.event(digested(project, 800).event_id)
    record(store, project, range(3001, 3201))
    assert store.event(digested(project, 3100).event_id).payload == body(3100)


def test_a_damaged_dictionary(store: Store, project: Project, store_url: str) -> None:
    """A dictionary that is not what was written costs the payloads that name it; recording goes on without."""
    record(store, project, range(1, 801))
    ((data,),) = ask(store_url, "SELECT data FROM rustrak_dictionary")
    ask(store_url, "UPDATE rustrak_dictionary SET data = :data", data=bytes(data[:-9]) + b"a bit rot")
    other = open_store(store_url)
    with pytest.raises(StoreUnavailableError, match=r"dictionary 1, .* is damaged in the table rustrak_dictionary"):
        other.examine()
    record(other, project, range(1001, 1801))
    assert other.event(digested(project, 1800).event_id).payload == body(1800)
    with pytest.raises(StoreUnavailableError, match="dictionary 1 cannot be read"):
        other.event(digested(project, 800).event_id)
    other.close()


def test_a_lost_dictionary_that_none_needs(store: Store, project: Project, store_url: str) -> None:
    """A dictionary that is gone, and that no payload names, is no loss."""
    record(store, project, range(1, 801))
    for issue in store.issues(IssueQuery(project_id=project.id)).items:
        store.delete_issue(issue.id, now=NOW)
    while store.purge():
        pass
    ask(store_url, "DELETE FROM rustrak_dictionary")
    store.examine()


def test_nothing_to_learn(store: Store, project: Project, store_url: str) -> None:
    """From payloads that have nothing to repeat, no dictionary is made, and all of them are kept."""
    sent = [hashlib.shake_256(b"%d" % n).digest(3000) for n in range(1, 1200)]
    for start in range(0, 1199, 200):
        some = enumerate(sent[start : start + 200], start + 1)
        store.record([digested(project, n, payload=payload) for n, payload in some])
    assert ask(store_url, "SELECT id FROM rustrak_dictionary") == []
    assert store.event(digested(project, 1100).event_id).payload == sent[1099]


def test_too_few_to_learn_from() -> None:
    """No samples give no dictionary."""
    assert train([]) is None
    assert train([b""] * 10) is None


@pytest.mark.parametrize("content", [b"", b"no dictionary", b"\x37\xa4\x30\xec" + b"damaged" * 100])
def test_no_dictionary(content: bytes) -> None:
    """Bytes that are no dictionary are refused where they are read."""
    with pytest.raises(ValueError, match="not a zstd dictionary"):
        Dictionary.of(1, 0, content)


def test_packed_alone_or_with_a_dictionary() -> None:
    """Each payload is packed by itself, whatever came before it, and is never larger than it was sent."""
    content = train([body(n) for n in range(300)])
    assert content is not None
    dictionary = Dictionary.of(3, 0, content)
    sent = [b"", b"{}", body(7), bytes(range(256)), body(8) * 40]
    for used in (dictionary, None, dictionary):
        packed = encode(sent, used)
        assert [decode(one.codec, one.data, used if one.dictionary else None) for one in packed] == sent
        assert all(len(one.data) <= len(payload) for one, payload in zip(packed, sent, strict=True))
        assert {one.dictionary for one in packed if one.codec == "plain"} == {None}
