"""`rustrak regroup`: told first, done in batches, and taken back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.issue import IssueState
from rustrak_core.page import EventQuery
from rustrak_core.ports import Place, Refiling
from rustrak_core.project import ProjectId
from rustrak_core.tracker import Tracker
from rustrak_http.regroup import work
from rustrak_http.regroup.journal import Journal
from tests.cli.conftest import Rustrak

SPLITTING = '[[rule]]\ntags.region = "eu"\nfingerprint = ["{{ default }}", "eu"]\n'
MERGING = '[[rule]]\ntype = "*Error"\nfingerprint = ["all errors"]\n'


def failure(number: int, kind: str = "OrderError", **more: Any) -> dict[str, Any]:
    frames = [{"module": "shop.orders", "function": f"ship_{kind}", "in_app": True}]
    values = [{"type": kind, "value": f"order {number} failed", "stacktrace": {"frames": frames}}]
    return {
        "event_id": UUID(int=number).hex,
        "timestamp": 1_700_000_000 + number,
        "exception": {"values": values},
        "user": {"id": number % 3},
        "release": f"1.{number}",
        **more,
    }


@pytest.fixture
def shop(rustrak: Rustrak) -> Rustrak:
    """A project of three issues: one with events of two regions, and two more."""
    rustrak("project", "create", "shop")
    with rustrak.tracker() as tracker:
        for number in range(1, 13):
            tags = {"region": "eu" if number % 3 == 0 else "us"}
            tracker.ingest_event(failure(number, tags=tags), "shop")
        tracker.ingest_event(failure(13, "CardError"), "shop")
        tracker.ingest_event(failure(14, "Warning"), "shop")
        tracker.set_state("SHOP-2", IssueState.MUTED)
    return rustrak


def rules(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(text)
    return path


def seen(tracker: Tracker) -> list[Any]:
    """All that is seen of the project, its keys included."""
    issues = list(tracker.issues("shop", sort="first_seen"))
    events = [list(tracker.events(issue)) for issue in issues]
    keys = {tracker.event(event.id).key for of_issue in events for event in of_issue}
    filters: Sequence[dict[str, Any]] = [{"q": "region:eu"}, {"q": "region:us"}, {"release": "1.6"}, {"level": "error"}]
    facets = [[issue.id for issue in tracker.issues("shop", **some)] for some in filters]
    project = tracker.project("shop")
    filed = [tracker.event(event.id) for of_issue in events for event in of_issue]
    return [
        issues,
        events,
        filed,
        facets,
        tracker.store.owners(project.id, keys),
        project,
        tracker.grouping("shop").rules,
    ]


def everything(shop: Rustrak) -> list[Any]:
    with shop.tracker() as tracker:
        return seen(tracker)


def test_dry_run_of_a_split(shop: Rustrak, tmp_path: Path) -> None:
    """A rule that tells regions apart would split one issue, with the reason; nothing is changed."""
    before = everything(shop)
    file = rules(tmp_path, SPLITTING)
    said = shop.json("regroup", "--project", "shop", "--rules", file, "--dry-run")
    assert {name: said[name] for name in ("events", "issues", "moved", "rekeyed", "unread")} == {
        "events": 14,
        "issues": 3,
        "moved": 4,
        "rekeyed": 0,
        "unread": 0,
    }
    assert (said["merged"], said["split"], said["opened"]) == (0, 1, 1)
    (split,) = said["splits"]
    assert split["short_id"] == "SHOP-1"
    assert [(part["into"] and part["into"]["short_id"], part["events"]) for part in split["parts"]] == [
        ("SHOP-1", 8),
        (None, 4),
    ]
    assert [side["after"]["decided_by"] for side in split["why"]] == ["mechanism", "rule"]
    out = shop("regroup", "--project", "shop", "--rules", file, "--dry-run").out
    assert "shop: 14 events in 3 issues" in out
    assert "8 stay, 4 to a new issue" in " ".join(out.split())
    assert "* fingerprint (no such part) eu" in " ".join(out.split())
    assert everything(shop) == before


def test_dry_run_of_a_merge(shop: Rustrak, tmp_path: Path) -> None:
    """A rule that takes errors together would have the smaller issue join the larger one."""
    file = rules(tmp_path, MERGING)
    said = shop.json("regroup", "--project", "shop", "--rules", file, "--dry-run")
    assert (said["merged"], said["split"], said["opened"], said["moved"], said["rekeyed"]) == (1, 0, 0, 1, 12)
    (merge,) = said["merges"]
    assert merge["into"]["short_id"] == "SHOP-1"
    assert [issue["short_id"] for issue in merge["issues"]] == ["SHOP-2"]
    out = " ".join(shop("regroup", "--project", "shop", "--rules", file, "--dry-run").out.split())
    assert "1 SHOP-2 SHOP-1 OrderError: order 12 failed" in out
    assert "* type CardError OrderError" in out
    assert "after, by rule 1 (line 1): sets the fingerprint" in out


def test_nothing_to_do(shop: Rustrak) -> None:
    """By the project's own rules all is as it should be."""
    out = shop("regroup", "--project", "shop", "--dry-run").out
    assert out.endswith("All events are filed as these rules have it.\n")


@pytest.mark.parametrize("text", [SPLITTING, MERGING, SPLITTING + MERGING])
def test_apply_and_undo(shop: Rustrak, tmp_path: Path, text: str) -> None:
    """What was done is what the dry run told; taken back, all is as it was."""
    before = everything(shop)
    file = rules(tmp_path, text)
    told = shop.json("regroup", "--project", "shop", "--rules", file, "--dry-run")
    done = shop.json("regroup", "--project", "shop", "--rules", file, "--apply")
    assert done["events"] == told["moved"] + told["rekeyed"]
    again = shop.json("regroup", "--project", "shop", "--dry-run")
    assert (again["moved"], again["rekeyed"]) == (0, 0)
    assert again["issues"] == told["issues"] - told["merged"] + told["opened"]
    with shop.tracker() as tracker:
        assert tracker.grouping("shop").rules == text
        assert sum(issue.event_count for issue in tracker.issues("shop")) == 14
    undone = shop.json("regroup", "--undo", done["undo_file"])
    assert undone == {"events": done["events"]}
    assert everything(shop) == before
    assert "was undone already" in shop.fails("regroup", "--undo", done["undo_file"])


def test_new_events_go_where_old_ones_are(shop: Rustrak, tmp_path: Path) -> None:
    """After a rule was applied, an event comes to the issue that others of its kind were moved to."""
    shop("regroup", "--project", "shop", "--rules", rules(tmp_path, SPLITTING), "--apply")
    with shop.tracker() as tracker:
        moved = tracker.event(UUID(int=3)).summary.issue_id
        assert tracker.ingest_event(failure(33, tags={"region": "eu"}), "shop").issue_id == moved
        assert tracker.ingest_event(failure(34, tags={"region": "us"}), "shop").issue_id == 1
        assert tracker.issue(moved).event_count == 5


def test_a_mechanism(shop: Rustrak) -> None:
    """Another mechanism is pinned, its keys attached, and by the undo given up again."""
    before = everything(shop)
    told = shop.json("regroup", "--project", "shop", "--mechanism", "message@1", "--dry-run")
    assert (told["split"], told["opened"], told["moved"]) == (1, 11, 11)
    done = shop.json("regroup", "--project", "shop", "--mechanism", "message@1", "--apply")
    with shop.tracker() as tracker:
        assert tracker.grouping("shop").rules.startswith('mechanism = "message@1"')
        assert len(list(tracker.issues("shop"))) == 14
        assert tracker.ingest_event(failure(5, event_id=UUID(int=99).hex), "shop").recorded[0].is_new is False
        tracker.delete_issue(tracker.event(UUID(int=99)).summary.issue_id)
    shop("regroup", "--undo", done["undo_file"])
    with shop.tracker() as tracker:
        assert [issue.event_count for issue in tracker.issues("shop", sort="first_seen", descending=False)] == [
            11,
            1,
            1,
        ]
    assert everything(shop)[-1] == before[-1] == ""


class Killed(BaseException):
    """What a process that was killed does not do any more."""


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("after", range(5))
def test_killed_and_run_again(
    shop: Rustrak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int, written: bool
) -> None:
    """Whatever batch it stops in, the line on disk or not, the same command goes on, and the undo puts all back."""
    before = everything(shop)
    file = rules(tmp_path, SPLITTING + MERGING)
    monkeypatch.setattr(work, "_BATCH", 4)
    write, left = Journal.write, [after]

    def killed(journal: Journal, line: Any) -> None:
        if written:
            write(journal, line)
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        if not written:
            write(journal, line)

    monkeypatch.setattr(Journal, "write", killed)
    try:
        done = shop("regroup", "--project", "shop", "--rules", file, "--apply", "--undo-file", tmp_path / "undo")
    except Killed:
        left[0] = -1
        done = shop("regroup", "--project", "shop", "--rules", file, "--apply", "--undo-file", tmp_path / "undo")
    assert done.code == 0
    assert "filed as these rules have it" in shop("regroup", "--project", "shop", "--dry-run").out
    shop("regroup", "--undo", tmp_path / "undo")
    assert everything(shop) == before


def test_an_undo_that_was_killed(shop: Rustrak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An undo goes on where it stopped, too."""
    before = everything(shop)
    monkeypatch.setattr(work, "_BATCH", 4)
    file = rules(tmp_path, SPLITTING + MERGING)
    done = shop.json("regroup", "--project", "shop", "--rules", file, "--apply")
    backwards = Journal.backwards

    def killed(journal: Journal) -> Any:
        for number, refiled in enumerate(backwards(journal)):
            if number == 2:
                raise Killed
            yield refiled

    monkeypatch.setattr(Journal, "backwards", killed)
    with pytest.raises(Killed):
        shop("regroup", "--undo", done["undo_file"])
    assert everything(shop) != before
    monkeypatch.setattr(Journal, "backwards", backwards)
    shop("regroup", "--undo", done["undo_file"])
    assert everything(shop) == before


def test_wrong_options(shop: Rustrak, tmp_path: Path) -> None:
    """What cannot be meant is a wrong command line."""
    for wrong in (
        ("--project", "shop"),
        ("--project", "shop", "--dry-run", "--apply"),
        ("--dry-run",),
        ("--undo", "x", "--project", "shop"),
        ("--project", "shop", "--dry-run", "--undo-file", "x"),
    ):
        shop.fails("regroup", *wrong, code=2)


def test_bad_input(shop: Rustrak, tmp_path: Path) -> None:
    """What is wrong is named, with the line of a rule, and nothing is done."""
    before = everything(shop)
    regroup = ("regroup", "--project", "shop", "--apply")
    assert "project list" in shop.fails("regroup", "--project", "shopp", "--dry-run")
    assert "line 3: `colour` is unknown" in shop.fails(
        *regroup, "--rules", rules(tmp_path, '[[rule]]\ntype = "x"\ncolour = "red"\n')
    )
    assert "No such file" in shop.fails(*regroup, "--rules", tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# a\n# \xff\n")
    assert "line 2: not UTF-8" in shop.fails(*regroup, "--rules", tmp_path / "latin.toml")
    assert "must be one of message@1, anchor@1" in shop.fails(*regroup, "--mechanism", "newest")
    assert "No such file" in shop.fails(*regroup, "--undo-file", tmp_path / "none" / "x")
    assert "No such file" in shop.fails("regroup", "--undo", tmp_path / "none")
    assert everything(shop) == before


def test_undo_files(shop: Rustrak, tmp_path: Path) -> None:
    """A file that is damaged, or of another project, store, rule or finished run, is refused with what to do."""
    path, other = tmp_path / "undo", tmp_path / "other"
    file = rules(tmp_path, SPLITTING)
    apply = ("regroup", "--project", "shop", "--rules", file, "--apply", "--undo-file", path)
    shop(*apply)
    before = everything(shop)
    assert "came to its end" in shop.fails(*apply)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    shop("project", "create", "till")
    assert "of another project" in shop.fails(
        "regroup", "--project", "till", "--rules", file, "--apply", "--undo-file", path
    )
    assert "other rules" in shop.fails(
        "regroup", "--project", "shop", "--mechanism", "message@1", "--apply", "--undo-file", path
    )
    header = json.loads(lines[0])
    damages: dict[bytes, str] = {
        b"": "line 1 of the undo file is missing",
        b"half a li": "line 1 of the undo file is missing",
        b"no json\n": "line 1 of the undo file is damaged",
        lines[1]: "line 1 of the undo file is damaged",
        lines[0] + lines[0]: "line 2 of the undo file is damaged",
        lines[0] + b'{"moved": 1}\n' + lines[2]: "line 2 of the undo file is damaged",
        lines[0] + lines[1][: len(lines[1]) // 2] + b"\n" + lines[2]: "line 2 of the undo file is damaged",
        json.dumps({**header, "rustrak_undo": 2}).encode() + b"\n": "newer rustrak",
        json.dumps({**header, "mark": "x"}).encode() + b"\n": "which this store does not hold",
        json.dumps({**header, "project_id": 99}).encode() + b"\n": "project 99 (shop), which this store does not hold",
    }
    for content, said in damages.items():
        other.write_bytes(content)
        assert said in shop.fails("regroup", "--undo", other)
    assert everything(shop) == before
    path.write_bytes(b"".join(lines)[:-3])  # half of the last line, as a crash leaves it
    shop("regroup", "--undo", path)
    with shop.tracker() as tracker:
        assert len(list(tracker.issues("shop"))) == 3
        assert len(tracker.store.events(EventQuery(issue_id=tracker.issue("SHOP-1").id, limit=100)).items) == 12


@pytest.mark.parametrize("name", ["errors", "errors.duckdb"])
def test_a_dataset(shop: Rustrak, tmp_path: Path, name: str) -> None:
    """Asked of a dataset, the dry run says what it says of the store, and as of when; nothing is changed."""
    dest, file = tmp_path / name, rules(tmp_path, SPLITTING + MERGING)
    shop("export", dest)
    asked = ("--project", "shop", "--rules", file, "--dry-run")
    assert shop.json("regroup", dest, *asked) == shop.json("regroup", *asked)
    head, extent, *rest = shop("regroup", dest, *asked).out.splitlines()
    assert [head, *rest] == shop("regroup", *asked).out.splitlines()
    assert extent.startswith("as exported at 20")
    assert extent.endswith(" UTC")
    with shop.tracker() as tracker:
        tracker.delete_issue("SHOP-1")
    assert shop.json("regroup", dest, *asked)["events"] == 14
    shop("export", dest)
    assert shop.json("regroup", dest, "--project", "1", "--dry-run")["events"] == 2


def test_a_dataset_wrongly(shop: Rustrak, tmp_path: Path) -> None:
    """It is only read; each mistake has its line, and where payloads are gone, that is said."""
    dest = tmp_path / "errors.duckdb"
    asked = ("--project", "shop", "--dry-run")
    assert "rustrak export" in shop.fails("regroup", dest, *asked)
    (tmp_path / "notes").mkdir()
    assert "is no dataset" in shop.fails("regroup", tmp_path / "notes", *asked)
    (tmp_path / "notes.txt").write_text("no database")
    assert "no DuckDB database" in shop.fails("regroup", tmp_path / "notes.txt", *asked)
    with shop.tracker() as tracker:
        bare = tracker.create_project("Bare")
        sent = AcceptedEvent(project_id=bare.id, event_id=UUID(int=99), received_at=tracker.clock(), payload=b"{}")
        tracker.store.record([attrs.evolve(digest(sent), payload=None)])
    shop("export", dest, "--since", "2020-01-01")
    for wrong in (("--apply",), ("--undo", "x")):
        assert "dataset is only read" in shop.fails("regroup", dest, "--project", "shop", *wrong, code=2)
    assert "--project" in shop.fails("regroup", dest, "--dry-run", code=2)
    assert "it has bare, shop" in shop.fails("regroup", dest, "--project", "shopp", "--dry-run")
    assert "events since 2020-01-01" in shop("regroup", dest, *asked).out
    for where in ((dest,), ()):
        assert "No event has its payload" in shop("regroup", *where, "--project", "bare", "--dry-run").out


def test_one_at_a_time(shop: Rustrak, tmp_path: Path) -> None:
    """An undo file is one process' alone."""
    done = shop.json("regroup", "--project", "shop", "--rules", rules(tmp_path, SPLITTING), "--apply")
    journal = Journal.open(Path(done["undo_file"]))
    assert "another process" in shop.fails("regroup", "--undo", done["undo_file"])
    journal.close()
    shop("regroup", "--undo", done["undo_file"])


def test_deleted_meanwhile(shop: Rustrak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An issue that is deleted, or an event that moved, between the plan and the batch is left alone."""
    survey = work.survey

    def late(source: Any, *args: Any, **kwargs: Any) -> Any:
        found = survey(source, *args, **kwargs)
        if not kwargs.get("after"):
            with shop.tracker() as tracker:
                tracker.delete_issue("SHOP-2")
                event = next(each for each in tracker.store.scan(ProjectId(1)) if each.event_id.int == 3)
                target = tracker.issue("SHOP-3").id
                moves = {event.number: (Place(event.issue_id, event.key), tracker.event(UUID(int=14)).key)}
                tracker.store.refile(1, Refiling(moves=moves), now=tracker.clock())  # type: ignore[arg-type]
                assert tracker.event(UUID(int=3)).summary.issue_id == target
        return found

    monkeypatch.setattr(work, "survey", late)
    done = shop.json("regroup", "--project", "shop", "--rules", rules(tmp_path, SPLITTING), "--apply")
    assert done["events"] == 3
    with shop.tracker() as tracker:
        assert sorted(issue.event_count for issue in tracker.issues("shop")) == [2, 3, 8]
