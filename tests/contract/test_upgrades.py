"""Each older version of the schema, with rows as it wrote them, brought to ours: readers see what was there."""

import json
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import make_url

from rustrak_core.accepted import Outcome, SpoolPosition
from rustrak_core.errors import UnknownProjectError
from rustrak_core.issue import IssueId, IssueState, MergedIssue, ShortId
from rustrak_core.page import EventQuery, IssueQuery, ListQuery
from rustrak_core.ports import Store
from rustrak_core.project import ProjectId
from rustrak_core.times import from_micros, to_micros
from rustrak_storage.factory import check_database, open_store, upgrade_database
from rustrak_storage.filing import rank, user_hash
from rustrak_storage.sql.dictionaries import checksum
from rustrak_storage.sql.migrate import HEAD, KNOWN
from rustrak_storage.testing.values import LANE, NOW, digested, key
from rustrak_storage.upkeep import Upgraded
from tests.contract.test_migrations import (
    DICTIONARY,
    EVENTS,
    KEY,
    LEAST,
    Rows,
    ask,
    event_row,
    payload_row,
    upgrade,
    write,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STORED = EVENTS[:12]
MOMENT = to_micros(NOW)
OTHER = key("another")
RULES = '# mine\nmechanism = "message@1"\n'
MERGED_SINCE = "0004"
"""The version from which issues can be merged; before it, the second issue stands by itself."""


def content_row(number: int) -> dict[str, Any]:
    """Return the payload's row of an event as versions from 0002 on have it."""
    stored = EVENTS[number - 1]
    fields = {name: getattr(stored, name) for name in LEAST}
    fields |= {"tags": dict(stored.tags)} if stored.tags else {}
    fields |= {name: getattr(stored, name) for name in ("remote_addr", "sdk_client") if getattr(stored, name)}
    fields |= {"hints": stored.hints} if stored.hints else {}
    line = json.dumps(fields, ensure_ascii=False).encode()
    content = line if stored.payload is None else line + b"\n" + stored.payload
    size = len(stored.payload or b"")
    if number in {1, 5}:
        return {"event": number, "codec": "plain", "dictionary": None, "size": size, "data": content}
    used = None if number == 2 else zstd.ZstdDict(DICTIONARY)
    data = zstd.compress(content, zstd_dict=used)
    return {"event": number, "codec": "packed", "dictionary": used and 1, "size": size, "data": data}


def issue_rows(*, merged: bool) -> Rows:
    """Return an issue with all events, and one that was resolved, and perhaps merged into the first, without any."""
    newest = STORED[-1].summary
    last = to_micros(newest.timestamp)
    first = {
        **dict.fromkeys(("id", "project_id", "number", "user_count"), 1),
        **{name: getattr(STORED[-1], name) for name in ("type", "message", "culprit", "level", "platform")},
        "search": "valueerror",
        "state": "open",
        "resolved_at": None,
        "event_count": len(STORED),
        "first_seen": to_micros(STORED[0].summary.timestamp),
        "last_seen": last,
        "latest": rank(last, MOMENT, newest.id.bytes),
        "first_release": "1.0",
        "first_release_rank": rank(to_micros(STORED[0].summary.timestamp), MOMENT, STORED[0].summary.id.bytes),
        "last_release": "1.0",
        "last_release_rank": rank(to_micros(STORED[0].summary.timestamp), MOMENT, STORED[0].summary.id.bytes),
    }
    second = {
        **first,
        **dict.fromkeys(("id", "number"), 2),
        **dict.fromkeys(("event_count", "user_count"), 0),
        "state": "resolved",
        "resolved_at": MOMENT,
        "type": "Grüße",
        "search": "grüße",
    }
    led = {"merged_into": 1, "merged_at": MOMENT, "leads_to": 1}
    alone = dict.fromkeys(led)
    return [first | alone, second | led] if merged else [first, second]


def facet_rows() -> tuple[Rows, Rows]:
    """Return the facets of the first issue, and how many values of each key there are."""
    counts: dict[tuple[str, str], int] = {}
    for stored in STORED:
        pairs = [(f"tag:{name}", value) for name, value in stored.tags]
        pairs += [("level", stored.level)]
        pairs += [
            (name, value)
            for name, value in (("environment", stored.summary.environment), ("release", stored.summary.release))
            if value is not None
        ]
        for pair in pairs:
            counts[pair] = counts.get(pair, 0) + 1
    rows = [
        {"issue_id": 1, "key": name, "value": value, "project_id": 1, "count": count}
        for (name, value), count in counts.items()
    ]
    names = [name for name, _value in counts]
    return rows, [
        {"issue_id": 1, "key": name, "value_count": names.count(name), "other": 0} for name in sorted(set(names))
    ]


def fill(url: str, revision: str) -> None:
    """Create a database as *revision* has it, with rows as it wrote them."""
    upgrade(url, revision)
    merged = revision >= MERGED_SINCE
    counts = {"event_count": len(STORED), "issue_count": 1 if merged else 2, "last_number": 2, "deleted_at": None}
    project = {"id": 1, "name": "Größe", "slug": "x", "sentry_key": "0" * 32, "created_at": MOMENT, **counts}
    gone = {**project, "id": 2, "slug": "gone", "sentry_key": "1" * 32, "deleted_at": MOMENT}
    token = {"id": 1, "sha256": b"t" * 32, "prefix": "a1b2", "description": "CI", "created_at": MOMENT}
    keys = [
        {"value": bytes.fromhex(each.value), "project_id": 1, "mechanism": each.mechanism, "issue_id": issue}
        for each, issue in ((KEY, 1), (OTHER, 1 if merged else 2))
    ]
    if merged:
        keys = [keys[0] | {"origin_id": None}, keys[1] | {"origin_id": 2}]
    facets, facet_keys = facet_rows()
    events = [event_row(stored) for stored in STORED]
    payloads = [row for stored in STORED if (row := payload_row(stored))]
    dictionary = {"id": 1, "created_at": MOMENT, "data": DICTIONARY}
    if revision >= "0002":
        gone_columns = {*LEAST, "remote_addr", "sdk_client", "tags", "hints"}
        events = [{name: value for name, value in row.items() if name not in gone_columns} for row in events]
        payloads = [content_row(stored.summary.id.int) for stored in STORED]
        dictionary["checksum"] = checksum(DICTIONARY)
        write(url, "rustrak_state", [{"name": "dictionaries", "value": 1}])
    count = {"project_id": 1, "day": MOMENT // 86_400_000_000, "category": "error", "reason": ""}
    tables: dict[str, Rows] = {
        "rustrak_project": [project, gone],
        "rustrak_token": [token],
        "rustrak_issue": issue_rows(merged=merged),
        "rustrak_grouping_key": keys,
        "rustrak_event": events,
        "rustrak_payload": payloads,
        "rustrak_dictionary": [dictionary],
        "rustrak_facet": facets,
        "rustrak_facet_key": facet_keys,
        "rustrak_issue_user": [{"issue_id": 1, "user_hash": user_hash("1")}],
        "rustrak_counter": [
            count | {"outcome": "stored", "quantity": 12},
            count | {"outcome": "filtered", "quantity": 3},
        ],
        "rustrak_spool_position": [{"lane": LANE, "segment": 3, "offset": 77}],
        "rustrak_doomed": [{"kind": "project", "id": 2}],
    }
    if revision >= "0003":
        used = '["message@1"]'
        tables["rustrak_grouping"] = [{"project_id": 1, "rules": RULES, "used": used, "changed_at": MOMENT}]
    if revision >= "0005":
        tables["rustrak_backfill"] = [{"project_id": 1, "mechanism": "anchor@1", "stage": "reading", "upto": 5}]
        value = {"project_id": 1, "value": b"\x00\xff" * 8, "mechanism": "anchor@1", "issue_id": 1}
        tables["rustrak_newer_key"] = [value]
    for name, rows in tables.items():
        write(url, name, rows)
    ask(url, "UPDATE rustrak_state SET value = 1 WHERE name = 'started'")
    numbering = {"postgresql": "setval('rustrak_{}_seq', :last)", "mariadb": "SETVAL(rustrak_{}_seq, :last)"}
    if not url.startswith("sqlite"):
        ours = numbering[make_url(url).get_backend_name()]
        for name, last in (("project", 2), ("token", 1), ("issue", 2), ("event", len(STORED))):
            ask(url, f"SELECT {ours.format(name)}", last=last)


@pytest.mark.parametrize("revision", sorted(KNOWN))
def test_from_each_version(blank_url: str, revision: str) -> None:
    """What was written by it is read as it was, nothing is found wrong with it, and more is recorded beside it."""
    fill(blank_url, revision)
    assert upgrade_database(blank_url) == Upgraded(before=revision, after=HEAD)
    assert check_database(blank_url, payloads=None).findings == []
    store = open_store(blank_url)
    assert [store.event(stored.summary.id) for stored in STORED] == STORED
    newest_first = [stored.summary for stored in reversed(STORED)]
    assert list(store.events(EventQuery(issue_id=IssueId(1), limit=50)).items) == newest_first
    see_projects(store)
    see_issues(store, merged=revision >= MERGED_SINCE)
    see_counters(store)
    assert store.grouping(ProjectId(1)).rules == (RULES if revision >= "0003" else "")
    assert list(store.grouping(ProjectId(1)).used) == ["message@1"]
    state = store.backfill(ProjectId(1))
    assert (state and state.mechanism) == ("anchor@1" if revision >= "0005" else None)
    see_more(store)
    store.close()


def see_projects(store: Store) -> None:
    """Projects and tokens are as they were, and a deleted project is gone."""
    (project,) = store.projects(ListQuery()).items
    assert (project.id, project.name, project.slug, project.sentry_key) == (1, "Größe", "x", str(UUID(int=0)))
    assert (project.created_at, project.event_count) == (from_micros(MOMENT), len(STORED))
    with pytest.raises(UnknownProjectError):
        store.project_by_slug("gone")
    token = store.token_by_hash(b"t" * 32)
    assert token is not None
    assert (token.id, token.description, token.created_at) == (1, "CI", from_micros(MOMENT))


def see_issues(store: Store, *, merged: bool) -> None:
    """The issues are listed, found by what their events have, and led to by their short ids."""
    issue = store.issue(ShortId("X-1"))
    assert (issue.id, issue.state, issue.event_count, issue.user_count) == (1, IssueState.OPEN, len(STORED), 1)
    assert (issue.first_seen, issue.last_seen) == (NOW + timedelta(seconds=1), NOW + timedelta(seconds=12))
    assert (issue.type, issue.level, issue.first_release, issue.last_release) == ("ValueError", "error", "1.0", "1.0")
    query = IssueQuery(project_id=ProjectId(1), environment="prod", tags=(("a", "b"),), words=("valueerror",))
    assert [each.id for each in store.issues(query).items] == [1]
    second = MergedIssue(id=IssueId(2), short_id=ShortId("X-2"), merged_at=NOW)
    assert issue.merged == ((second,) if merged else ())
    assert store.issue(ShortId("X-2")).id == (1 if merged else 2)
    resolved = store.issues(IssueQuery(project_id=ProjectId(1), state=IssueState.RESOLVED)).items
    assert [(each.short_id, each.resolved_at, each.type) for each in resolved] == (
        [] if merged else [("X-2", NOW, "Grüße")]
    )


def see_counters(store: Store) -> None:
    """What was counted, and how far the spool was recorded, is there."""
    ledger = store.ledger(ProjectId(1), since=NOW.date(), until=NOW.date())
    assert [(count.outcome, count.quantity) for count in ledger.counts] == [
        (Outcome.FILTERED, 3),
        (Outcome.STORED, 12),
    ]
    assert store.position(LANE) == SpoolPosition(lane=LANE, segment=3, offset=77)


def see_more(store: Store) -> None:
    """Known errors come to their issues, new ones open issues whose numbers and ids go on, and the dead are purged."""
    known, opened = store.record(
        [digested(ProjectId(1), 5000, keys=(KEY,)), digested(ProjectId(1), 5001, "never seen")]
    )
    assert (known.issue_id, known.is_new) == (1, False)
    assert opened.issue_id is not None
    assert opened.issue_id > 2
    assert store.issue(opened.issue_id).short_id == "X-3"
    assert store.event(UUID(int=5000)).payload == b'{"number": 5000}'
    assert store.last_event_number() > len(STORED)
    assert [each.issue.id for each in store.similar_issues(IssueId(1), limit=5)] in ([], [opened.issue_id])
    while store.purge():
        pass
    store.set_grouping(ProjectId(1), "# other", now=NOW)
    assert store.grouping(ProjectId(1)).rules == "# other"
