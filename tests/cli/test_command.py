"""What all commands of `rustrak` have in common: options, help, errors, exit codes, completion."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rustrak_http.cli import cli
from rustrak_http.cli.options import make_place
from tests.cli.conftest import Rustrak

COMMAND = [sys.executable, "-m", "rustrak_http.cli"]


def commands(group: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its full name."""
    if path:
        yield " ".join(path), group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield from commands(command, (*path, name))


ALL = dict(commands())


def test_the_commands() -> None:
    """The commands that were promised are there."""
    promised = {
        "serve", "project create", "project list", "project delete", "token create", "token list", "token delete",
        "issues", "event", "send-event", "completion",
    }  # fmt: skip
    assert promised <= set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_every_option_is_an_environment_variable(name: str) -> None:
    """By one rule: --data-dir is RUSTRAK_DATA_DIR."""
    for parameter in ALL[name].params:
        if isinstance(parameter, click.Option) and parameter.name not in {"help", "version"}:
            long = next(text for text in parameter.opts if text.startswith("--"))
            assert parameter.envvar == "RUSTRAK_" + long[2:].replace("-", "_").upper()


@pytest.mark.parametrize("name", ALL)
def test_every_option_is_explained(name: str) -> None:
    """Each option has its line in --help, and each command says what it does."""
    assert ALL[name].help
    assert all(parameter.help for parameter in ALL[name].params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("name", [name for name, command in ALL.items() if not isinstance(command, click.Group)])
def test_every_command_prints_json(name: str) -> None:
    """`--json` is everywhere, but where a script is what is printed."""
    assert name == "completion" or any("--json" in parameter.opts for parameter in ALL[name].params)


@pytest.mark.parametrize("args", [["--help"], ["-h"], *([*name.split(), "--help"] for name in ALL)], ids=" ".join)
def test_help(rustrak: Rustrak, args: list[str]) -> None:
    """--help answers, creates nothing, and examples stand on lines of their own."""
    out = rustrak(*args).out
    assert out.startswith("Usage: rustrak")
    assert "Examples:" not in out or "Examples:\n    " in out
    assert not rustrak.data_dir.exists()


def test_the_list_of_commands_names_them_all(rustrak: Rustrak) -> None:
    """The list in --help, which loads no command, has a line for each."""
    out = rustrak("--help").out
    for name in {name.partition(" ")[0] for name in ALL}:
        assert f"\n  {name} " in out


def test_version(rustrak: Rustrak) -> None:
    """--version says which one it is."""
    assert rustrak("--version").out.startswith("rustrak ")


def test_help_loads_nothing_heavy() -> None:
    """`rustrak --help`, and a completion, load neither a web framework nor a database."""
    code = (
        "import sys\nfrom rustrak_http.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('LOADED', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout
    loaded = set(out.partition("LOADED")[2].split())
    assert "click" in loaded
    assert not loaded & {"falcon", "sqlalchemy", "alembic", "waitress", "rich", "attrs", "orjson"}


@pytest.mark.parametrize(
    "args",
    [
        ["bogus"],
        ["issues", "--state", "closed"],
        ["token", "delete", "x"],
        ["project", "create"],
        ["issues", "--limit", "0"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line(rustrak: Rustrak, args: list[str]) -> None:
    """It exits with 2, and says on stderr what is wrong."""
    done = rustrak(*args, code=2)
    assert "Error:" in done.err
    assert not done.out


def test_a_wrong_number_in_the_environment(rustrak: Rustrak, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable, and what it must be."""
    monkeypatch.setenv("RUSTRAK_PORT", "abc")
    err = rustrak("serve", code=2).err
    assert "RUSTRAK_PORT" in err
    assert "'abc' is not a valid integer.\n" in err
    assert "not a valid number.\n" in rustrak("send-event", "x", "--timeout", "soon", code=2).err


def test_options_from_the_environment(rustrak: Rustrak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database elsewhere, and all other options, may come from the environment."""
    monkeypatch.setenv("RUSTRAK_DATABASE_URL", f"sqlite:///{tmp_path}/elsewhere.db")
    monkeypatch.setenv("RUSTRAK_PUBLIC_URL", "https://errors.example.com")
    monkeypatch.setenv("RUSTRAK_JSON", "1")
    made = json.loads(rustrak("project", "create", "my-app").out)
    assert made["dsn"].endswith("@errors.example.com/1")
    assert (tmp_path / "elsewhere.db").exists()
    assert not (rustrak.data_dir / "rustrak.db").exists()


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without options, data is in the platform's folder for a user's data; only its owner may look into it."""
    monkeypatch.delenv("RUSTRAK_DATA_DIR", raising=False)
    env = os.environ | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "share")}
    subprocess.run([*COMMAND, "project", "create", "x"], check=True, env=env, capture_output=True, timeout=60)
    (database,) = tmp_path.rglob("rustrak.db")
    assert database.parent.name == "rustrak"
    assert database.parent.stat().st_mode & 0o077 == 0


def test_a_place_begins_where_the_command_was_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative --data-dir becomes an absolute one, and ~ is the user's home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert make_place("data", None).database_url == f"sqlite:///{tmp_path}/data/rustrak.db"
    assert make_place("~/data", None).data_dir == Path("/home/somebody/data")
    assert make_place("data", "postgresql://u:secret@h/d").database_file is None
    assert "secret" not in repr(make_place("data", "postgresql://u:secret@h/d"))


def test_a_data_directory_that_cannot_be_made(rustrak: Rustrak, tmp_path: Path) -> None:
    """The error names the folder and the option."""
    (tmp_path / "file").touch()
    line = rustrak.fails("project", "create", "x", "--data-dir", tmp_path / "file" / "below")
    assert "--data-dir" in line
    assert "a file has that name" in rustrak.fails("project", "create", "x", "--data-dir", tmp_path / "file")


def test_a_database_that_may_not_be_read(rustrak: Rustrak, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the file, and what to do."""

    def refuse(_: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    line = rustrak.fails("issues")
    assert f"cannot read {rustrak.data_dir}/rustrak.db: Permission denied" in line
    assert "--data-dir" in line


@pytest.mark.parametrize("url", ["postgresql://me:s3cret@127.0.0.1:1/db", "mariadb://me:s3cret@127.0.0.1:1/db"])
def test_a_database_that_is_away(rustrak: Rustrak, url: str) -> None:
    """The line repeats what the driver says, without which nobody can mend it, and no password."""
    line = rustrak.fails("issues", "--database-url", url)
    assert "check that it runs" in line
    assert "refused" in line
    assert "s3cret" not in line


def test_a_database_that_is_none(rustrak: Rustrak) -> None:
    """A broken database is one line, not a traceback, and a URL with its password is not repeated."""
    rustrak.data_dir.mkdir()
    (rustrak.data_dir / "rustrak.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    rustrak.fails("issues")
    assert "s3cret" not in rustrak.fails("issues", "--database-url", "nosql://me:s3cret@host/db")


def test_a_public_url_that_is_none(rustrak: Rustrak) -> None:
    """Nothing is created where the answer could not be printed."""
    for url in ("errors.example.com", "ftp://errors.example.com", "http://a b", "http://a/?b"):
        assert "--public-url" in rustrak.fails("project", "create", "x", "--public-url", url)
        assert "--public-url" in rustrak.fails("serve", "--port", "0", "--public-url", url)
    assert not rustrak.data_dir.exists()


@pytest.mark.parametrize("odd", ["\udcff", "", "x\0", "\x1b[2J", "9" * 400, "x" * 10_000, "☃"])
def test_odd_arguments(rustrak: Rustrak, odd: str) -> None:
    """Bytes of no encoding, emptiness and excess are unknown names, or found nowhere; never a traceback."""
    rustrak("project", "create", "x")
    for args in (["issues", odd], ["event", odd], ["project", "delete", odd, "--yes"], ["send-event", odd]):
        rustrak.fails(*args)
    for name in ("--q", "--environment", "--release", "--level"):
        assert rustrak("issues", name, odd).code == 0


def test_a_folder_that_no_url_can_name(rustrak: Rustrak, tmp_path: Path) -> None:
    """What means something in a URL is refused in the data directory's path, rather than written beside it."""
    for name in ("a?b", "a%20b"):
        assert "holds ? or %" in rustrak.fails("project", "create", "x", "--data-dir", tmp_path / name)
    assert rustrak("project", "create", "x", "--data-dir", tmp_path / "a#b c ü").code == 0
    assert (tmp_path / "a#b c ü" / "rustrak.db").exists()


def test_interrupted(rustrak: Rustrak, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with 130, and without a traceback."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rustrak_http.cli.token.open_tracker", interrupt)
    assert "Traceback" not in rustrak("token", "list", code=130).err


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let processes that a test starts be interrupted, also where a shell runs the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_interrupted_at_a_question(tmp_path: Path, interruptible: None) -> None:
    """Ctrl-C at a question ends with 130, and nothing is deleted."""
    env = os.environ | {"RUSTRAK_DATA_DIR": str(tmp_path)}
    subprocess.run([*COMMAND, "project", "create", "x"], check=True, env=env, capture_output=True, timeout=60)
    with subprocess.Popen(
        [*COMMAND, "project", "delete", "x"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as asking:
        assert asking.stderr is not None
        asked = asking.stderr.read(len("Delete project x"))
        for _ in range(
            5
        ):  # a signal that comes just before it reads is seen after the next one, or at the end of input
            asking.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                asking.wait(10)
                break
        _, err = asking.communicate(timeout=60)
    assert asked == "Delete project x"
    assert asking.returncode == 130
    assert "Traceback" not in err


def test_a_reader_that_has_enough(rustrak: Rustrak) -> None:
    """`rustrak issues | head -1` ends quietly."""
    rustrak("project", "create", "x")
    with rustrak.tracker() as tracker:
        for number in range(300):
            tracker.ingest_event({"message": f"{number} " + "x" * 1000, "fingerprint": [str(number)]}, "x")
    env = os.environ | {"RUSTRAK_DATA_DIR": str(rustrak.data_dir)}
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"set -o pipefail; {' '.join(COMMAND)} issues --limit 300 | head -1; echo ${{PIPESTATUS[0]}} >&2",
        ],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("ISSUE")
    assert done.stderr.strip() in {"0", "1", "141"}  # a status alone


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(rustrak: Rustrak, shell: str) -> None:
    """Each shell gets its script, which asks `rustrak` itself."""
    out = rustrak("completion", shell).out
    assert "_RUSTRAK_COMPLETE" in out
    assert "%(" not in out


def test_completion_completes() -> None:
    """What bash asks for while one types is answered: commands, and their options."""

    def complete(words: str, at: int) -> list[str]:
        env = os.environ | {"_RUSTRAK_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
        done = subprocess.run(COMMAND, env=env, capture_output=True, text=True, timeout=60, check=False)
        return [line.partition(",")[2] for line in done.stdout.split()]

    assert complete("rustrak pro", 1) == ["project"]
    assert complete("rustrak project d", 2) == ["delete"]
    assert complete("rustrak issues --sta", 2) == ["--state"]
    assert complete("rustrak issues --state re", 3) == ["resolved"]
