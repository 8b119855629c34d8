"""The events of benchmarks are as varied as those of applications, or figures would flatter."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from uuid import UUID

from rustrak_core import grouping
from tests.benchmarks.bodies import read_bodies, write_bodies
from tests.benchmarks.events import (
    ISSUES,
    event_id_of,
    event_json,
    issue_of,
    mean_payload_bytes,
    payload,
    request_bodies,
)


def test_every_issue_has_one_key() -> None:
    """Events of an issue are grouped together, and with no other issue."""
    keys = [
        {str(grouping.key(payload(issue, number, UUID(int=number)))) for number in range(3)} for issue in range(ISSUES)
    ]
    assert {len(each) for each in keys} == {1}
    assert len(set.union(*keys)) == ISSUES


def test_events_of_an_issue_differ() -> None:
    """Ids, traces, times, users, requests and variables are an event's own."""
    one, other = (payload(0, number, event_id_of(number)) for number in range(2))
    assert one["event_id"] != other["event_id"]
    assert one["timestamp"] != other["timestamp"]
    assert one["contexts"]["trace"]["trace_id"] != other["contexts"]["trace"]["trace_id"]
    assert one["user"] != other["user"]
    assert one["request"]["url"] != other["request"]["url"]
    crumbs = [[crumb["timestamp"] for crumb in event["breadcrumbs"]["values"]] for event in (one, other)]
    assert crumbs[0] != crumbs[1]
    assert crumbs[0] == sorted(crumbs[0])
    stacks = [event["exception"]["values"][-1]["stacktrace"]["frames"] for event in (one, other)]
    assert [frame["lineno"] for frame in stacks[0]] == [frame["lineno"] for frame in stacks[1]]
    assert stacks[0] != stacks[1]


def test_a_seed_gives_the_same_events_but_for_their_times() -> None:
    """Runs on two days compare."""

    def without_times(body: bytes) -> bytes:
        return re.sub(rb"2\d{3}-\d\d-\d\dT[\d:.]+Z|1\d{9}\.\d{3}", b"", body)

    one, again = (event_json(issue_of(7), 7, event_id_of(7)) for _ in range(2))
    assert without_times(one) == without_times(again)


def test_size_skew_and_platforms() -> None:
    """About 5 KB of JSON on average, few issues with most of the events, and more than Python."""
    assert 4_500 < mean_payload_bytes() < 5_700
    counts = Counter(map(issue_of, range(5000)))
    assert counts[0] > 10 * counts[50] > 0
    assert len(counts) > ISSUES * 0.9
    platforms = Counter(payload(issue, 0, UUID(int=1))["platform"] for issue in range(ISSUES))
    assert {"python", "javascript", "node", "ruby"} <= platforms.keys()


def test_bodies(tmp_path: Path) -> None:
    """Bodies come out of their file as they went in, and most are gzipped."""
    write_bodies(tmp_path / "bodies", 100)
    bodies = read_bodies(tmp_path / "bodies")
    assert len(bodies) == 100
    encodings = Counter(body.encoding for body in bodies)
    assert encodings["gzip"] > encodings[""] > 0
    for body, made in zip(bodies, request_bodies(100), strict=True):
        data = gzip.decompress(body.data) if body.encoding else body.data
        head, item, event = data.split(b"\n")[:3]
        assert len(event) == json.loads(item)["length"]
        assert json.loads(head)["event_id"] == json.loads(event)["event_id"]
        assert body.encoding == made.encoding
