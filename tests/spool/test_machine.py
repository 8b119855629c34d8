"""A spool's folder is of one machine at a time; what another left behind blocks nobody."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.errors import ConfigurationError
from rustrak_storage.spool.machine import Machine, Presence, require_unused, this_machine
from tests.spool.helpers import ManualClock, used_by

HERE = Machine(name="here", boot="b1")
THERE = Machine(name="there", boot="b2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def presence(folder: Path, me: Machine, clock: ManualClock | None = None) -> Presence:
    return Presence(folder, me=me, monotonic=clock or ManualClock())


@pytest.mark.parametrize("left", [None, b""])
def test_nobody_uses_it(folder: Path, left: bytes | None) -> None:
    """Then it is free at once."""
    if left is not None:
        (folder / "machine").write_bytes(left)
    require_unused(folder, watch_s=1e9, me=HERE)
    require_unused(folder / "not there yet", watch_s=1e9, me=HERE)


def test_another_server_here_uses_it(folder: Path) -> None:
    """On one machine several may, also by other names, as containers have them."""
    with used_by(folder, Machine(name="container", boot=HERE.boot)):
        require_unused(folder, watch_s=1e9, me=HERE)
        assert presence(folder, HERE).beat()


def test_another_machine_uses_it(folder: Path) -> None:
    """It is named, with what to do, as soon as it gives a sign; nothing changes."""
    with used_by(folder, THERE), pytest.raises(ConfigurationError, match=r"another machine, there; stop .*--data-dir"):
        require_unused(folder, watch_s=60, look_s=0.01, me=HERE)
    assert [path.name for path in folder.iterdir()] == ["machine"]


@given(st.binary(min_size=1, max_size=200) | st.just(b'{"machine":"there","boot":"b2","beat":"1"}\n'))
def test_a_mark_that_was_left_behind(tmp_path_factory: pytest.TempPathFactory, left: bytes) -> None:
    """Of a machine that is gone, or whatever it is: it was watched for a while, and then it counts for nothing."""
    folder = tmp_path_factory.mktemp("spool")
    (folder / "machine").write_bytes(left)
    require_unused(folder, watch_s=0.01, look_s=0.005, me=HERE)
    assert (folder / "machine").read_bytes() == left
    mine = presence(folder, HERE)
    mine.take()
    assert mine.beat()
    require_unused(folder, watch_s=1e9, me=HERE)


def test_a_reboot_is_another_machine(folder: Path) -> None:
    """Where the name is the same: two machines may have one."""
    with used_by(folder, Machine(name="here", boot="b0")), pytest.raises(ConfigurationError):
        require_unused(folder, watch_s=60, look_s=0.01, me=HERE)


def test_a_system_without_ids(folder: Path) -> None:
    """There the name decides."""
    mac = Machine(name="mac", boot="")
    with used_by(folder, mac):
        require_unused(folder, watch_s=1e9, me=mac)
        with pytest.raises(ConfigurationError):
            require_unused(folder, watch_s=60, look_s=0.01, me=Machine(name="other", boot=""))


def test_it_is_left(folder: Path) -> None:
    """After a stop in good order nobody has to watch; another server here says again that it uses the folder."""
    clock = ManualClock()
    one, other = presence(folder, HERE, clock), presence(folder, HERE, clock)
    one.take()
    other.take()
    one.leave()
    assert not (folder / "machine").exists()
    clock.now += 1
    assert other.beat()
    assert b"here" in (folder / "machine").read_bytes()


def test_it_was_taken_meanwhile(folder: Path) -> None:
    """Who stood still for so long that another machine took the folder ends, and leaves that one's mark alone."""
    clock = ManualClock()
    mine = presence(folder, HERE, clock)
    mine.take()
    presence(folder, THERE).take()
    assert mine.beat()  # it is not time to look yet
    clock.now += 1
    assert not mine.beat()
    assert not mine.beat()
    assert "there" in str(mine.lost)
    mine.leave()
    assert b"there" in (folder / "machine").read_bytes()


def test_a_mark_changes_with_each_beat(folder: Path) -> None:
    """Else nobody could tell it from one that was left behind."""
    clock = ManualClock()
    mine = presence(folder, HERE, clock)
    mine.take()
    seen = {(folder / "machine").read_bytes()}
    for _ in range(5):
        clock.now += 1
        assert mine.beat()
        seen.add((folder / "machine").read_bytes())
    assert len(seen) == 6
    assert {len(mark) for mark in seen} == {len(seen.pop())}


def test_a_disk_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark that cannot be made keeps nobody from accepting."""

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", refuse)
    clock = ManualClock()
    mine = presence(folder, HERE, clock)
    mine.take()
    clock.now += 1
    assert mine.beat()


def test_this_machine() -> None:
    """It is the same each time it is asked."""
    assert this_machine() == this_machine()
    assert this_machine().is_same(this_machine())
    assert this_machine().name
