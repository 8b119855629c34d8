"""Exports: all that a store has, again and again, whatever happens in between."""

import os
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import duckdb
import orjson
import pytest

from rustrak_core.accepted import AcceptedEvent, EventKind
from rustrak_core.digest import digest
from rustrak_core.digested import GroupingKey
from rustrak_core.errors import StoreUnavailableError
from rustrak_core.issue import IssueId
from rustrak_core.ports import Place, Refiling, Selection, Store
from rustrak_core.project import Project
from rustrak_storage.duck import Dataset, DatasetError, export
from rustrak_storage.duck import folder as folder_module
from rustrak_storage.duck.about import MANIFEST
from rustrak_storage.duck.file import File
from rustrak_storage.duck.folder import Folder
from rustrak_storage.duck.gather import Gatherer
from rustrak_storage.duck.reconcile import Differences
from rustrak_storage.duck.schema import ISSUES, VERSION
from rustrak_storage.duck.stage import APART, Stage
from rustrak_storage.factory import open_store
from tests.dataset.conftest import EXPORTED
from tests.dataset.facts import BEGIN, World, accepted, at, made_payload, new_project, record

DAY = timedelta(days=1)


@pytest.fixture
def project(store: Store) -> Project:
    return new_project(store, "Shop")


def send(store: Store, project: Project, *numbers: int, **changes: Any) -> list[int]:
    """Record made events, with changes to their payloads; return their issues."""
    return [
        issue
        for number in numbers
        for issue in record(store, accepted(project.id, {**made_payload(number), **changes}, at(number), number))
    ]


def rows(dest: Path, statement: str = "SELECT event_id, issue_id FROM events") -> set[tuple[Any, ...]]:
    with Dataset.open(dest) as dataset:
        return {tuple(row) for row in dataset.sql(statement).rows()}


def filed(dest: Path) -> dict[int, int]:
    """Return the issues of events, by the number with which these were made."""
    return {event_id.int - 1: issue for event_id, issue in rows(dest)}


def snapshot(dest: Path) -> dict[str, bytes]:
    """Return all that is at a path, file by file."""
    files = [dest] if dest.is_file() else [file for file in dest.rglob("*") if file.is_file()]
    return {str(file): file.read_bytes() for file in files if not file.name.startswith(".")}


def agrees(store: Store, dest: Path, selection: Selection | None = None) -> None:
    """Check that a dataset has what the store has, and counts tags as its events do."""
    last = store.last_event_number()
    stored = store.export(selection or Selection(), upto=last, limit=10_000)
    expected = {(n, e.summary.id, int(e.summary.issue_id), e.key.mechanism, e.key.value) for n, e in stored}
    assert rows(dest, "SELECT number, event_id, issue_id, mechanism, grouping_key FROM events") == expected
    counted = rows(dest, "FROM tag_days")
    assert counted == rows(
        dest,
        "SELECT day, project_id, issue_id, t.key, t.value, count(*) FROM (SELECT *, unnest(map_entries(map_concat("
        "tags, MAP {'environment': environment, 'release': release, 'level': level}))) AS t FROM events) "
        "WHERE t.value IS NOT NULL GROUP BY ALL",
    )
    issues = {int(e.summary.issue_id) for _n, e in stored}
    known = rows(dest, "SELECT id, short_id, state, event_count FROM issues")
    assert issues <= {number for number, *_ in known}
    assert known == {
        (int(i.id), i.short_id, i.state.value, i.event_count) for i in (store.issue(IssueId(n)) for n, *_ in known)
    }


def test_an_event_is_whole(store: Store, project: Project, dest: Path) -> None:
    """Columns say what the store and the payload do."""
    payload = {**made_payload(3), "user": {"id": 7, "email": "a@b.c", "username": "ada", "ip_address": "::1"}}
    (issue,) = record(store, accepted(project.id, payload, at(3) + DAY, 3))
    export(store, dest, now=EXPORTED)
    with Dataset.open(dest) as dataset:
        (row,) = dataset.sql("FROM events").dicts()
        (crumb,) = dataset.sql("FROM breadcrumbs").dicts()
        assert dataset.sql("SELECT payload->>'$.request.url' FROM events").rows() == [(row["url"],)]
        assert dataset.about.exported_at == EXPORTED
        assert dataset.about.watermark == row["number"] == store.last_event_number()
    stored = store.event(UUID(int=4))
    assert orjson.loads(row.pop("payload")) == payload
    assert row.pop("frames") == [
        {name: frame.get(name) for name in ("module", "filename", "function", "lineno", "in_app")}
        for frame in payload["exception"]["values"][0]["stacktrace"]["frames"]
    ]
    assert row.pop("number") == store.last_event_number()
    moment = at(3).replace(tzinfo=None)
    assert row == {
        "event_id": UUID(int=4),
        "project_id": project.id,
        "project": "shop",
        "issue_id": issue,
        "day": moment.date(),
        "timestamp": moment,
        "received_at": moment + DAY,
        "type": stored.type,
        "message": stored.message,
        "culprit": stored.culprit,
        "level": payload["level"],
        "platform": "python",
        "environment": payload["environment"],
        "release": payload["release"],
        "transaction": payload["transaction"],
        "url": payload["request"]["url"],
        "trace_id": payload["contexts"]["trace"]["trace_id"],
        "user_key": "id:7",
        "user_id": "7",
        "user_email": "a@b.c",
        "user_name": "ada",
        "user_ip": "::1",
        "server": payload["server_name"],
        "sdk_name": payload["sdk"]["name"],
        "sdk_version": payload["sdk"]["version"],
        "mechanism": stored.key.mechanism,
        "grouping_key": stored.key.value,
        "payload_bytes": len(orjson.dumps(payload)),
        "tags": dict(stored.tags),
    }
    assert (crumb["event_id"], crumb["position"], crumb["message"]) == (UUID(int=4), 1, "SELECT 3")


ODD = (
    b'{"message": "\\ud800 lone", "extra": {"x": NaN, "y": 1e400}, "transaction": "\\u0000/a"}',
    b'\xef\xbb\xbf{"message": "mark", "contexts": [], "request": "x", "sdk": 1, "tags": [["a", "b"], null]}',
    b'{"message": "caf\xe9", "exception": {"values": [null, {"type": "T", "stacktrace": [7, {"lineno": -1}]}]}}',
    b'{"exception": [{"type": "T", "stacktrace": {"frames": [{"lineno": %d, "in_app": "no"}]}}]}' % 2**70,
    b'{"breadcrumbs": [{"message": "one"}, null, 3, {"category": "two", "data": {"a": [1]}}]}',
    b'{"breadcrumbs": {"values": {"a": 1}}, "sentry.interfaces.Http": {"url": "http://old"}}',
    b'{"breadcrumbs": 5, "timestamp": "0001-01-01T00:00:00Z", "server_name": 5}',
    b"{}",
)


def test_odd_events(store: Store, project: Project, dest: Path) -> None:
    """What SDKs send against all rules is read as far as it goes, and every payload is JSON that DuckDB reads."""
    events = [accepted(project.id, payload, BEGIN, number) for number, payload in enumerate(ODD)]
    csp = {"csp-report": {"blocked-uri": "https://evil.example.com", "effective-directive": "img-src"}}
    data = orjson.dumps(csp)
    events.append(
        AcceptedEvent(project_id=project.id, event_id=UUID(int=90), received_at=BEGIN, payload=data, kind=EventKind.CSP)
    )
    store.record([digest(event) for event in events])
    shed = digest(accepted(project.id, made_payload(1), BEGIN, 95))
    store.record([attrs.evolve(shed, payload=None)])
    export(store, dest, now=EXPORTED)
    agrees(store, dest)
    valid = "SELECT count(*), count(*) FILTER (json_valid(payload)), count(*) FILTER (payload IS NULL) FROM events"
    assert rows(dest, valid) == {(len(ODD) + 2, len(ODD) + 1, 1)}
    assert rows(dest, "SELECT position, category, message, data FROM breadcrumbs") == {
        (1, None, "one", None),
        (4, "two", None, '{"a":[1]}'),
    }
    assert rows(dest, "SELECT url FROM events WHERE url IS NOT NULL") == {("http://old",)}
    assert rows(dest, "SELECT count(*) FROM events WHERE type = 'CSP'") == {(1,)}
    assert rows(dest, "SELECT payload_bytes FROM events WHERE payload IS NULL") == {(0,)}
    assert (datetime(1, 1, 1).date(),) in rows(dest, "SELECT day FROM events")  # noqa: DTZ001 - naive, as columns are


def test_again_and_again(store: Store, project: Project, dest: Path) -> None:
    """Each export adds what is new, and only that."""
    first = export(store, dest, now=EXPORTED)
    assert (first.new, first.events, rows(dest)) == (0, 0, set())
    for start in range(0, 60, 6):
        send(store, project, *range(start, start + 6))
        done = export(store, dest, now=EXPORTED)
        assert (done.new, done.moved, done.gone, done.events) == (6, 0, 0, start + 6)
        agrees(store, dest)
    before = export(store, dest, now=EXPORTED)
    assert (before.new, before.events, before.watermark) == (0, 60, store.last_event_number())
    if dest.is_dir():
        parts = list(dest.glob("events/*/*"))
        assert all(len(list(part.iterdir())) <= folder_module.FILES_MAX for part in parts)


def test_large_files_stay_as_they_are(
    store: Store, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many a day has, only those are written anew that have events which changed."""
    monkeypatch.setattr(folder_module, "SMALL_BYTES", 0)
    dest, issues = tmp_path / "errors", []
    for number in range(folder_module.FILES_MAX + 2):
        issues += send(store, project, number)
        export(store, dest, now=EXPORTED)
    before = set(dest.glob("events/*/*/*"))
    assert len(before) == len(issues)
    store.delete_issue(IssueId(issues[0]), now=EXPORTED)
    export(store, dest, now=EXPORTED)
    agrees(store, dest)
    assert len(before - set(dest.glob("events/*/*/*"))) == issues.count(issues[0])


@pytest.mark.parametrize("events", [40, 1200])
def test_events_of_an_issue_are_side_by_side(store: Store, project: Project, tmp_path: Path, events: int) -> None:
    """In each file of a folder, whether there are few of a day or many, and where it is written anew."""
    # Of four issues that take turns, on one day.
    record(store, *(accepted(project.id, made_payload(number % 4), at(0), number) for number in range(events)))
    dest = tmp_path / "errors"

    def in_files() -> list[list[int]]:
        files = [str(file) for file in dest.glob("events/*/*/*.parquet")]
        return [[i for (i,) in duckdb.execute("SELECT issue_id FROM read_parquet(?)", [f]).fetchall()] for f in files]

    export(store, dest, now=EXPORTED)
    (found,) = in_files()
    assert len(found) == events
    assert found == sorted(found)
    assert len(set(found)) > 1
    store.delete_issue(IssueId(found[0]), now=EXPORTED)
    export(store, dest, now=EXPORTED)
    (left,) = in_files()
    assert left == [issue for issue in found if issue != found[0]]


def test_deleted_issues_and_projects_go(store: Store, project: Project, dest: Path) -> None:
    """With their events and tags, before they are purged and after."""
    other = new_project(store, "Other")
    issues = send(store, project, *range(40))
    record(store, accepted(other.id, made_payload(99), at(99), 99))
    export(store, dest, now=EXPORTED)
    store.delete_issue(IssueId(issues[0]), now=EXPORTED)
    done = export(store, dest, now=EXPORTED)
    assert done.gone == issues.count(issues[0]) > 0
    agrees(store, dest)
    store.delete_project(other.id, now=EXPORTED)
    while store.purge():
        pass
    assert export(store, dest, now=EXPORTED).gone == 1
    agrees(store, dest)
    assert rows(dest, "SELECT slug FROM projects") == {("shop",)}
    store.delete_project(project.id, now=EXPORTED)
    assert export(store, dest, now=EXPORTED).events == 0
    assert rows(dest) == rows(dest, "FROM tag_days") == rows(dest, "FROM issues") == set()


def test_events_that_move_are_followed(store: Store, project: Project, dest: Path) -> None:
    """One that is filed anew is in its new issue, also where two issues exchange as many."""
    issues = send(store, project, *range(30))
    export(store, dest, now=EXPORTED)
    events = dict(store.export(Selection(), upto=99, limit=99))
    one = next(n for n, e in events.items() if e.summary.issue_id == issues[0])
    two = next(n for n, e in events.items() if e.summary.issue_id != issues[0])
    moves = {a: (Place(events[a].summary.issue_id, events[a].key), events[b].key) for a, b in ((one, two), (two, one))}
    store.refile(project.id, Refiling(moves=moves), now=EXPORTED)
    send(store, project, 31)
    done = export(store, dest, now=EXPORTED)
    assert (done.new, done.moved, done.gone) == (1, 2, 0)
    agrees(store, dest)


def test_events_that_get_another_key_are_followed(
    store: Store, project: Project, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is filed by another key of its issue has that key, and its old one again when that is taken back."""
    issue = IssueId(send(store, project, 1, 2, fingerprint=["a"])[0])
    theirs = new_project(store, "Other")
    send(store, theirs, 3)
    export(store, dest, now=EXPORTED)
    number, event = store.export(Selection(), upto=99)[0]
    other = GroupingKey(mechanism="message@1", value="ab" * 16)
    moves = {number: (Place(issue, event.key), other)}
    refiled = store.refile(project.id, Refiling(moves=moves, targets={other: issue}), now=EXPORTED)
    done = export(store, dest, now=EXPORTED)
    assert (done.new, done.moved, done.gone) == (0, 1, 0)
    agrees(store, dest)
    assert ("message@1", other.value) in rows(dest, "SELECT mechanism, grouping_key FROM events")
    with monkeypatch.context() as patched:  # where nothing was filed anew since, keys are not looked into
        patched.setattr(store, "filings", None)
        assert export(store, dest, now=EXPORTED).moved == 0
    store.revert(project.id, refiled, now=EXPORTED)
    assert export(store, dest, now=EXPORTED).moved == 1
    agrees(store, dest)


def test_keys_of_a_dataset_that_never_followed_them(store: Store, project: Project, dest: Path) -> None:
    """One that an older Rustrak exported, which noted nothing of filings, follows them from the next export on."""
    issue = IssueId(send(store, project, 1, 2, fingerprint=["a"])[0])
    number, event = store.export(Selection(), upto=99)[0]
    other = GroupingKey(mechanism="message@1", value="ab" * 16)
    export(store, dest, now=EXPORTED)
    moves = {number: (Place(issue, event.key), other)}
    store.refile(project.id, Refiling(moves=moves, targets={other: issue}), now=EXPORTED)
    forget_filings(dest)
    with Dataset.open(dest) as dataset:
        assert dataset.about.refilings is None
    assert export(store, dest, now=EXPORTED).moved == 1
    agrees(store, dest)


def forget_filings(dest: Path) -> None:
    """Take from a dataset what it notes of filings, as those have none that were exported before this was noted."""
    if dest.is_file():
        with duckdb.connect(str(dest)) as connection:
            connection.execute("COMMENT ON TABLE about IS NULL")
        return
    manifest = orjson.loads((dest / MANIFEST).read_bytes())
    del manifest["refilings"]
    (dest / MANIFEST).write_bytes(orjson.dumps(manifest))


def test_merged_issues_are_one(store: Store, project: Project, dest: Path) -> None:
    """Issues that are merged, and taken apart again, are so in the dataset too."""
    issues = list(dict.fromkeys(send(store, project, *range(30))))
    export(store, dest, now=EXPORTED)
    one, other = (store.issue(IssueId(number)) for number in issues[:2])
    store.merge_issues(one.id, [other.id], now=EXPORTED)
    assert export(store, dest, now=EXPORTED).moved == other.event_count
    agrees(store, dest)
    assert other.id not in filed(dest).values()
    store.unmerge_issues(one.id, [other.id])
    assert export(store, dest, now=EXPORTED).moved == other.event_count
    agrees(store, dest)


def test_what_came_late_is_found(store: Store, project: Project, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event whose number appears below the watermark, as with several recording at once, is not missed."""
    send(store, project, *range(10))
    kind: Any = type(store)
    real = kind.export_bare

    def without_one(self: Store, *args: Any, **options: Any) -> list[Any]:
        return [each for each in real(self, *args, **options) if each.event_id != UUID(int=5).bytes]

    with monkeypatch.context() as patched:
        patched.setattr(kind, "export_bare", without_one)
        nothing = Differences({}, set(), set())
        patched.setattr("rustrak_storage.duck.exporting.differences", lambda *_, **__: nothing)
        export(store, dest, now=EXPORTED)
    assert set(filed(dest)) == set(range(10)) - {4}
    assert export(store, dest, now=EXPORTED).new == 1
    agrees(store, dest)


def test_selection(store: Store, project: Project, dest: Path) -> None:
    """Projects and days choose; what was chosen is remembered, and nothing else is taken for it."""
    other = new_project(store, "Other")
    send(store, project, *range(0, 200, 10))
    record(store, accepted(other.id, made_payload(300), at(50), 300))
    chosen = Selection(project_ids=(project.id,), since=at(30), until=at(100))
    export(store, dest, now=EXPORTED, selection=chosen)
    assert set(filed(dest)) == {30, 40, 50, 60, 70, 80, 90}
    assert rows(dest, "SELECT slug FROM projects") == {("shop",)}
    send(store, project, 35, 205)
    for again in (None, chosen):
        export(store, dest, now=EXPORTED, selection=again)
        assert set(filed(dest)) == {30, 35, 40, 50, 60, 70, 80, 90}
        agrees(store, dest, chosen)
    before = snapshot(dest)
    with pytest.raises(DatasetError, match="other --since, --until or --project"):
        export(store, dest, now=EXPORTED, selection=Selection())
    assert snapshot(dest) == before


def test_a_store_that_was_put_back(store: Store, project: Project, dest: Path, tmp_path: Path) -> None:
    """From an older copy of the store, the dataset loses what the store lost."""
    send(store, project, *range(10))
    store.close()
    copy = (tmp_path / "rustrak.db").read_bytes()
    store = open_store(f"sqlite:///{tmp_path}/rustrak.db")
    send(store, project, *range(10, 20))
    export(store, dest, now=EXPORTED)
    store.close()
    (tmp_path / "rustrak.db").write_bytes(copy)
    store = open_store(f"sqlite:///{tmp_path}/rustrak.db")
    assert export(store, dest, now=EXPORTED).gone == 10
    agrees(store, dest)
    store.close()


def test_several_processes_read(
    store: Store, project: Project, dest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They share the events, and one that fails is told as such and changes nothing."""
    monkeypatch.setattr("rustrak_storage.duck.exporting.WORTH", 10)
    send(store, project, *range(30))
    reopen = partial(open_store, f"sqlite:///{tmp_path}/rustrak.db")
    steps: list[int] = []
    done = export(store, dest, now=EXPORTED, reopen=reopen, processes=2, progress=steps.append)
    assert (done.new, done.events, sum(steps)) == (30, 30, store.last_event_number())
    agrees(store, dest)
    send(store, project, *range(30, 60))
    for wrong, error in (
        (partial(open_store, "sqlite:////nowhere/rustrak.db"), StoreUnavailableError),
        (ended, DatasetError),
    ):
        with pytest.raises(error):
            export(store, dest, now=EXPORTED, reopen=wrong, processes=3)
        assert set(filed(dest)) == set(range(30))
    assert export(store, dest, now=EXPORTED, reopen=reopen, processes=3).new == 30
    agrees(store, dest)


def ended() -> Store:
    os._exit(9)


def test_another_store_is_refused(store: Store, project: Project, dest: Path) -> None:
    """A dataset is of one store; that of another would delete it all."""
    send(store, project, 1)
    export(store, dest, now=EXPORTED)
    other = open_store("memory://")
    other.create_project("Else", sentry_key=str(UUID(int=1)), now=BEGIN)
    before = snapshot(dest)
    with pytest.raises(DatasetError, match="another store"):
        export(other, dest, now=EXPORTED)
    assert snapshot(dest) == before
    other.close()


@pytest.mark.parametrize("first", [True, False])
def test_one_that_fails_changes_nothing(
    store: Store, project: Project, dest: Path, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever an export ends early, the dataset is as it was, and the next one completes it."""
    send(store, project, *range(20))
    if not first:
        export(store, dest, now=EXPORTED)
    before = filed(dest) if dest.exists() else None
    send(store, project, *range(20, 40))
    steps = (
        "rustrak_storage.duck.stage.Stage.flush",
        "rustrak_storage.duck.exporting.differences",
        "rustrak_storage.duck.folder.Folder._tag_days"
        if dest.suffix == ""
        else "rustrak_storage.duck.file.File.commit",
        "rustrak_storage.duck.about.Manifest.write" if dest.suffix == "" else "rustrak_storage.duck.file.rows_of",
    )
    for step in steps:
        with monkeypatch.context() as patched:
            patched.setattr(step, fail)
            with pytest.raises((OSError, DatasetError), match=r"the disk is full|No space left"):
                export(store, dest, now=EXPORTED)
        if before is None:
            with pytest.raises(DatasetError):
                Dataset.open(dest)
        else:
            assert filed(dest) == before
    export(store, dest, now=EXPORTED)
    agrees(store, dest)
    left = {entry.name for entry in dest.parent.iterdir()} - {"rustrak.db", "rustrak.db-wal", "rustrak.db-shm"}
    assert left == {dest.name}


def fail(*_args: object, **_options: object) -> None:
    raise OSError(28, os.strerror(28))


def test_nothing_is_left_of_one_that_fails(
    store: Store, project: Project, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither files that were in their places already, nor what was written aside."""
    send(store, project, *range(20))
    export(store, dest, now=EXPORTED)
    before = snapshot(dest.parent)
    send(store, project, *range(20, 40))
    for step in ("about.Manifest.write", "folder.Folder._place") if dest.suffix == "" else ("file.File.commit",):
        with monkeypatch.context() as patched:
            patched.setattr(f"rustrak_storage.duck.{step}", fail)
            with pytest.raises((OSError, DatasetError)):
                export(store, dest, now=EXPORTED)
        assert {name for name in snapshot(dest.parent) if "rustrak.db" not in name} == {
            name for name in before if "rustrak.db" not in name
        }


def test_an_interrupt_at_the_very_end(
    store: Store, project: Project, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dataset is as it is to be where it came to that already: no file that counts is removed."""
    send(store, project, *range(20))
    export(store, dest, now=EXPORTED)
    send(store, project, *range(20, 40))

    def commit(self: Any, *given: Any) -> int:
        real(self, *given)
        raise KeyboardInterrupt

    kind = Folder if dest.suffix == "" else File
    real = kind.commit
    with monkeypatch.context() as patched:
        patched.setattr(kind, "commit", commit)
        with pytest.raises(KeyboardInterrupt):
            export(store, dest, now=EXPORTED)
    assert set(filed(dest)) == set(range(40))
    assert export(store, dest, now=EXPORTED).new == 0
    agrees(store, dest)


def test_what_others_still_write_is_nobody_s(store: Store, project: Project, dest: Path, tmp_path: Path) -> None:
    """Processes that gathered for an export which was killed write on for a moment, while the next one is at work."""
    send(store, project, *range(20))
    killed = File(dest) if dest.suffix else Folder(dest)
    apart = killed.work / f"{APART}0"
    killed.connection.close()
    os.close(killed._lock)
    target = File(dest) if dest.suffix else Folder(dest)
    (target.work / f"{APART}0").mkdir()
    apart.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection, closing(Stage(apart, connection)) as late:
        Gatherer(store, Selection(), late).read(0, store.last_event_number(), lambda _steps: None)
        assert late.files()
    with closing(target), closing(Stage(target.work, target.connection)) as stage:
        assert not stage.files()
    assert export(store, dest, now=EXPORTED).events == 20


@pytest.mark.slow
def test_one_that_is_killed_changes_nothing(store: Store, project: Project, dest: Path, tmp_path: Path) -> None:
    """Kill -9 at any moment: the dataset is as it was or as it is to be, and the next export is right."""
    send(store, project, *range(20))
    export(store, dest, now=EXPORTED)
    killed = 0
    for round_number in range(6):
        send(store, project, *range(20 + round_number * 20, 40 + round_number * 20))
        before = filed(dest)
        code = (
            "import os, sys, threading, time\n"
            "from datetime import datetime\nfrom pathlib import Path\n"
            "from rustrak_storage.duck import export\nfrom rustrak_storage.factory import open_store\n"
            "store = open_store(sys.argv[1])\n"
            "threading.Thread(target=lambda: (time.sleep(float(sys.argv[3])), os.kill(os.getpid(), 9))).start()\n"
            "export(store, Path(sys.argv[2]), now=datetime.now(UTC))\nos._exit(0)\n"
        )
        url = f"sqlite:///{tmp_path}/rustrak.db"
        wait = str(0.02 + 0.04 * round_number)
        done = subprocess.run([sys.executable, "-c", code, url, str(dest), wait], check=False, timeout=60)
        killed += done.returncode == -9
        after = filed(dest)
        assert after == before or set(after) == set(range(40 + round_number * 20))
        export(store, dest, now=EXPORTED)
        agrees(store, dest)
    assert killed


@pytest.mark.parametrize("name", ["a[b]c", "a*c", "{a,b}", "per%20cent", "it's", "sp ace", "x=1", "\u00e9\U0001f98a"])
def test_any_name(store: Store, project: Project, dest: Path, name: str) -> None:
    """Whatever DuckDB could see in a path."""
    place = dest.parent / name / f"{name}{dest.suffix}"
    for numbers in ((1, 2), (3, 4)):
        send(store, project, *numbers)
        export(store, place, now=EXPORTED)
        agrees(store, place)


@pytest.mark.parametrize("name", ["a?b", "a\\b", "day=x", "project_id=1", "\udcff"])
def test_no_such_name(store: Store, project: Project, dest: Path, name: str) -> None:
    """What it sees there all the same is refused, before anything is made."""
    with pytest.raises(DatasetError, match="; name another"):
        export(store, dest.parent / name / dest.name, now=EXPORTED)
    with pytest.raises(DatasetError, match=r"name another|there is no dataset"):
        Dataset.open(dest.parent / name / dest.name)
    assert not (dest.parent / name).exists()


def test_whoever_reads_the_file_is_told(store: Store, project: Project, tmp_path: Path) -> None:
    """In this process too, that it is to be closed first."""
    dest = tmp_path / "errors.duckdb"
    export(store, dest, now=EXPORTED)
    with Dataset.open(dest), pytest.raises(DatasetError, match="this process has it open already"):
        export(store, dest, now=EXPORTED)
    export(store, dest, now=EXPORTED)


def test_the_log_of_one_that_was_deleted(store: Store, project: Project, tmp_path: Path) -> None:
    """An export that was killed may leave one; whoever deletes the file alone, as told, gets a new dataset."""
    dest, log = tmp_path / "errors.duckdb", tmp_path / "errors.duckdb.wal"
    send(store, project, *range(10))
    export(store, dest, now=EXPORTED)
    with duckdb.connect(str(dest)) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("DELETE FROM about")
        stale = log.read_bytes()
    dest.unlink()
    log.unlink(missing_ok=True)
    export(store, dest, now=EXPORTED)
    log.write_bytes(stale)
    for use in (Dataset.open, partial(export, store, now=EXPORTED)):
        with pytest.raises(DatasetError, match="damaged; delete it and export it anew"):
            use(dest)
    dest.unlink()
    export(store, dest, now=EXPORTED)
    agrees(store, dest)


@pytest.mark.parametrize("first", [True, False])
def test_only_one_at_a_time(store: Store, project: Project, dest: Path, first: bool) -> None:
    """A second export is told that there is one, from this process or another, where there is a dataset and is none."""
    send(store, project, 1)
    if not first:
        export(store, dest, now=EXPORTED)
    code = (
        "import sys\nfrom pathlib import Path\nfrom rustrak_storage.duck.exporting import File, Folder\n"
        "path = Path(sys.argv[1])\ntarget = File(path) if path.suffix else Folder(path)\n"
        "print('open', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(dest)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        with pytest.raises(DatasetError, match="another process"):
            export(store, dest, now=EXPORTED)
        other.stdin.close()
    export(store, dest, now=EXPORTED)
    agrees(store, dest)
    assert not dest.with_name(f".{dest.name}.export").exists()


def test_what_is_no_dataset_is_left_alone(store: Store, tmp_path: Path) -> None:
    """A folder of other things, a file that is no database, a database that is no dataset."""
    strange, text, other = tmp_path / "strange", tmp_path / "text.duckdb", tmp_path / "other.duckdb"
    strange.mkdir()
    (strange / "mine.txt").write_text("mine")
    text.write_text("This is no database, and it is longer than a header is. " * 100)
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")
    for path, said in ((strange, "not empty"), (text, "no DuckDB database"), (other, "no dataset")):
        before = snapshot(path)
        with pytest.raises(DatasetError, match=said):
            export(store, path, now=EXPORTED)
        assert snapshot(path) == before
        with pytest.raises(DatasetError):
            Dataset.open(path)
    with pytest.raises(DatasetError, match="rustrak export"):
        Dataset.open(tmp_path / "none")
    blocked = text / "below"
    with pytest.raises(DatasetError, match="cannot be written"):
        export(store, blocked, now=EXPORTED)


def test_versions_and_damage(store: Store, project: Project, dest: Path) -> None:
    """A newer version, a damaged manifest and a missing file are each told as such."""
    send(store, project, 1)
    export(store, dest, now=EXPORTED)
    if dest.is_file():
        with duckdb.connect(str(dest)) as connection:
            connection.execute("UPDATE about SET version = 99")
        refused(store, dest, "version 99")
        return
    manifest = dest / MANIFEST
    whole = orjson.loads(manifest.read_bytes())
    for said, body in (
        ("version 99", {**whole, "version": 99}),
        ("damaged", {**whole, "watermark": "much"}),
        ("damaged", []),
        ("another program", {**whole, "format": "else"}),
    ):
        manifest.write_bytes(orjson.dumps(body))
        refused(store, dest, said)
    manifest.write_bytes(b"{")
    refused(store, dest, "damaged")
    manifest.write_bytes(orjson.dumps(whole))
    next(dest.glob("issues-*.parquet")).unlink()
    with pytest.raises(DatasetError, match="files are missing"):
        Dataset.open(dest)


def make_version_1(dest: Path) -> None:
    """Make a dataset what the first version of the schema had."""
    if dest.is_file():
        with duckdb.connect(str(dest)) as connection:
            connection.execute("ALTER TABLE issues DROP COLUMN keys")
            connection.execute("ALTER TABLE projects DROP COLUMN rules")
            connection.execute("ALTER TABLE projects DROP COLUMN mechanism")
            connection.execute("UPDATE about SET version = 1")
        return
    manifest = orjson.loads((dest / MANIFEST).read_bytes())
    for table, more in (("issues", "keys"), ("projects", "rules, mechanism")):
        (name,) = manifest["files"][table]
        with duckdb.connect() as connection:
            rows = f"SELECT * EXCLUDE ({more}) FROM read_parquet('{dest / name}')"
            connection.execute(f"COPY ({rows}) TO '{dest / name}.new' (FORMAT parquet)")
        (dest / f"{name}.new").replace(dest / name)
    (dest / MANIFEST).write_bytes(orjson.dumps({**manifest, "version": 1}))


def test_an_older_version(store: Store, project: Project, dest: Path) -> None:
    """It is read as it is, and an export that is done again makes it a new one, with all that it had."""
    send(store, project, *range(3))
    export(store, dest, now=EXPORTED)
    events = "SELECT * REPLACE (tags::VARCHAR AS tags, frames::VARCHAR AS frames) FROM events"
    whole = rows(dest, events), rows(dest, "FROM projects")
    keys = rows(dest, "SELECT id, keys::VARCHAR FROM issues")
    make_version_1(dest)
    with Dataset.open(dest) as dataset:
        assert dataset.about.version == 1
        assert dataset.sql("FROM issues").columns == ISSUES.of_version(1).names
        assert dataset.ask("top-issues", days=None).rows()
    assert export(store, dest, now=EXPORTED).new == 0
    with Dataset.open(dest) as dataset:
        assert dataset.about.version == VERSION
        assert dataset.sql("FROM issues").columns == ISSUES.names
    assert (rows(dest, events), rows(dest, "FROM projects")) == whole
    assert rows(dest, "SELECT id, keys::VARCHAR FROM issues") == keys


def test_keys_and_rules(store: Store, project: Project, dest: Path) -> None:
    """Each issue has the keys that lead to it, and each project its rules, as they are when it is exported again."""
    one, two = send(store, project, 1, fingerprint=["a"]) + send(store, project, 2, fingerprint=["b"])
    export(store, dest, now=EXPORTED)
    (a,), (b,) = (rows(dest, f"SELECT grouping_key FROM events WHERE issue_id = {issue}") for issue in (one, two))
    own = "SELECT id, key.value, key.origin_id FROM (SELECT id, unnest(keys) AS key FROM issues)"
    assert rows(dest, own) == {(one, *a, None), (two, *b, None)}
    assert rows(dest, "SELECT rules, mechanism FROM projects") == {("", "anchor@1")}
    rules = 'mechanism = "message@1"\n# it\'s \u2713\n'
    store.set_grouping(project.id, rules, now=EXPORTED)
    store.merge_issues(IssueId(one), [IssueId(two)], now=EXPORTED)
    export(store, dest, now=EXPORTED)
    assert rows(dest, own) == {(one, *a, None), (one, *b, two)}
    assert rows(dest, "SELECT rules, mechanism FROM projects") == {(rules, "message@1")}


def refused(store: Store, dest: Path, said: str) -> None:
    """Check that nobody reads or writes a dataset, and why."""
    before = snapshot(dest)
    for call in (lambda: Dataset.open(dest), lambda: export(store, dest, now=EXPORTED)):
        with pytest.raises(DatasetError, match=said):
            call()
    assert snapshot(dest) == before


def test_progress_and_modes(store: Store, project: Project, dest: Path) -> None:
    """Progress sums up to the last number; a dataset is for its owner alone."""
    send(store, project, *range(5))
    steps: list[int] = []
    export(store, dest, now=EXPORTED, progress=steps.append)
    assert sum(steps) == store.last_event_number()
    assert dest.stat().st_mode & 0o077 == 0


def test_from_memory_as_from_sqlite(known: tuple[World, dict[str, Path]]) -> None:
    """Both forms of a dataset say the same."""
    tables = ("events", "tag_days", "issues", "projects", "breadcrumbs")
    for table in tables:
        found = []
        for dest in known[1].values():
            with Dataset.open(dest) as dataset:
                found.append(sorted(map(repr, dataset.sql(f"FROM {table}").rows())))
        assert found[0] == found[1]
        assert found[0]
