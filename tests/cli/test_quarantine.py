"""`rustrak quarantine`: what is set aside can be seen, saved, given back and removed."""

import io
import subprocess
import sys
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click
import pytest

from rustrak_core.accepted import AcceptedEvent, SpoolPosition
from rustrak_core.project import ProjectId
from rustrak_http.cli import cli
from rustrak_http.worker import DigestWorker
from rustrak_storage import open_store
from rustrak_storage.spool import DirectorySpoolReader, QuarantineFolder
from tests.cli.conftest import Rustrak

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
LANE = "0123456789abcdef" * 2
EVENT = UUID("550e8400-e29b-41d4-a716-446655440000")


def event(number: int = 0, payload: bytes = b'{"message": "hello"}') -> AcceptedEvent:
    event_id = UUID(int=EVENT.int + number)
    return AcceptedEvent(project_id=ProjectId(1), event_id=event_id, received_at=NOW, payload=payload)


def set_aside(rustrak: Rustrak, *events: AcceptedEvent) -> list[str]:
    """Put events into quarantine, and return their ids there."""
    DirectorySpoolReader(rustrak.data_dir / "spool").close()
    folder = QuarantineFolder(rustrak.data_dir / "spool")
    return [
        folder.keep(
            each,
            at=SpoolPosition(lane=LANE, segment=1, offset=each.event_id.int % 1000),
            index=0,
            why="no worker survived it",
            now=NOW,
        )
        for each in events
    ]


def digest_all(data_dir: Path) -> None:
    store, reader = open_store(f"sqlite:///{data_dir}/rustrak.db"), DirectorySpoolReader(data_dir / "spool")
    worker = DigestWorker(store, reader)
    while worker.run_once():
        pass
    reader.close()
    store.close()


def test_nothing(rustrak: Rustrak) -> None:
    """Without anything there, that is said, and no folder is made."""
    assert "nothing in quarantine" in rustrak("quarantine", "list").err
    assert rustrak.json("quarantine", "list") == {"data": []}
    assert "nothing in quarantine" in rustrak("quarantine", "retry", "--all").err
    assert not rustrak.data_dir.exists()


def test_list(rustrak: Rustrak) -> None:
    """A table, or JSON, with all that tells what an event is; never its payload."""
    (name,) = set_aside(rustrak, event())
    out = rustrak("quarantine", "list").out
    assert all(text in out for text in (name, str(EVENT), "2024-01-15 10:30:00", "no worker survived it"))
    assert "hello" not in out
    (row,) = rustrak.json("quarantine", "list")["data"]
    assert row == {
        "id": name,
        "project_id": 1,
        "event_id": str(EVENT),
        "received_at": "2024-01-15T10:30:00Z",
        "quarantined_at": "2024-01-15T10:30:00Z",
        "bytes": 20,
        "why": "no worker survived it",
    }


def test_show_raw(rustrak: Rustrak) -> None:
    """--raw gives the bytes as sent, whatever they are, and nothing else."""
    hostile = b'{"message": "\x1b[2J\xff"}' + b" " * 9000
    (name,) = set_aside(rustrak, event(2, hostile))
    command = [sys.executable, "-m", "rustrak_http.cli", "quarantine", "show", name, "--raw"]
    assert subprocess.run(command, check=True, capture_output=True).stdout == hostile


def test_show_in_a_terminal(rustrak: Rustrak) -> None:
    """By the id's beginning, or the event's; a payload cannot drive the terminal."""
    hostile = b'{"message": "\x1b[2J\xff"}' + b" " * 9000
    name, other = set_aside(rustrak, event(1), event(2, hostile))
    for which in (name, name[:10], event(1).event_id.hex):
        out = rustrak("quarantine", "show", which).out
        assert '{"message": "hello"}' in out
        assert "why          no worker survived it" in out
    out = rustrak("quarantine", "show", other).out
    assert "\x1b" not in out
    assert "--raw" in out
    assert rustrak.json("quarantine", "show", name)["payload"] == '{"message": "hello"}'
    assert b64decode(rustrak.json("quarantine", "show", other)["payload_base64"]) == hostile


def test_retry(rustrak: Rustrak) -> None:
    """Given back, an event is digested and stored; twice is not possible."""
    rustrak("project", "create", "my-app")
    first, second = set_aside(rustrak, event(1), event(2))
    assert "given back" in rustrak("quarantine", "retry", first).out
    assert [row["id"] for row in rustrak.json("quarantine", "list")["data"]] == [second]
    assert "no" in rustrak.fails("quarantine", "retry", first)
    digest_all(rustrak.data_dir)
    assert rustrak.json("event", event(1).event_id)["id"] == str(event(1).event_id)
    assert len(rustrak.json("quarantine", "retry", "--all")["data"]) == 1
    digest_all(rustrak.data_dir)
    assert rustrak.json("event", event(2).event_id)["id"] == str(event(2).event_id)


def test_retry_without_a_database(rustrak: Rustrak) -> None:
    """Where there is none, that is said, and nothing is lost."""
    set_aside(rustrak, event())
    assert "no database" in rustrak.fails("quarantine", "retry", "--all")
    assert len(rustrak.json("quarantine", "list")["data"]) == 1


def test_drop(rustrak: Rustrak, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks, removes what was named, and says what."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    names = set_aside(rustrak, event(1), event(2), event(3))
    assert "nothing was done" in rustrak("quarantine", "drop", names[0], code=1).err
    assert "removed" in rustrak("quarantine", "drop", names[0], names[0], "--yes").out
    assert "2 events were removed" in rustrak("quarantine", "drop", "--all", "--yes").out
    assert rustrak.json("quarantine", "list") == {"data": []}


@pytest.mark.parametrize("args", [["retry"], ["drop"], ["retry", "abc", "--all"], ["show"], ["drop", "abc", "--all"]])
def test_ambiguous(rustrak: Rustrak, args: list[str]) -> None:
    """Neither some nor all, or both: the command line is wrong, and nothing happens."""
    assert "Error:" in rustrak("quarantine", *args, code=2).err


@pytest.mark.parametrize("command", ["show", "retry", "drop"])
def test_unknown(rustrak: Rustrak, command: str) -> None:
    """An id that names nothing is one clear line that says where to look."""
    assert "rustrak quarantine list" in rustrak.fails("quarantine", command, "abc")


def test_ids_are_completed(rustrak: Rustrak) -> None:
    """A shell is offered the ids that begin with what was typed."""
    from click.shell_completion import ShellComplete

    (name,) = set_aside(rustrak, event())
    complete = ShellComplete(cli, {}, "rustrak", "_RUSTRAK_COMPLETE")
    for command in ("show", "retry", "drop"):
        assert [item.value for item in complete.get_completions(["quarantine", command], name[:3])] == [name]
        assert complete.get_completions(["quarantine", command], "zz") == []
    assert isinstance(cli, click.Group)


def test_what_had_to_go_is_said(rustrak: Rustrak) -> None:
    """Where the quarantine was full, the list says how many events had to go."""
    set_aside(rustrak, event())
    (rustrak.data_dir / "spool" / "quarantine" / "dropped").write_text("7\n")
    assert "7 older events" in rustrak("quarantine", "list").err
